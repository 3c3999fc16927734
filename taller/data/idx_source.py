"""The catalogue's data sets, read from their four IDX files."""

from pathlib import Path

import numpy as np

from taller.data import idx
from taller.data.dataset import Dataset
from taller.data.idx_sets import SHAPE, SIZES, IdxSet
from taller.program.errors import Problem

# Who made each image, uint16, the training images first. MNIST's are column 2 of QMNIST's label
# files, whose first 60,000 and 10,000 rows are its images in order: C. Yadav and L. Bottou, "Cold
# Case: the Lost MNIST Digits", NeurIPS 2019; licence beside it.
WRITERS = {"MNIST": "mnist_writers.npy"}


def read(data: IdxSet, raw: Path) -> tuple[Dataset, Dataset]:
    """Read and check the training and the test set in the folder `raw`.

    Returns
    -------
    training, test : Dataset
        Images of shape (60000, 1, 28, 28) and (10000, 1, 28, 28); groups are the writers, where
        they are known, of whom none wrote for both.

    Raises
    ------
    Problem
        Naming the file, when a shape is not the set's, the labels are not just its classes, or
        the checksum is another.
    """
    groups = None, None
    if data.name in WRITERS:
        writers = np.load(Path(__file__).with_name(WRITERS[data.name])).astype(np.int64)
        groups = np.split(writers, [SIZES["train"]])
    return _read_split(data, raw, "train", groups[0]), _read_split(data, raw, "t10k", groups[1])


def _read_split(data: IdxSet, raw: Path, split: str, groups: np.ndarray | None) -> Dataset:
    images_file = raw / f"{split}-images-idx3-ubyte"
    labels_file = raw / f"{split}-labels-idx1-ubyte"
    images, labels = idx.read(images_file), idx.read(labels_file)
    for file, array, shape in (
        (images_file, images, (SIZES[split], *SHAPE)),
        (labels_file, labels, (SIZES[split],)),
    ):
        if array.shape != shape:
            raise Problem(f"{file}: expected shape {shape}, found {array.shape}")
    found, classes = np.unique(labels).tolist(), len(data.classes)
    if found != list(range(classes)):
        raise Problem(
            f"{labels_file}: expected each of the labels 0 to {classes - 1}, found {found}"
        )
    for file in (images_file, labels_file):
        data.check(file)
    return Dataset(images[:, np.newaxis], labels.astype(np.int64), data.classes, groups)
