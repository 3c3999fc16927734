"""How sure are we: intervals of 95 %, and tests that know what is paired and what overlaps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
SIGNIFICANT = 0.05  # p values below it are called a difference


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


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
        Of R repeats of K folds, at least two scores.
    train_images, val_images : float
        Images that a fold trains and validates on.

    References
    ----------
    C. Nadeau and Y. Bengio (2003), as in `corrected_paired_t`.
    Y. Bengio and Y. Grandvalet, "No Unbiased Estimator of the Variance of K-Fold
    Cross-Validation", Journal of Machine Learning Research 5 (2004), 1089-1105.
    """
    mean, error = _mean_and_error(scores, train_images, val_images)
    margin = _t_quantile(len(scores)) * error
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
        A score of each model on each fold of each repeat, at least two.
    train_images, val_images : float
        Images that a fold trains and validates on.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52
    (2003), 239-281 (the corrected resampled t-test).
    """
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    mean, error = _mean_and_error(differences, train_images, val_images)
    margin = _t_quantile(len(differences)) * error
    if error == 0:
        p_value = float(mean == 0)
    else:
        p_value = 2 * float(stats.t.sf(abs(mean) / error, len(differences) - 1))
    return PairedDifference(mean, mean - margin, mean + margin, p_value)


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


def _mean_and_error(
    values: np.ndarray, train_images: float, val_images: float
) -> tuple[float, float]:
    """The mean over folds, and its standard error with the variance corrected for overlap."""
    variance = (1 / len(values) + val_images / train_images) * np.var(values, ddof=1)
    return float(np.mean(values)), float(np.sqrt(variance))


def _t_quantile(folds: int) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, folds - 1))
