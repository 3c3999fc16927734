"""What the test images say: shares of hits, and how two models differ on the same images."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from taller.scores.statistics import CONFIDENCE, Estimate


@dataclass(frozen=True)
class Disagreement:
    """Images that only the first model got right, only the second, and McNemar's p value."""

    only_first: int
    only_second: int
    p_value: float

    def turned(self) -> "Disagreement":
        """The second model first."""
        return Disagreement(self.only_second, self.only_first, self.p_value)


def wilson(hits: int, images: int) -> Estimate:
    """Share of hits, and Wilson's score interval for it.

    It stays within [0, 1] and keeps its coverage near 1, where ``p ± z sqrt(p (1 - p) / n)``
    does neither.

    Parameters
    ----------
    hits, images : int
        Independent images, at least one, and how many of them are right.

    References
    ----------
    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22 (1927), 209-212; L. D. Brown, T. T. Cai
    and A. DasGupta, "Interval Estimation for a Binomial Proportion", Statistical Science 16
    (2001), 101-133.
    """
    interval = stats.binomtest(hits, images).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(hits / images, float(interval.low), float(interval.high))


def exact_mcnemar(only_first: int, only_second: int) -> Disagreement:
    """Test whether two models are right equally often on the same images.

    Images that both models get right, or both wrong, say nothing about it. Were the models
    equally good, each of the others would fall to either side with probability 1/2: the p
    value is the two-sided one of ``Binomial(only_first + only_second, 1/2)``. It asks about
    these two trained networks; what another training would change, only the folds know.

    Parameters
    ----------
    only_first, only_second : int
        Images that only that model gets right.

    References
    ----------
    Q. McNemar, "Note on the Sampling Error of the Difference between Correlated Proportions
    or Percentages", Psychometrika 12 (1947), 153-157; the exact conditional form: M. W.
    Fagerland, S. Lydersen and P. Laake, "The McNemar Test for Binary Matched-Pairs Data",
    BMC Medical Research Methodology 13:91 (2013). T. G. Dietterich, "Approximate Statistical
    Tests for Comparing Supervised Classification Learning Algorithms", Neural Computation 10
    (1998), 1895-1923, section 3.1, compares classifiers with it.
    """
    images = only_first + only_second
    p_value = float(stats.binomtest(only_first, images).pvalue) if images else 1.0
    return Disagreement(only_first, only_second, p_value)


def paired_proportions(both: int, only_first: int, only_second: int, neither: int) -> Estimate:
    """How many more of the images the second model gets right, and Bonett and Price's interval.

    ``(only_second - only_first) / n``, a fraction. The interval is Wald's after one image was
    added to each side of the disagreement, and keeps its coverage where few images disagree
    (Wald's own shrinks to nothing there). Like `exact_mcnemar`, it speaks of these two trained
    networks and of other images of their kind.

    Parameters
    ----------
    both, only_first, only_second, neither : int
        Images that both models get right, only one, and none; at least one in all.

    References
    ----------
    D. G. Bonett and R. M. Price, "Adjusted Wald Confidence Interval for a Difference of
    Binomial Proportions Based on Paired Data", Journal of Educational and Behavioral
    Statistics 37 (2012), 479-488; recommended by M. W. Fagerland, S. Lydersen and P. Laake,
    "Recommended Tests and Confidence Intervals for Paired Binomial Proportions", Statistics in
    Medicine 33 (2014), 2850-2875, who end it at -1 and 1.
    """
    images = both + only_first + only_second + neither
    first, second = (only_first + 1) / (images + 2), (only_second + 1) / (images + 2)
    centre = second - first
    error = np.sqrt((first + second - centre**2) / (images + 2))
    margin = float(stats.norm.ppf((1 + CONFIDENCE) / 2) * error)
    value = (only_second - only_first) / images
    return Estimate(value, max(centre - margin, -1.0), min(centre + margin, 1.0))
