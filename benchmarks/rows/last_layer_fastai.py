"""fastai's `Learner`, frozen, on tensors in memory, without bars."""

from collections.abc import Callable, Sequence

import torch
from fastai.callback.training import BnFreeze
from fastai.data.core import DataLoader, DataLoaders
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.optimizer import Adam
from torch import nn
from torch.utils.data import TensorDataset

from benchmarks.base import body, pretrained, scaling
from benchmarks.rows.last_layer_workshop import Network
from benchmarks.work import RATE, SEED, VALIDATION_BATCH, Work


def prepare(work: Work, only: int) -> Callable[[], Sequence[float]]:
    """Of all folds train without the first `only`: each takes as long."""
    base = pretrained()
    state, scale = body(base), scaling(base)

    def train() -> Sequence[float]:
        torch.manual_seed(SEED)
        images = scale(torch.from_numpy(work.data.images))
        labels, reached = torch.from_numpy(work.data.labels), []
        for rows in work.splits[:only]:
            training, validation = (TensorDataset(images[one], labels[one]) for one in rows)
            learner = Learner(
                DataLoaders(
                    DataLoader(training, work.batch, shuffle=True, num_workers=0),
                    DataLoader(validation, VALIDATION_BATCH, num_workers=0),
                ),
                Network(state), nn.CrossEntropyLoss(), Adam, RATE, metrics=accuracy, wd=0,
                splitter=lambda model: [[*model.body.parameters()], [*model.head.parameters()]],
                train_bn=False, cbs=BnFreeze,
            )  # fmt: skip
            learner.freeze()
            with learner.no_bar(), learner.no_logging():
                learner.fit(work.epochs, RATE)
            reached.append(float(learner.recorder.values[-1][-1]))
        return reached

    return train
