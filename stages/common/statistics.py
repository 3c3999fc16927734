"""How sure are we: intervals, and a paired test that knows that training sets overlap."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class PairedDifference:
    """The mean of second minus first over folds, its 95 % interval, and its p value."""

    mean: float
    low: float
    high: float
    p_value: float


def corrected_paired_t(
    first: np.ndarray, second: np.ndarray, train_images: int, val_images: int
) -> PairedDifference:
    """Corrected resampled t-test of two models on the same folds.

    Any two of K training sets share most of their images, so the folds' differences are
    correlated, and the plain paired t-test finds differences where there are none. The
    variance of the mean is corrected from ``s² / K`` to ``(1 / K + n_val / n_train) s²``.

    Parameters
    ----------
    first, second : ndarray of float, shape (K,)
        A score of each model on each of K >= 2 folds.
    train_images, val_images : int
        Images that a fold trains and validates on.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52
    (2003), 239-281, section 5 (the corrected resampled t-test).
    """
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    count = len(differences)
    mean = float(differences.mean())
    error = float(np.sqrt((1 / count + val_images / train_images) * differences.var(ddof=1)))
    if error == 0:
        return PairedDifference(mean, mean, mean, float(mean == 0))
    margin = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1))
    p_value = 2 * float(stats.t.sf(abs(mean) / error, count - 1))
    return PairedDifference(mean, mean - margin, mean + margin, p_value)
