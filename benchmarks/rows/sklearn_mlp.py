"""scikit-learn's `MLPClassifier` under its `cross_validate`, in two processes.

It has no dropout, and validates after the last epoch alone.
"""

import warnings
from collections.abc import Callable, Sequence

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import PredefinedSplit, cross_validate
from sklearn.neural_network import MLPClassifier

from benchmarks.work import HIDDEN, RATE, SEED, Work


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    # Never satisfied, so that it trains for as many epochs as the others; in single precision, as
    # the images are.
    model = MLPClassifier(
        HIDDEN, alpha=0, batch_size=work.batch, learning_rate_init=RATE, max_iter=work.epochs,
        tol=0, n_iter_no_change=work.epochs + 1, random_state=SEED,
    )  # fmt: skip

    def train() -> Sequence[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            scores = cross_validate(
                model, work.scaled(), work.data.labels, cv=PredefinedSplit(work.assigned), n_jobs=2
            )
        return scores["test_score"].tolist()

    return train
