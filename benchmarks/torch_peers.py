"""What trains PyTorch's networks for others: skorch, Lightning and fastai, on tensors in memory.

Lightning and fastai train without the first fold alone: each takes as long.
"""

import logging
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.sklearn_peers import validate
from benchmarks.work import RATE, SEED, VALIDATION_BATCH, Work, load_pretrained
from benchmarks.workshop import LastLayer, SimpleNN


def skorch(work: Work) -> Callable[[], Sequence[float]]:
    """Under scikit-learn's `cross_validate`, two processes, validated after the last epoch."""
    from skorch import NeuralNetClassifier

    model = NeuralNetClassifier(
        SimpleNN, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=RATE,
        batch_size=work.batch, iterator_valid__batch_size=VALIDATION_BATCH,
        iterator_train__shuffle=True, max_epochs=work.epochs, train_split=None,
        callbacks="disable", verbose=0,
    )  # fmt: skip

    return lambda: validate(model, work.scaled_images(), work)


def lightning(work: Work) -> Callable[[], Sequence[float]]:
    """Its Trainer without logger, checkpoints and bars."""
    from lightning import LightningModule, Trainer, seed_everything

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = SimpleNN()

        def training_step(self, batch, _):
            images, labels = batch
            return cross_entropy(self.network(images), labels)

        def on_validation_epoch_start(self):
            self.correct = self.total = 0

        def validation_step(self, batch, _):
            images, labels = batch
            self.correct += (self.network(images).argmax(1) == labels).sum()
            self.total += len(labels)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=RATE)

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # of what it would do otherwise, such as starting workers

    def train() -> Sequence[float]:
        seed_everything(SEED, verbose=False)
        module = Module()
        # Its own name for all that costs time being off.
        trainer = Trainer(accelerator="cpu", max_epochs=work.epochs, barebones=True)
        trainer.fit(module, *loaders(work, torch.from_numpy(work.scaled_images()), DataLoader))
        return [float(module.correct / module.total)]

    return train


def fastai(work: Work) -> Callable[[], Sequence[float]]:
    """Its `Learner` without bars: the last layer of ResNet-18."""
    import fastai.callback.progress  # noqa: F401 (gives learners no_bar)
    from fastai.data.core import DataLoader, DataLoaders
    from fastai.learner import Learner
    from fastai.metrics import accuracy
    from fastai.optimizer import Adam

    _, body, scaling = load_pretrained()

    def train() -> Sequence[float]:
        torch.manual_seed(SEED)
        data = DataLoaders(*loaders(work, scaling(torch.from_numpy(work.data.images)), DataLoader))
        learner = Learner(
            data, LastLayer(body), nn.CrossEntropyLoss(), Adam, RATE, metrics=accuracy, wd=0
        )
        with learner.no_bar(), learner.no_logging():
            learner.fit(work.epochs, RATE)
        return [float(learner.recorder.values[-1][-1])]

    return train


def loaders(work: Work, images: torch.Tensor, loader: type) -> tuple[object, object]:
    """Loaders of the first fold's training and validation images, in memory."""
    labels = torch.from_numpy(work.data.labels)
    training, validation = (TensorDataset(images[one], labels[one]) for one in work.splits[0])
    return (
        loader(training, work.batch, shuffle=True, num_workers=0),
        loader(validation, VALIDATION_BATCH, num_workers=0),
    )
