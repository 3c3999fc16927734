"""A data set's files as DVC versions and shares them: copies, beside the originals in ``raw``.

DVC replaces and deletes what it versions when another commit or data set is checked out; what it
is not given, it cannot.
"""

import filecmp
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from taller.program import files, progress


def update(folder: Path, originals: Mapping[str, Path]) -> None:
    """Make `folder` hold copies of the originals, and nothing else.

    What is there already stays: files of the same size and time, or else of the same bytes.

    Parameters
    ----------
    originals : mapping of str to Path
        Where each file is, by its name in the folder, with ``/``. Links are followed.

    Raises
    ------
    Problem
        When the copies do not fit on the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / name: original for name, original in originals.items()}
    kept = {folder, *wanted, *(parent for path in wanted for parent in path.parents)}
    for path in sorted(folder.rglob("*"), reverse=True):  # what is inside comes before its folder
        is_folder = path.is_dir() and not path.is_symlink()
        if path in kept and not path.is_symlink() and is_folder == (path not in wanted):
            continue
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink()
    with progress.bar(len(wanted), "copies for DVC", "file") as bar:
        for path, original in wanted.items():
            if not _same(path, original):
                _copy(original, path)
            bar.update(1)


def put_back(raw: Path, folder: Path) -> bool:
    """Fill a folder of originals that is missing or empty with the copies; whether it was.

    The folder appears whole or not at all.
    """
    occupied = any(raw.iterdir()) if raw.is_dir() else os.path.lexists(raw)
    if occupied or not folder.is_dir():
        return False
    part = raw.with_name(f".{raw.name}.taller.part")
    shutil.rmtree(part, ignore_errors=True)
    update(part, of(folder))
    part.replace(raw)
    return True


def of(folder: Path) -> dict[str, Path]:
    """All files in a folder, for `update`."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found}


def _same(path: Path, original: Path) -> bool:
    if not path.is_file():
        return False
    here, there = path.stat(), original.stat()
    if here.st_size != there.st_size:
        return False
    return here.st_mtime_ns == there.st_mtime_ns or filecmp.cmp(path, original, shallow=False)


def _copy(original: Path, path: Path) -> None:
    part = path.with_name(f".{path.name}.taller.part")
    told = original.stat()
    with original.open("rb") as source, files.room(path, told.st_size):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            os.utime(part, ns=(told.st_atime_ns, told.st_mtime_ns))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
