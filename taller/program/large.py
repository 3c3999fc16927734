"""Arrays that may outgrow memory: beyond a limit they lie in a file on the disk, which is mapped.

What was read or written of such a file stays in memory while there is room. The system takes it
back when others want it, as it does with any file: nothing of it is needed.
"""

import ctypes
import os
import shutil
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from taller.program import files
from taller.program.errors import Problem
from taller.program.unnamed import unnamed

LIMIT = 256 * 2**20  # bytes of an array that are kept in memory
PART = 16 * 2**20  # bytes that are handled at a time
FOLDER = Path(".cache")
# Bytes of a block of memory that the C library gives back at once: a batch of what is mapped. It
# would keep those up to 32 MB, in holes that the next batch just does not fit into.
BLOCK = 4 * 2**20
M_MMAP_THRESHOLD = -3  # glibc's malloc.h


def zeros(shape: Sequence[int], dtype: type) -> np.ndarray:
    """Zeros to be written over; beyond the limit in a file without a name, gone with the array.

    Raises
    ------
    Problem
        When the file would not fit on the disk.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= LIMIT:
        return np.zeros(shape, dtype)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with unnamed(FOLDER) as path:
        reserve(path, size, FOLDER, "images", "take fewer or smaller ones")
        with open(path, "r+b") as file:
            return mapped(file, path, dtype, shape, mode="r+")


def rows(array: np.ndarray, chosen: np.ndarray | slice) -> np.ndarray:
    """``array[chosen]``; beyond the limit in a file, into which it is copied part by part.

    Parameters
    ----------
    chosen : ndarray of int, shape (m,), or slice
        Of a slice it is a view, as ever.
    """
    if isinstance(chosen, slice) or array[:1].nbytes * len(chosen) <= LIMIT:
        return array[chosen]
    out = zeros((len(chosen), *array.shape[1:]), array.dtype)
    for part in parts(out):
        out[part] = array[chosen[part]]
    return out


def parts(array: np.ndarray) -> Iterator[slice]:
    """Cut an array into neighbouring rows that are handled at a time, one at least."""
    step = max(1, PART // array[:1].nbytes)
    return (slice(start, start + step) for start in range(0, len(array), step))


def mapped(
    file: BinaryIO,
    path: str | Path,
    dtype: type | np.dtype,
    shape: Sequence[int],
    offset: int = 0,
    order: str = "C",
    mode: str = "r",
) -> np.memmap:
    """Map an open file: it stays the same one, also when `path` is replaced or removed.

    So it does for the workers that joblib hands the array to, which open it by a name that Linux
    has for what this process has open; elsewhere they open `path`.
    """
    _give_back()
    descriptor = os.dup(file.fileno())
    number = f"/proc/{os.getpid()}/fd/{descriptor}"
    name = number if os.access(number, os.R_OK) else path
    try:
        array = np.memmap(name, dtype, mode, offset, tuple(shape), order)
    except BaseException:
        os.close(descriptor)
        raise
    weakref.finalize(array.base, os.close, descriptor)  # as views have the same base
    return array


def _give_back() -> None:
    """From now on, in this process and its copies, where the C library is glibc."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, BLOCK)


def reserve(path: str, size: int, folder: Path, what: str, remedy: str) -> None:
    """Make sure of the disk: a memory map that finds it full would kill the process.

    Parameters
    ----------
    path : str
        An empty file on the disk of `folder`.
    what, remedy : str
        For the message: what the file is for, and what to do.

    Raises
    ------
    Problem
        When `size` bytes do not fit.
    """
    try:
        with open(path, "r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
    except OSError as error:
        if error.errno not in files.FULL:
            raise
        free = shutil.disk_usage(folder).free
        raise Problem(
            f"{folder}: expected {size / 1e9:.4f} GB free for {what}, found {free / 1e9:.4f} GB; "
            f"{remedy}"
        ) from None
