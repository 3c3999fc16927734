"""Files that stages hand to each other: written whole or not at all; JSON, and checksums."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EINVAL, EISDIR, ENOENT, ENOSPC, ENOSYS, EOPNOTSUPP, EPERM
from itertools import count
from pathlib import Path
from typing import BinaryIO

from taller.program import reading
from taller.program.errors import Problem

FULL = (ENOSPC, EDQUOT)
# How kernels, file systems and sandboxes say that a file cannot be without a name, or get one.
NAMED_ONLY = (EOPNOTSUPP, EISDIR, EINVAL, ENOSYS, ENOENT, EPERM, EACCES)


@contextmanager
def whole(path: Path) -> Iterator[io.BytesIO]:
    """A binary file to write into, in memory; `path` is made or replaced when the block ends.

    At no moment `path` holds a part of it, also after ``kill -9`` or a power cut: it goes to a
    file without a name, and to the disk itself, before it gets its name. So nothing stays
    beside it either. Only where a file system knows no such files (Linux has them on nearly all)
    is there a ``.NAME.taller.part`` for a while, which the next write takes over. After an
    error in the block, all is as before.

    Parameters
    ----------
    path : Path
        Its folder is made if missing. A link is replaced, not followed: DVC's lead to its cache.

    Raises
    ------
    Problem
        When it does not fit on the disk, with what is needed and what is free.
    """
    buffer = io.BytesIO()
    yield buffer
    data = buffer.getbuffer()
    streamed(path, len(data), lambda file: file.write(data))


def streamed(path: Path, needed: int, write: Callable[[BinaryIO], object]) -> None:
    """Make or replace a file, as `whole` does, with what need not fit into memory.

    Parameters
    ----------
    needed : int
        Bytes that it takes, for the message when the disk is full.
    write : callable
        Writes it all into the file that it is given; called anew where the file needs a name.

    Raises
    ------
    Problem
        As `whole`.
    """
    with room(path, needed):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _put_unnamed(path, write)
        except OSError as error:
            if error.errno not in NAMED_ONLY:
                raise
            _put_named(path, write)


@contextmanager
def room(path: Path, needed: int) -> Iterator[None]:
    """Say of an error in writing which file it concerns, and of a full disk how full it is.

    Parameters
    ----------
    path : Path
        The file, whatever the block calls it.
    needed : int
        Bytes that it takes.

    Raises
    ------
    Problem
        When the disk, or the user's share of it, is full.
    OSError
        Any other error of the block, with `path` for a name.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        free = shutil.disk_usage(next(one for one in path.parents if one.exists())).free
        raise Problem(
            f"{path}: expected {needed / 1e6:.3f} MB free on the disk, found {free / 1e6:.3f} MB"
        ) from None


def _put_unnamed(path: Path, write: Callable[[BinaryIO], object]) -> None:
    # Where the system has no such flag, this asks to write into a folder: EISDIR.
    descriptor = os.open(path.parent, os.O_WRONLY | getattr(os, "O_TMPFILE", 0), 0o666)
    with open(descriptor, "wb") as file:
        _write(file, write)
        while True:
            try:
                # With a folder's descriptor, which an absolute path leaves unused, Python asks for
                # the file behind the link; without one it would name the link itself.
                os.link(
                    f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True
                )
                return
            except FileExistsError:
                path.unlink(missing_ok=True)


def _put_named(path: Path, write: Callable[[BinaryIO], object]) -> None:
    part = path.with_name(f".{path.name}.taller.part")
    try:
        with part.open("wb") as file:
            _write(file, write)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write(file: BinaryIO, write: Callable[[BinaryIO], object]) -> None:
    write(file)
    file.flush()
    os.fsync(file.fileno())


def read_json(path: Path) -> dict:
    """Parse a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write JSON, with six digits: they tell two models apart, and the rest is noise."""
    text = json.dumps(_rounded(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, whole or not at all."""
    with whole(path) as file:
        file.write(text.encode())


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hex digits."""
    with reading.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def free(path: Path) -> Path:
    """`path`, or the first of ``PATH.1``, ``PATH.2``, ... that overwrites nothing."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return path if not path.exists() else next(place for place in numbered if not place.exists())
