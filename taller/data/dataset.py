"""The data set as a value: labelled images that know their shape, their classes and origins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)
        Levels, 0 to 255; one channel for grey, three for red, green and blue.
    labels : ndarray of int64, shape (n,)
        Classes, 0 to ``classes - 1``.
    names : tuple of str
        Of the classes, in the order of their labels; a class may have no image.
    groups : ndarray of int64, shape (n,), or None
        What each image comes from (a writer, a patient, a product), where that is known.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    groups: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.names)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        return self.images.shape[1:]

    @property
    def per_class(self) -> np.ndarray:
        """Images of each class: ndarray of int64, shape (classes,)."""
        return np.bincount(self.labels, minlength=self.classes)

    def take(self, rows: np.ndarray | slice) -> "Dataset":
        """The images at `rows`, with all the classes."""
        groups = None if self.groups is None else self.groups[rows]
        return Dataset(self.images[rows], self.labels[rows], self.names, groups)


def save(path: Path, data: Dataset) -> None:
    """Write a data set as .npz: the same bytes for the same data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    groups = {} if data.groups is None else {"groups": data.groups}
    # Uncompressed, because the bytes of a compressed file change with the zlib version.
    np.savez(path, images=data.images, labels=data.labels, names=np.array(data.names), **groups)


def load(path: Path) -> Dataset:
    """Read what `save` wrote."""
    with np.load(path) as arrays:
        return Dataset(
            images=arrays["images"],
            labels=arrays["labels"],
            names=tuple(arrays["names"].tolist()),
            groups=arrays.get("groups"),
        )
