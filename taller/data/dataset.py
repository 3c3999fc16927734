"""A data set as a value: labelled images, the names of their classes, and what they come from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)
    labels : ndarray of int64, shape (n,)
        Positions in `names`.
    names : tuple of str
        Of the classes.
    groups : ndarray of int64, shape (n,), or None
        What each image comes from.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    groups: np.ndarray | None = None

    @property
    def classes(self) -> int:
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        return tuple(self.images.shape[1:])

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "Dataset":
        """The images of some rows, in their order."""
        groups = None if self.groups is None else self.groups[rows]
        return Dataset(self.images[rows], self.labels[rows], self.names, groups)


def save(path: Path, dataset: Dataset) -> None:
    """Write an uncompressed .npz: the bytes of a compressed one change with the zlib version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    groups = {} if dataset.groups is None else {"groups": dataset.groups}
    np.savez(
        path, images=dataset.images, labels=dataset.labels, names=np.array(dataset.names), **groups
    )


def load(path: Path) -> Dataset:
    """Read what `save` wrote."""
    with np.load(path) as arrays:
        names = tuple(str(name) for name in arrays["names"])
        return Dataset(arrays["images"], arrays["labels"], names, arrays.get("groups"))
