"""The catalogue's data sets, read from their four IDX files."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from taller.common.errors import UserError
from taller.datasets.dataset import Dataset

# The names of the classes, in the order of the labels.
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


def read(name: str, raw: Path) -> tuple[Dataset, Dataset]:
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
    writers = np.load(WRITERS[name]).astype(np.int64) if name in WRITERS else None
    groups = (None, None) if writers is None else np.split(writers, [SIZES["train"]])
    return _part(name, raw, "train", groups[0]), _part(name, raw, "t10k", groups[1])


def _part(name: str, raw: Path, part: str, groups: np.ndarray | None) -> Dataset:
    images = read_file(raw / f"{part}-images-idx3-ubyte", (SIZES[part], SIDE, SIDE))
    file = raw / f"{part}-labels-idx1-ubyte"
    labels, names = read_file(file, (SIZES[part],)), CLASSES[name]
    if (actual := np.unique(labels).tolist()) != list(range(len(names))):
        raise UserError(
            f"{file}: expected each of the labels 0 to {len(names) - 1}, found {actual}"
        )
    return Dataset(images[:, np.newaxis], labels.astype(np.int64), names, groups)


def read_file(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Read an IDX file of unsigned bytes of that shape, or its ``.gz``; errors as in `read`."""
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
