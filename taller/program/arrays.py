"""Arrays that enter a stage: .npy and .npz of known names, types, dimensions and ranges.

Nothing is unpickled, and nothing is allocated that the file does not hold.
"""

import math
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from taller.program import large, reading
from taller.program.errors import Problem

# In how many ways NumPy and zipfile say that a file is none of theirs.
UNREADABLE = (
    ValueError, TypeError, KeyError, EOFError, OSError, SyntaxError, RecursionError, OverflowError,
    zipfile.BadZipFile, NotImplementedError,
)  # fmt: skip


@dataclass(frozen=True)
class Array:
    """What is expected of an array.

    Attributes
    ----------
    types : tuple of str
        NumPy's names, such as ``uint8``; ``str`` for text of any length.
    dimensions : int
    low, high : float
        Range of numbers, both ends included.
    """

    types: tuple[str, ...]
    dimensions: int
    low: float = -math.inf
    high: float = math.inf


def read_npy(path: Path, wanted: Array) -> np.ndarray:
    """Read an array that `np.save` wrote.

    Raises
    ------
    Problem
        Naming the file, what was expected and what was found; and as `reading.opened`.
    """
    with reading.opened(path) as file, _told(path, "an array of NumPy (.npy)"):
        _header(file, path.stat().st_size)
        found = _content(file)
    _check(f"{path}", found, wanted)
    return found


def read_npz(
    path: Path, wanted: Mapping[str, Array], optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Read the arrays that `np.savez` wrote; one of bytes is mapped where it is `large`.

    Parameters
    ----------
    wanted : mapping of str to Array
        All that there may be.
    optional : sequence of str
        Those that may be missing.

    Raises
    ------
    Problem
        Naming the file, the array, what was expected and what was found; and as `reading.opened`.
    """
    with (
        reading.opened(path) as file,
        _told(path, "arrays of NumPy (.npz)"),
        zipfile.ZipFile(file) as archive,
    ):
        members, found = archive.infolist(), {}
        for member in members:
            stored = member.compress_type == zipfile.ZIP_STORED
            if not stored or member.compress_size != member.file_size:
                raise ValueError("compressed arrays")
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as part:
                shape, order, dtype = _header(part, member.file_size)
                # Numbers of several bytes may lie where processors do not like them.
                if dtype.itemsize > 1 or math.prod(shape) <= large.LIMIT:
                    found[name] = _content(part)
                    continue
                start = _start(file, member) + part.tell()
                while part.read(large.PART):  # to its end, where its checksum is looked at
                    pass
            found[name] = large.mapped(file, path, dtype, shape, start, order)
    if len(found) < len(members) or not {*wanted} - {*optional} <= {*found} <= {*wanted}:
        names = [member.filename for member in members]
        raise Problem(f"{path}: expected the arrays {', '.join(wanted)}, found {names}")
    for name, array in found.items():
        _check(f"{path}: {name}", array, wanted[name])
    return found


@contextmanager
def _told(path: Path, expected: str) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        found = reading.shown(error or type(error).__name__, quoted=False)
        raise Problem(f"{path}: expected {expected}, found another file ({found})") from None


def _header(file: BinaryIO, size: int) -> tuple[tuple[int, ...], str, np.dtype]:
    """Shape, order and type of an open .npy of `size` bytes; it may tell of no more or less."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of the format")
    shape, columns, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError("pickled objects")
    told, held = math.prod(shape) * dtype.itemsize, size - file.tell()
    if told != held:
        raise ValueError(f"a header that tells of {told} bytes, and {held}")
    return shape, "F" if columns else "C", dtype


def _content(file: BinaryIO) -> np.ndarray:
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _start(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Where in an archive a member's bytes begin: behind its name and what is told of it there."""
    file.seek(member.header_offset)
    *_, name, extra = struct.unpack("<4s5H3I2H", file.read(30))
    return member.header_offset + 30 + name + extra


def _check(place: str, array: np.ndarray, wanted: Array) -> None:
    found = "str" if array.dtype.kind == "U" else array.dtype.str.replace("<", "")
    names = {np.dtype(name).str.replace("<", ""): name for name in wanted.types if name != "str"}
    if found not in names and not (found == "str" and "str" in wanted.types):
        raise Problem(f"{place}: expected {' or '.join(wanted.types)}, found {array.dtype}")
    if array.ndim != wanted.dimensions:
        raise Problem(
            f"{place}: expected {wanted.dimensions} dimensions, found shape {array.shape}"
        )
    if array.size and (wanted.low > -math.inf or wanted.high < math.inf):
        low, high = array.min(), array.max()
        if not (wanted.low <= low and high <= wanted.high):
            raise Problem(
                f"{place}: expected {wanted.low:g} to {wanted.high:g}, found {low} to {high}"
            )
