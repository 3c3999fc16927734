"""What all rows of a part train: the same images, folds and hyperparameters."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from taller.data import folds, idx_source
from taller.data.dataset import Dataset
from taller.data.idx_sets import SETS

FILES = Path("data/MNIST/files")
SEED = 42
RATE = 0.001  # the workshop's: Adam at a constant rate
HIDDEN, DROPOUT = (128, 64), 0.2
# Validation keeps no activations: with the workshop's 64, whoever has more to do for a batch loses.
VALIDATION_BATCH = 1000


@dataclass(frozen=True)
class Work:
    """How much is trained.

    Attributes
    ----------
    images : int
        Of MNIST's training images, stratified; trained on and validated.
    epochs : int
        After each of them, who can do so validates on the fold that is held out.
    folds : int
        K, with every writer's images in one fold.
    batch : int
        Images of a step.
    files : str
        The folder of MNIST's files.
    """

    images: int
    epochs: int
    folds: int = 5
    batch: int = 64
    files: str = str(FILES)

    @cached_property
    def data(self) -> Dataset:
        """The images that take part."""
        return self._whole.take(self.rows)

    @cached_property
    def rows(self) -> np.ndarray:
        """Their rows among MNIST's: int64, shape (images,)."""
        whole = self._whole
        marked = Dataset(np.arange(len(whole)), whole.labels, whole.names)
        return folds.stratified_subset(marked, self.images, SEED).images

    @cached_property
    def assigned(self) -> np.ndarray:
        """The fold, from 0, in which each image validates: int64, shape (images,)."""
        return folds.stratified_folds(self.data, self.folds, SEED)

    @cached_property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows of `data` that each fold trains on, and those that it validates on."""
        held_out = [self.assigned == fold for fold in range(self.folds)]
        return [(np.flatnonzero(~one), np.flatnonzero(one)) for one in held_out]

    @property
    def trained(self) -> int:
        """How often an image is trained on, over all epochs and folds."""
        return self.images * (self.folds - 1) * self.epochs

    def scaled(self) -> np.ndarray:
        """The images as the workshop's network sees them: float32, shape (images, 784)."""
        return (self.data.images.reshape(self.images, -1).astype(np.float32) / 255 - 0.5) / 0.5

    @cached_property
    def _whole(self) -> Dataset:
        return idx_source.read(SETS["MNIST"], Path(self.files))[0]
