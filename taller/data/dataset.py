"""The data set as a value: labelled images that know their shape, their classes and origins."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taller.program import arrays, files, large, reading
from taller.program.arrays import Array
from taller.program.errors import Problem

FILE = {
    "images": Array(("uint8",), 4),
    "labels": Array(("int64",), 1, low=0),
    "names": Array(("str",), 1),
    "groups": Array(("int64",), 1),
}


@dataclass(frozen=True)
class Dataset:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)
        Levels, 0 to 255; one channel for grey, three for red, green and blue. A memory map, not
        to be written to, where they are many (`large`).
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
        return Dataset(large.rows(self.images, rows), self.labels[rows], self.names, groups)


def save(path: Path, data: Dataset) -> None:
    """Write a data set as .npz: the same bytes for the same data."""
    arrays = {"images": data.images, "labels": data.labels, "names": np.array(data.names)}
    arrays |= {} if data.groups is None else {"groups": data.groups}
    size = sum(array.nbytes for array in arrays.values())
    # Uncompressed, because the bytes of a compressed file change with the zlib version.
    files.streamed(path, size, lambda file: np.savez(file, **arrays))


def load(path: Path) -> Dataset:
    """Read what `save` wrote.

    Raises
    ------
    Problem
        Naming the file, what was expected and what was found, where it is no data set; and as
        `reading.opened`.
    """
    found = arrays.read_npz(path, FILE, optional=("groups",))
    images, labels, names = found["images"], found["labels"], tuple(found["names"].tolist())
    lengths = {name: len(array) for name, array in found.items() if name != "names"}
    if len({*lengths.values()}) > 1:
        raise Problem(f"{path}: expected as many of each array, found {lengths}")
    if not images.size or images.shape[1] not in (1, 3):
        raise Problem(f"{path}: expected images of 1 or 3 channels, found shape {images.shape}")
    if len({*names}) < len(names):
        raise Problem(f"{path}: expected each class name once, found {reading.shown(names)}")
    if (most := int(labels.max())) >= len(names):
        raise Problem(f"{path}: expected labels of 0 to {len(names) - 1}, found {most}")
    return Dataset(images, labels, names, found.get("groups"))
