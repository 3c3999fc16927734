"""What all rows of a part train: the same images, folds and hyperparameters."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from taller.datasets import dataset, splits
from taller.datasets.dataset import Dataset
from taller.training import store
from taller.training.store import Classifier

RAW = Path("data/MNIST/raw")
BASE = Path("modelos/base/resnet18/1.pth")  # our ResNet-18, which knows letters of 28 pixels
SEED = 42
RATE = 0.001  # the workshop's: Adam at a constant rate
HIDDEN, DROPOUT = (128, 64), 0.2
# Validation needs no memory for gradients: with the workshop's 64, who does more for a batch loses.
VALIDATION_BATCH = 1000


@dataclass(frozen=True)
class Work:
    """How much is trained: of MNIST's training images so many, stratified, on K folds.

    Every writer's images are in one fold; `batch` is the images of a step.
    """

    images: int
    epochs: int
    folds: int = 5
    batch: int = 64

    @cached_property
    def data(self) -> Dataset:
        return splits.stratified_subset(dataset.read_idx("MNIST", RAW)[0], self.images, SEED)

    @cached_property
    def fold_of(self) -> np.ndarray:
        """The fold, from 0, in which each image validates: int64, shape (images,)."""
        return splits.stratified_folds(self.data, self.folds, SEED)

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows of `data` that each fold trains on, and those that it validates on."""
        validation = [self.fold_of == fold for fold in range(self.folds)]
        return [(np.flatnonzero(~one), np.flatnonzero(one)) for one in validation]

    def scaled_images(self) -> np.ndarray:
        """The images as the workshop's network sees them: float32, shape (images, 784)."""
        return (self.data.images.reshape(self.images, -1).astype(np.float32) / 255 - 0.5) / 0.5


def load_pretrained() -> tuple[Classifier, dict[str, torch.Tensor], Callable]:
    """The base of all rows of `last_layer`, its body's weights, and its scaling of MNIST's images.

    torchvision's and timm's ResNet-18 have weights of the same names.
    """
    base = store.load(BASE)
    body = {
        name: one for name, one in base.network.state_dict().items() if not name.startswith("fc.")
    }
    return base, body, base.scaling.suited((1, 28, 28), 28)
