"""How probable it is that a difference over the folds matters, and what would settle it."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from taller.scores.statistics import mean_and_error

DECIDED = 0.95  # posterior probabilities above it are called a verdict


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


def bayesian_correlated_t(
    first: np.ndarray,
    second: np.ndarray,
    train_images: float,
    val_images: float,
    rope: float,
) -> Posterior:
    """Bayesian correlated t-test of two models on the same folds.

    The posterior of the mean difference is Student's t with ``R K - 1`` degrees of freedom
    around the mean of the differences d, of the scale that `statistics.corrected_paired_t`
    divides by, ``sqrt((1 / (R K) + n_val / n_train) var(d))``: the correlation of two folds is
    taken to be the share of the images that validates. Where a p value asks how odd the
    differences would be were there none, this says how probable it is that there is one which
    matters.

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
    mean, error = mean_and_error(differences, train_images, val_images)
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
        mean, error = mean_and_error(differences, train_images, val_images, scores)
        if _posterior(mean, error, scores - 1, rope).decided:
            return wanted if wanted > repeats else 0
    return None


def _posterior(mean: float, error: float, freedom: int, rope: float) -> Posterior:
    """Probabilities below, within and above the rope, of Student's t around `mean`."""
    if error == 0:
        worse, better = float(mean < -rope), float(mean > rope)
    else:
        worse = float(stats.t.cdf((-rope - mean) / error, freedom))
        better = float(stats.t.sf((rope - mean) / error, freedom))
    return Posterior(worse, max(1 - worse - better, 0.0), better)
