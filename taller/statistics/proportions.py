"""What the test images say: shares of right answers, and two models on the same images."""

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from taller.statistics.folds import CONFIDENCE, Estimate


def wilson(hits: int, images: int) -> Estimate:
    """Share of hits among independent images, and Wilson's score interval for it (1927).

    It stays within [0, 1] and keeps its coverage near 1.
    """
    low, high = proportion_confint(hits, images, 1 - CONFIDENCE, method="wilson")
    return Estimate(hits / images, float(low), float(high))


def exact_mcnemar(only_first: int, only_second: int) -> float:
    """The p value of McNemar's exact test, of the images that only one of two models gets right.

    It asks about these two trained networks; what another training would change, only the folds
    know.

    References
    ----------
    T. G. Dietterich, "Approximate Statistical Tests for Comparing Supervised Classification
    Learning Algorithms", Neural Computation 10 (1998), 1895-1923, section 3.1.
    """
    images = only_first + only_second
    return float(stats.binomtest(only_first, images).pvalue) if images else 1.0


def paired_proportions(only_first: int, only_second: int, images: int) -> Estimate:
    """How many more of the images the first model gets right, and Bonett and Price's interval.

    The interval is Wald's after one image was added to each side of the disagreement, and keeps
    its coverage where few images disagree. It ends at -1 and 1.

    References
    ----------
    D. G. Bonett and R. M. Price, "Adjusted Wald Confidence Interval for a Difference of Binomial
    Proportions Based on Paired Data", Journal of Educational and Behavioral Statistics 37 (2012),
    479-488.
    """
    first, second = (only_first + 1) / (images + 2), (only_second + 1) / (images + 2)
    centre = first - second
    error = np.sqrt((first + second - centre**2) / (images + 2))
    margin = float(stats.norm.ppf((1 + CONFIDENCE) / 2) * error)
    value = (only_first - only_second) / images
    return Estimate(value, max(centre - margin, -1.0), min(centre + margin, 1.0))
