"""skorch under scikit-learn's `cross_validate`, in two processes of one thread.

It validates after the last epoch alone.
"""

from collections.abc import Callable, Sequence

import torch
from sklearn.model_selection import PredefinedSplit, cross_validate
from skorch import NeuralNetClassifier

from benchmarks.rows.workshop import SimpleNN
from benchmarks.work import RATE, SEED, VALIDATION_BATCH, Work


class Seeded(NeuralNetClassifier):
    """Whose seed holds in whatever process it is fitted."""

    def initialize(self) -> "Seeded":
        torch.manual_seed(SEED)
        return super().initialize()


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    # Without a split and callbacks of its own: scikit-learn validates.
    model = Seeded(
        SimpleNN, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=RATE,
        batch_size=work.batch, iterator_valid__batch_size=VALIDATION_BATCH,
        iterator_train__shuffle=True, max_epochs=work.epochs, train_split=None,
        callbacks="disable", verbose=0,
    )  # fmt: skip

    def train() -> Sequence[float]:
        scores = cross_validate(
            model, work.scaled(), work.data.labels, cv=PredefinedSplit(work.assigned),
            scoring="accuracy", n_jobs=2,
        )  # fmt: skip
        return scores["test_score"].tolist()

    return train
