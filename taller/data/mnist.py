"""MNIST: its images, their classes, and who wrote each of them.

The one room that knows what MNIST is; where its files can be had, `mnist_files` knows.
"""

from pathlib import Path

import numpy as np

from taller.data import idx, mnist_sums
from taller.data.dataset import Dataset
from taller.program.errors import Problem

NAME = "MNIST"
CLASSES = tuple("0123456789")
SHAPE = (28, 28)  # pixels
SIZES = {"train": 60_000, "t10k": 10_000}

# The person who wrote each image, the training images first: uint16, shape (70000,). It is column
# 2 of QMNIST's label files, whose first 60,000 and 10,000 rows are MNIST's images in order:
# C. Yadav and L. Bottou, "Cold Case: the Lost MNIST Digits", NeurIPS 2019; licence beside it.
WRITERS = Path(__file__).with_name("mnist_writers.npy")


def read(raw: Path) -> tuple[Dataset, Dataset]:
    """Read and check the training and the test set in the folder `raw`.

    Returns
    -------
    training, test : Dataset
        Images of shape (60000, 1, 28, 28) and (10000, 1, 28, 28); classes ``"0"`` to ``"9"``;
        groups are the writers, of whom none wrote for both.

    Raises
    ------
    Problem
        Naming the file, when a shape is not MNIST's, or the labels are not just 0 to 9.
    """
    writers = np.load(WRITERS).astype(np.int64)
    train, test = np.split(writers, [SIZES["train"]])
    return _read_split(raw, "train", train), _read_split(raw, "t10k", test)


def _read_split(raw: Path, split: str, writers: np.ndarray) -> Dataset:
    images_file = raw / f"{split}-images-idx3-ubyte"
    labels_file = raw / f"{split}-labels-idx1-ubyte"
    images, labels = idx.read(images_file), idx.read(labels_file)
    for file, array, shape in (
        (images_file, images, (SIZES[split], *SHAPE)),
        (labels_file, labels, (SIZES[split],)),
    ):
        if array.shape != shape:
            raise Problem(f"{file}: expected shape {shape}, found {array.shape}")
    found = np.unique(labels).tolist()
    if found != list(range(len(CLASSES))):
        raise Problem(f"{labels_file}: expected each of the labels 0 to 9, found {found}")
    for file in (images_file, labels_file):
        mnist_sums.check(file)
    return Dataset(images[:, np.newaxis], labels.astype(np.int64), CLASSES, writers)
