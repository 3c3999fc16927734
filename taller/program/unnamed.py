"""Files that vanish by themselves: other processes can open them, and no kill leaves them behind.

A file without a name ends with the last process that has it open. Linux shows a process's open
files to the others of its user, so that a worker can open what this process has. Where that is not
to be had, it is a file in a temporary folder, which ``kill -9`` leaves.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unnamed(folder: Path | None = None) -> Iterator[str]:
    """An empty file, open while the block lasts: the path by which to open it once more.

    Parameters
    ----------
    folder : Path, optional
        On whose disk it lies; without one it is in memory.
    """
    try:
        if folder is None:
            descriptor = os.memfd_create("taller")
        else:
            descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE, 0o600)
    except (AttributeError, OSError):  # not this system, or not this file system
        with _named(folder) as path:
            yield path
        return
    path = f"/proc/{os.getpid()}/fd/{descriptor}"
    try:
        if os.access(path, os.R_OK | os.W_OK):
            yield path
            return
    finally:
        os.close(descriptor)
    with _named(folder) as path:
        yield path


@contextmanager
def _named(folder: Path | None) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="taller-", dir=folder) as place:
        path = Path(place, "file")
        path.touch()
        yield os.fspath(path)
