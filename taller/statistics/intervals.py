"""What scores of folds and counts of test images say: intervals, and tests of differences.

Any two training sets of a cross-validation share most of their images, so the scores of the folds
are correlated, and a plain t-test sees differences where there are none. All functions of
folds take `overlap`, the images that a fold validates on as a share of those that it trains on, and
correct the variance of a mean over n scores from ``s² / n`` to ``(1 / n + overlap) s²`` (Nadeau and
Bengio). The paper derives that for random splits; on the disjoint folds used here it is cautious.

References
----------
C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003),
239-281.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

CONFIDENCE = 0.95
DECIDED = 0.95  # a posterior probability above it is a verdict

Verdict = Literal["better", "worse", "equal", "unknown"]


class Estimate(NamedTuple):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


class Posterior(NamedTuple):
    """How probable it is that a mean difference is below, within and above the rope."""

    worse: float
    equal: float
    better: float

    @property
    def verdict(self) -> Verdict:
        """The one of the three that is sure enough, if any."""
        sure = [name for name, value in self._asdict().items() if value > DECIDED]
        return sure[0] if sure else "unknown"


def corrected_interval(
    values: np.ndarray, overlap: float, lowest: float = -np.inf, highest: float = np.inf
) -> Estimate:
    """The mean over folds, of scores or differences, shape (n,), and its corrected t-interval.

    Where `_mean_and_error` knows no spread, the interval has no bounds but `lowest` and `highest`,
    which the mean cannot leave, and where any interval ends.
    """
    mean, error = _mean_and_error(values, overlap, len(values))
    margin = np.inf
    if not np.isnan(error):
        margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Estimate(mean, max(mean - margin, lowest), min(mean + margin, highest))


def corrected_t_test(differences: np.ndarray, overlap: float) -> float:
    """The two-sided p value of the corrected resampled t-test; 1 where no spread is known."""
    mean, error = _mean_and_error(differences, overlap, len(differences))
    if np.isnan(error):
        return 1.0
    if error == 0:
        return float(mean == 0)
    return 2 * float(stats.t.sf(abs(mean) / error, len(differences) - 1))


def bayesian_correlated_t(
    differences: np.ndarray, overlap: float, rope: float, count: int | None = None
) -> Posterior:
    """Bayesian correlated t-test with a region of practical equivalence.

    The posterior of the mean difference is Student's t with n - 1 degrees of freedom, around the
    mean of the differences, of the corrected scale.

    Parameters
    ----------
    differences : ndarray of float, shape (n,)
        Of two models on the same folds. Equal ones are a point mass, but for one or two: of these
        no spread is known, each of the three is a third, and decides nothing.
    rope : float
        Differences of at most this are practically none.
    count : int, optional
        As if there were so many differences, of the same mean and spread.

    References
    ----------
    G. Corani and A. Benavoli, "A Bayesian Approach for Comparing Cross-Validated Algorithms on
    Multiple Data Sets", Machine Learning 100 (2015), 285-304; A. Benavoli, G. Corani, J. Demšar
    and M. Zaffalon, "Time for a Change", Journal of Machine Learning Research 18:77 (2017).
    """
    count = count or len(differences)
    mean, error = _mean_and_error(differences, overlap, count)
    if np.isnan(error):
        return Posterior(1 / 3, 1 / 3, 1 / 3)
    if error == 0:
        worse, better = float(mean < -rope), float(mean > rope)
    else:
        worse = float(stats.t.cdf((-rope - mean) / error, count - 1))
        better = float(stats.t.sf((rope - mean) / error, count - 1))
    return Posterior(worse, max(1 - worse - better, 0.0), better)


def required_repeats(
    differences: np.ndarray, overlap: float, rope: float, repeats: int, most: int = 20
) -> int | None:
    """How many repeats in all, more than these, would let `bayesian_correlated_t` decide.

    Mean and spread of the differences are taken to stay as they are. More repeats shrink
    ``1 / n`` and add degrees of freedom; they never undo the overlap, so that no number of them
    would decide many a pair: then, or beyond `most`, it is None. 0 where the test decides already.
    """
    folds = len(differences) // repeats
    for wanted in range(repeats, most + 1):
        if bayesian_correlated_t(differences, overlap, rope, wanted * folds).verdict != "unknown":
            return wanted if wanted > repeats else 0
    return None


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number with Holm's method (1979), in their order."""
    return multipletests(p_values, method="holm")[1].tolist() if len(p_values) else []


def _mean_and_error(values: np.ndarray, overlap: float, count: int) -> tuple[float, float]:
    """The mean, and its standard error as of `count` scores.

    It is NaN of a single value, and of two equal ones: of few images in a fold two are often the
    same by chance, and a spread of zero would be certainty.
    """
    if len(values) < 3 and np.ptp(values) == 0:
        return float(values[0]), np.nan
    variance = (1 / count + overlap) * np.var(values, ddof=1)
    return float(np.mean(values)), float(np.sqrt(variance))


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
