"""The data set as a value: labelled images that know their shape, their classes and their groups.

On disk it is a folder of arrays, and its images are mapped: they may outgrow memory. The
catalogue's data sets are read from their four IDX files.
"""

import gzip
import math
import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taller.common import files
from taller.common.terminal import UserError, printable

LIMIT = 256 * 2**20  # bytes of images that are held in memory
CHUNK = 16 * 2**20  # bytes that are handled at a time
SCRATCH = Path(".cache")
# The names of the catalogue's classes, in the order of the labels.
CLASSES = {
    "MNIST": tuple("0123456789"),
    "FashionMNIST": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "KMNIST": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
}
SIDE = 28  # pixels
SIZES = {"train": 60_000, "t10k": 10_000}
# Who made each image, uint16, the training images first. MNIST's are column 2 of QMNIST's label
# files, whose first 60,000 and 10,000 rows are its images in order: C. Yadav and L. Bottou, "Cold
# Case: the Lost MNIST Digits", NeurIPS 2019; licence beside it.
WRITERS = {"MNIST": Path(__file__).with_name("mnist_writers.npy")}


@dataclass(frozen=True)
class Dataset:
    """Labelled images.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)
        Levels, 0 to 255; one channel for grey, three for red, green and blue. May be a memory map
        that cannot be written to.
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
        """The images at `rows` (int, bool, or a slice, which copies nothing), with all classes."""
        groups = None if self.groups is None else self.groups[rows]
        if isinstance(rows, slice):
            images = self.images[rows]
        else:
            places = np.arange(len(self))[rows]
            images = empty((len(places), *self.shape))
            for part in chunks(images):
                images[part] = self.images[places[part]]
        return Dataset(images, self.labels[rows], self.names, groups)


def empty(shape: Sequence[int]) -> np.ndarray:
    """Zeros of uint8 to write into; beyond `LIMIT` in a file that is gone with the array."""
    size = int(np.prod(shape))
    if size <= LIMIT:
        return np.zeros(shape, np.uint8)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=SCRATCH) as file:
        # Where a map meets a full disk, the system kills the process: this is an error instead.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, np.uint8, "r+", shape=tuple(shape))


def chunks(images: np.ndarray) -> Iterator[slice]:
    """Cut images into neighbouring rows that are handled at a time."""
    step = max(1, CHUNK // max(1, images[:1].nbytes))
    return (slice(start, start + step) for start in range(0, len(images), step))


def save(folder: Path, data: Dataset) -> None:
    """Write a data set into a folder: the same bytes for the same data."""
    save_array(folder / "images.npy", data.images)
    save_array(folder / "labels.npy", data.labels)
    files.write_json(folder / "names.json", list(data.names))
    if data.groups is None:
        (folder / "groups.npy").unlink(missing_ok=True)  # of an earlier run
    else:
        save_array(folder / "groups.npy", data.groups)


def save_array(path: Path, array: np.ndarray) -> None:
    """Write a .npy file; what is mapped never is in memory as a whole."""
    with files.atomic_write(path) as file:
        np.save(file, array, allow_pickle=False)


def load(folder: Path) -> Dataset:
    """Read what `save` wrote; a `UserError` names a file that cannot be read."""
    groups = folder / "groups.npy"
    return Dataset(
        load_array(folder / "images.npy", mapped=True),
        load_array(folder / "labels.npy"),
        tuple(files.read_json(folder / "names.json")),
        load_array(groups) if groups.exists() else None,
    )


def load_array(path: Path, *, mapped: bool = False) -> np.ndarray:
    """Read a .npy file; a `UserError` names one that is none."""
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: expected a .npy file, found: {printable(str(error))}") from None


def read_idx(name: str, raw: Path) -> tuple[Dataset, Dataset]:
    """Read the training and the test set of `name` from the folder of its four files.

    Returns
    -------
    training, test : Dataset
        Images of shape (60000, 1, 28, 28) and (10000, 1, 28, 28). Groups are the writers, where
        they are known; nobody wrote for both.

    Raises
    ------
    UserError
        Naming a file that is missing, not IDX, or of another shape or other labels than the set's.
    """
    return read_idx_part(name, raw, "train"), read_idx_part(name, raw, "t10k")


def read_idx_part(name: str, raw: Path, part: str) -> Dataset:
    """The ``train`` or the ``t10k`` images of `read_idx`; no file of the other part is opened."""
    groups = None
    if name in WRITERS:
        writers = np.load(WRITERS[name]).astype(np.int64)
        groups = np.split(writers, [SIZES["train"]])[[*SIZES].index(part)]
    images = read_idx_file(raw / f"{part}-images-idx3-ubyte", (SIZES[part], SIDE, SIDE))
    file = raw / f"{part}-labels-idx1-ubyte"
    labels, names = read_idx_file(file, (SIZES[part],)), CLASSES[name]
    if (actual := np.unique(labels).tolist()) != list(range(len(names))):
        raise UserError(
            f"{file}: expected each of the labels 0 to {len(names) - 1}, found {actual}"
        )
    return Dataset(images[:, np.newaxis], labels.astype(np.int64), names, groups)


def read_idx_file(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read an IDX file of unsigned bytes of that shape, or its ``.gz``; errors as in `read_idx`."""
    archive = path.with_name(f"{path.name}.gz")
    try:
        data = gzip.decompress(archive.read_bytes()) if archive.exists() else path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: expected an IDX file, found nothing") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{archive}: expected a complete .gz file, found: {error}") from None
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    if not data.startswith(header):
        raise UserError(f"{path}: expected IDX of unsigned bytes, of shape {shape}, found another")
    if len(data) != len(header) + math.prod(shape):
        raise UserError(
            f"{path}: expected {math.prod(shape)} bytes behind its header, found others"
        )
    return np.frombuffer(data, np.uint8, offset=len(header)).reshape(shape).copy()
