"""How sure are the folds: intervals of 95 %, and tests that know what is paired and overlaps."""

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
    mean, error = mean_and_error(scores, train_images, val_images)
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
    mean, error = mean_and_error(differences, train_images, val_images)
    if len(differences) == 1:
        return PairedDifference(mean, -1.0, 1.0, 1.0)
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


def mean_and_error(
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
