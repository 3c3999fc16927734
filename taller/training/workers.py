"""Processes that fits run in: what they are handed, when they end, and what killed ones left."""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np

from taller.program import files
from taller.program.errors import Problem
from taller.program.unnamed import unnamed

# joblib's semaphores and folders, in the folder where Linux keeps what processes share; each has
# the number of its process in its name.
SHARED = Path("/dev/shm")
LEFT = re.compile(r"(?:sem\.loky-|joblib_memmapping_folder_)(\d+)[-_].+")


@contextmanager
def shared(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array that workers read where it lies: a memory map without a file's name.

    joblib would write it to a folder, which may be too small for it, and which stays when this
    process and joblib's own are killed at once.

    Parameters
    ----------
    array : ndarray
        One that is a memory map already is handed on as it is.
    """
    if isinstance(array, np.memmap) or array.size == 0:
        yield array
        return
    with unnamed() as path:
        np.memmap(path, array.dtype, "r+", shape=array.shape)[...] = array
        yield np.memmap(path, array.dtype, "r", shape=array.shape)


@contextmanager
def room() -> Iterator[None]:
    """Say in one line that there is no room for what joblib's processes share.

    Raises
    ------
    Problem
        In place of an error that names no file.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in files.FULL or error.filename is not None:
            raise
        free = shutil.disk_usage(SHARED).free
        raise Problem(
            f"{SHARED}: expected 0.1 MB free for what processes share, found {free / 1e6:.3f} MB"
        ) from None


def leave_with(parent: int) -> None:
    """End this process when `parent` is gone, if that is what started it.

    A process that is killed cannot stop its workers, which would keep a core and a gigabyte.
    """
    if os.getppid() == parent:
        _watch(parent, os.getpid())


@cache  # once in each process: a copy has its parent's cache
def _watch(parent: int, process: int) -> None:
    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def sweep() -> None:
    """Remove what joblib left of processes that are gone.

    It has a process that does so, also after ``kill -9``, but not when that one is killed with
    them: then some semaphores, of 32 bytes each, stay until here.
    """
    for path in SHARED.glob("*"):
        if (found := LEFT.fullmatch(path.name)) and not _runs(int(found[1])):
            with suppress(OSError):  # another user's
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True
