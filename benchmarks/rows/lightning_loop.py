"""PyTorch Lightning: its Trainer without logger, checkpoints and bars, on tensors in memory."""

import logging
import warnings
from collections.abc import Callable, Sequence

import torch
from lightning import LightningModule, Trainer, seed_everything
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.rows.workshop import SimpleNN
from benchmarks.work import RATE, SEED, VALIDATION_BATCH, Work


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


def prepare(work: Work, only: int) -> Callable[[], Sequence[float]]:
    """Of all folds train without the first `only`: each takes as long."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # of what it would do otherwise, such as starting workers

    def train() -> Sequence[float]:
        seed_everything(SEED, verbose=False)
        images, labels = torch.from_numpy(work.scaled()), torch.from_numpy(work.data.labels)
        reached = []
        for training, validation in work.splits[:only]:
            module = Module()
            # Its own name for all that costs time being off.
            trainer = Trainer(accelerator="cpu", max_epochs=work.epochs, barebones=True)
            trainer.fit(
                module,
                DataLoader(TensorDataset(images[training], labels[training]), work.batch, True),
                DataLoader(TensorDataset(images[validation], labels[validation]), VALIDATION_BATCH),
            )
            reached.append(float(module.correct / module.total))
        return reached

    return train
