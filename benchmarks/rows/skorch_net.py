"""skorch under scikit-learn's `cross_validate`, in two processes of one thread.

It validates after the last epoch alone.
"""

from collections.abc import Callable, Sequence

import torch
from sklearn.model_selection import PredefinedSplit, cross_validate
from skorch import NeuralNetClassifier

from benchmarks.rows.workshop import SimpleNN
from benchmarks.work import RATE, SEED, VALIDATION_BATCH, Work


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    torch.manual_seed(SEED)
    # Without a split and callbacks of its own: scikit-learn validates.
    model = NeuralNetClassifier(
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
