"""How sure are we: intervals of 95 %, and tests that know what is paired and what overlaps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
SIGNIFICANT = 0.05  # p values below it are called a difference
DECIDED = 0.95  # posterior probabilities above it are called a verdict


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def turned(self) -> "Estimate":
        """Of a difference: first minus second."""
        return Estimate(-self.value, -self.high, -self.low)


@dataclass(frozen=True)
class PairedDifference:
    """The mean of second minus first over folds, its 95 % interval, and its p value."""

    mean: float
    low: float
    high: float
    p_value: float

    def turned(self) -> "PairedDifference":
        """First minus second."""
        return PairedDifference(-self.mean, -self.high, -self.low, self.p_value)


@dataclass(frozen=True)
class Disagreement:
    """Images that only the first model got right, only the second, and McNemar's p value."""

    only_first: int
    only_second: int
    p_value: float

    def turned(self) -> "Disagreement":
        """The second model first."""
        return Disagreement(self.only_second, self.only_first, self.p_value)


@dataclass(frozen=True)
class Posterior:
    """How probable it is that the second model differs from the first, and to which side.

    Attributes
    ----------
    worse, equal, better : float
        That the second is worse by more than the rope, practically equal, and better by more;
        their sum is 1.
    """

    worse: float
    equal: float
    better: float

    @property
    def decided(self) -> bool:
        """Whether one of the three is sure enough to be said."""
        return max(self.worse, self.equal, self.better) > DECIDED

    def turned(self) -> "Posterior":
        """Of the first against the second."""
        return Posterior(self.better, self.equal, self.worse)


def fold_mean(scores: np.ndarray, train_images: float, val_images: float) -> Estimate:
    """Mean of one model's scores over folds, and its corrected t-interval.

    The folds' scores are as correlated as their differences in `corrected_paired_t`, for the
    same reason, and the variance of their mean is corrected in the same way: this interval is
    wider than the ``mean ± t s / sqrt(K)`` of textbooks, by a half for five folds. No unbiased
    estimate of that variance exists (Bengio and Grandvalet 2004); this one errs on the safe side
    of the plain one.

    Parameters
    ----------
    scores : ndarray of float, shape (R x K,)
        Of R repeats of K folds. A single one tells nothing of its spread: its interval is the
        whole line.
    train_images, val_images : float
        Images that a fold trains and validates on.

    References
    ----------
    C. Nadeau and Y. Bengio (2003), as in `corrected_paired_t`.
    Y. Bengio and Y. Grandvalet, "No Unbiased Estimator of the Variance of K-Fold
    Cross-Validation", Journal of Machine Learning Research 5 (2004), 1089-1105.
    """
    mean, error = _mean_and_error(scores, train_images, val_images)
    margin = np.inf if len(scores) == 1 else _t_quantile(len(scores)) * error
    return Estimate(mean, mean - margin, mean + margin)


def corrected_paired_t(
    first: np.ndarray, second: np.ndarray, train_images: float, val_images: float
) -> PairedDifference:
    """Corrected resampled t-test of two models on the same folds.

    Any two of K training sets share most of their images, so the folds' differences are
    correlated, and the plain paired t-test finds differences where there are none. The
    variance of the mean is corrected from ``s² / K`` to ``(1 / K + n_val / n_train) s²``, and
    with R repeats of the K folds to ``(1 / (R K) + n_val / n_train) s²``.
    The paper derives it for random splits, whose validation sets overlap too; on K disjoint
    folds it is cautious: fewer than 5 % false positives (tests/test_statistics.py counts them).

    Parameters
    ----------
    first, second : ndarray of float, shape (R x K,)
        A score of each model on each fold of each repeat, a fraction. Of a single fold nothing
        follows: the interval is all that a difference of fractions can be, [-1, 1], and p is 1.
    train_images, val_images : float
        Images that a fold trains and validates on.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52
    (2003), 239-281 (the corrected resampled t-test).
    """
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    mean, error = _mean_and_error(differences, train_images, val_images)
    if len(differences) == 1:
        return PairedDifference(mean, -1.0, 1.0, 1.0)
    margin = _t_quantile(len(differences)) * error
    if error == 0:
        p_value = float(mean == 0)
    else:
        p_value = 2 * float(stats.t.sf(abs(mean) / error, len(differences) - 1))
    return PairedDifference(mean, mean - margin, mean + margin, p_value)


def bayesian_correlated_t(
    first: np.ndarray,
    second: np.ndarray,
    train_images: float,
    val_images: float,
    rope: float,
) -> Posterior:
    """Bayesian correlated t-test of two models on the same folds.

    The posterior of the mean difference is Student's t with ``R K - 1`` degrees of freedom
    around the mean of the differences d, of the scale that `corrected_paired_t` divides by,
    ``sqrt((1 / (R K) + n_val / n_train) var(d))``: the correlation of two folds is taken to be
    the share of the images that validates. Where a p value asks how odd the differences would
    be were there none, this says how probable it is that there is one which matters.

    Equal differences on all folds are a point mass. A single fold leaves no degree of freedom,
    and no posterior: each of the three is then as probable as the others, a third, so that
    none of them decides anything.

    Parameters
    ----------
    first, second : ndarray of float, shape (R x K,)
        A score of each model on each fold of each repeat.
    train_images, val_images : float
        Images that a fold trains and validates on.
    rope : float
        Region of practical equivalence: differences of at most this, in units of the scores,
        are practically none.

    References
    ----------
    G. Corani and A. Benavoli, "A Bayesian Approach for Comparing Cross-Validated Algorithms on
    Multiple Data Sets", Machine Learning 100 (2015), 285-304 (the test); A. Benavoli,
    G. Corani, J. Demšar and M. Zaffalon, "Time for a Change: a Tutorial for Comparing Multiple
    Classifiers Through Bayesian Analysis", Journal of Machine Learning Research 18:77 (2017)
    (the region of practical equivalence).
    """
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    if len(differences) == 1:
        return Posterior(1 / 3, 1 / 3, 1 / 3)
    mean, error = _mean_and_error(differences, train_images, val_images)
    return _posterior(mean, error, len(differences) - 1, rope)


def repeats_to_settle(
    first: np.ndarray,
    second: np.ndarray,
    train_images: float,
    val_images: float,
    rope: float,
    *,
    repeats: int,
    most: int = 20,
) -> int | None:
    """How many repeats in all would let `bayesian_correlated_t` decide.

    The mean and the spread of the differences are taken to stay as they are: more repeats only
    shrink ``1 / (R K)`` and add degrees of freedom. They never undo the overlap of the training
    sets, ``n_val / n_train``, so that many a pair would not be settled by any number.

    Parameters
    ----------
    first, second, train_images, val_images, rope
        As in `bayesian_correlated_t`.
    repeats : int
        R, of which the scores are.
    most : int
        Repeats that are worth a thought.

    Returns
    -------
    int or None
        0 where the posterior decides as it is; the least number of repeats, more than there
        are and at most `most`; None where that many would not do, or where a single fold says
        nothing of the spread.
    """
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    if len(differences) == 1:
        return None
    folds = len(differences) // repeats
    for wanted in (repeats, *range(repeats + 1, most + 1)):
        scores = wanted * folds
        mean, error = _mean_and_error(differences, train_images, val_images, scores)
        if _posterior(mean, error, scores - 1, rope).decided:
            return wanted if wanted > repeats else 0
    return None


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Correct p values for their number, so that one error in all of them stays as rare.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may be smaller than
    the one before it, nor larger than 1.

    Parameters
    ----------
    p_values : sequence of float, length m

    Returns
    -------
    ndarray of float64, shape (m,)
        In the order in which they came.

    References
    ----------
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6 (1979), 65-70.
    """
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


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


def _posterior(mean: float, error: float, freedom: int, rope: float) -> Posterior:
    """Probabilities below, within and above the rope, of Student's t around `mean`."""
    if error == 0:
        worse, better = float(mean < -rope), float(mean > rope)
    else:
        worse = float(stats.t.cdf((-rope - mean) / error, freedom))
        better = float(stats.t.sf((rope - mean) / error, freedom))
    return Posterior(worse, max(1 - worse - better, 0.0), better)


def _mean_and_error(
    values: np.ndarray, train_images: float, val_images: float, scores: int | None = None
) -> tuple[float, float]:
    """The mean over folds, and its standard error with the variance corrected for overlap.

    Of as many scores as there are, or as many as given; of a single value it is not a number.
    """
    if len(values) == 1:
        return float(values[0]), np.nan
    count = scores or len(values)
    variance = (1 / count + val_images / train_images) * np.var(values, ddof=1)
    return float(np.mean(values)), float(np.sqrt(variance))


def _t_quantile(folds: int) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, folds - 1))
