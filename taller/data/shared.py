"""A data set's files as DVC versions and shares them: copies, beside the originals in ``raw``.

DVC replaces and deletes what it versions when another commit or data set is checked out; what it
is not given, it cannot. With the copies goes a list of their checksums, so that a part of them,
or another version of them than the originals, is never taken for the data set.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from taller.program import files, progress, reading
from taller.program.errors import Problem, refuse

SUMS = "SHA256SUMS"  # in the format that sha256sum -c reads
PART = ".taller.part"

Sums = dict[str, str]


def update(
    folder: Path, raw: Path, originals: Mapping[str, Path], memory: Path, *, force: bool = False
) -> None:
    """Make `folder` hold copies of the originals and the list of their checksums, nothing else.

    Parameters
    ----------
    raw : Path
        Where the originals are, for the message.
    originals : mapping of str to Path
        Each file, by its name in the folder, with ``/``. Links are followed.
    memory : Path
        A file that keeps what was copied last, and checksums of files that nobody has touched.
    force : bool
        Whether the originals are right whatever the folder holds.

    Raises
    ------
    Problem
        Where the folder holds something else that was not copied here, such as a version that
        DVC has brought; or the copies do not fit on the disk.
    Problems
        A line for each original that cannot be read.
    """
    if folder.is_symlink():
        raise Problem(f"{folder}: expected a folder of the pipeline's own, found a link")
    hashes = _Hashes(memory)
    wanted = hashes.of_all(originals)
    held = _listed(folder)
    # Without a list it is no folder of the pipeline's, whatever is forced.
    if held is None or (not force and held not in ({}, wanted, *hashes.known)):
        told, more = _difference(held, wanted)
        raise Problem(
            f"{folder}: expected copies of what {raw} holds, found others ({told}{more}), as DVC "
            f"brings with another version: move {raw} away to go on with these, or delete "
            f"{folder} to go on with those of {raw}"
        )
    if not held:  # until all is copied, the list that is here is an empty one
        files.write_text(folder / SUMS, "")
    _remove_others(folder, wanted)
    with progress.bar(len(wanted), "copies for DVC", "file") as bar:
        for name, original in originals.items():
            path = folder / name
            if not path.is_file() or hashes.of(path) != wanted[name]:
                _copy(original, path)
            bar.update(1)
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(wanted.items()))
    hashes.keep(held or {}, wanted)  # whichever a kill leaves, it is known
    files.write_text(folder / SUMS, text)
    hashes.keep(wanted)


def put_back(raw: Path, folder: Path, memory: Path) -> bool:
    """Fill a folder of originals that is missing or empty with the copies; whether it was.

    The folder appears whole or not at all.

    Raises
    ------
    Problem
        Where the copies are not those of their list.
    """
    occupied = raw.is_symlink() or (any(raw.iterdir()) if raw.is_dir() else raw.exists())
    if occupied or not folder.is_dir():
        return False
    held, hashes = _listed(folder), _Hashes(memory)
    copies = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / SUMS
    }
    found = hashes.of_all(copies)
    if found != held:
        told, more = _difference(held, found)
        raise Problem(
            f"{folder}: expected the {len(held)} files that {SUMS} lists, found others "
            f"({told}{more}): dvc pull brings them"
        )
    part = raw.with_name(f".{raw.name}{PART}")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with progress.bar(len(copies), "originals", "file") as bar:
            for name, path in copies.items():
                _copy(path, part / name)
                bar.update(1)
        part.replace(raw)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    hashes.keep(held)
    return True


class _Hashes:
    """SHA-256 of files, computed anew of those that were touched since it was kept."""

    def __init__(self, memory: Path) -> None:
        try:
            kept = files.read_json(memory)
        except (OSError, ValueError):
            kept = {}
        self._memory, self._kept, self._now = memory, kept.get("files", {}), {}
        self.known: list[Sums] = kept.get("known", [])

    def of(self, path: Path) -> str:
        with reading.opened(path) as file:
            told = os.fstat(file.fileno())
            state = [told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns]
            *known, digest = self._kept.get(str(path), [None])
            if known != state:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._now[str(path)] = [*state, digest]
        return digest

    def of_all(self, named: Mapping[str, Path]) -> Sums:
        """Of each file by its name; `Problems` of those that cannot be read."""
        found, problems = {}, []
        with progress.bar(len(named), "checksums", "file") as bar:
            for name, path in named.items():
                try:
                    found[name] = self.of(path)
                except OSError as error:
                    problems.append(f"{name}: expected access, found: {error.strerror}")
                bar.update(1)
        refuse(problems)
        return found

    def keep(self, *known: Sums) -> None:
        """Remember the checksums, and which lists of copies were written here."""
        files.write_json(self._memory, {"known": list(known), "files": self._now})


def _listed(folder: Path) -> Sums | None:
    """What the folder's list says; nothing of one that is empty or missing, None without a list."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return {}
    if not (folder / SUMS).is_file():
        return None
    lines = (line.partition("  ") for line in reading.text(folder / SUMS).splitlines())
    return {name: digest for digest, _, name in lines}


def _difference(one: Sums | None, other: Sums) -> tuple[str, str]:
    """One name that differs, and how many others do."""
    if one is None:
        return f"no {SUMS}", ""
    names = sorted({name for name, _ in one.items() ^ other.items()})
    return names[0], f" and {len(names) - 1} more" if len(names) > 1 else ""


def _remove_others(folder: Path, wanted: Iterable[str]) -> None:
    """Remove what is no copy of an original: links, and folders where files go, too."""
    paths = {folder / name for name in wanted} | {folder / SUMS}
    parents = {parent for path in paths for parent in path.parents}
    for path in sorted(folder.rglob("*"), reverse=True):  # what is inside comes before its folder
        is_folder = path.is_dir() and not path.is_symlink()
        if not path.is_symlink() and path in (parents if is_folder else paths):
            continue
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink()


def _copy(original: Path, path: Path) -> None:
    with reading.opened(original) as source:
        told = os.fstat(source.fileno())
        part = path.with_name(PART)
        with files.room(path, told.st_size):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                os.utime(part, ns=(told.st_atime_ns, told.st_mtime_ns))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
