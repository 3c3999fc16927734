"""What lies in one folder: files and folders that may be read, and what keeps others from it."""

import os
import stat
import unicodedata
from dataclasses import dataclass
from errno import ELOOP
from pathlib import Path

from taller.program import reading
from taller.program.errors import Problem

# What file managers and archives put beside pictures; names in lower case.
HIDDEN = ("thumbs.db", "desktop.ini", "__macosx")
# Control characters, and the two that Unicode has for a new line and a new paragraph.
CONTROL = ("Cc", "Zl", "Zp")


@dataclass(frozen=True)
class Entry:
    """A file or a folder; links are followed.

    Attributes
    ----------
    file : str
        Relative to the folder where the walk began, with ``/``.
    path : Path
        Where it is, as this system writes it.
    is_folder : bool
    """

    file: str
    path: Path
    is_folder: bool


@dataclass(frozen=True)
class Inside:
    """What a folder holds: what may be read, what is left out, and a line for all else."""

    kept: list[Entry]
    left_out: list[str]
    problems: list[str]


def inside(folder: Entry, root: Path) -> Inside:
    """List a folder, sorted by names.

    Parameters
    ----------
    folder : Entry
    root : Path
        Where links may lead to; without links itself.

    Raises
    ------
    Problem
        Where the folder cannot be listed.
    """
    found = Inside([], [], [])
    try:
        names = os.listdir(folder.path)
    except OSError as error:
        name = folder.file or folder.path
        raise Problem(f"{name}: expected a folder to read, found: {error.strerror}") from None
    # By bytes, as the names are on the disk whatever the locale makes of them.
    for name in sorted(names, key=os.fsencode):
        try:
            file = f"{folder.file}/{_told(name)}".lstrip("/")
        except Problem as problem:
            found.problems.append(f"{folder.file or folder.path}: {problem}")
            continue
        if name.startswith(".") or name.lower() in HIDDEN:
            found.left_out.append(file)
            continue
        path = folder.path / name
        try:
            found.kept.append(Entry(file, path, _is_folder(path, root)))
        except Problem as problem:
            found.problems.append(f"{file}: {problem}")
    return found


def _told(name: str) -> str:
    raw = os.fsencode(name)
    try:
        told = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(f"expected names in UTF-8, found {raw!r}") from None
    if any(unicodedata.category(letter) in CONTROL for letter in told):
        raise Problem(f"expected names without control characters, found {told!a}")
    return told


def _is_folder(path: Path, root: Path) -> bool:
    """Whether it is a folder, and not a file; a `Problem` where it is neither or out of root."""
    try:
        if path.is_symlink():
            end = path.resolve(strict=True)
            if not end.is_relative_to(root):
                raise Problem(f"expected no link out of the data set, found one to {end}")
        kind = stat.S_IFMT(path.stat().st_mode)
    except FileNotFoundError:
        raise Problem(f"expected a link to a file, found one to nothing: {_target(path)}") from None
    except (RuntimeError, OSError) as error:  # a loop is an OSError from Python 3.13 on
        if isinstance(error, RuntimeError) or error.errno == ELOOP:
            raise Problem("expected a link to a file, found one that leads in a circle") from None
        raise Problem(f"expected access, found: {error.strerror}") from None
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise Problem(f"expected a file, found {reading.KINDS.get(kind, 'something else')}")
    return kind == stat.S_IFDIR


def _target(path: Path) -> str:
    return reading.shown(os.readlink(path), quoted=False)
