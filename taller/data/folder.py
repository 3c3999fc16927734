"""A folder of pictures: a folder for each class, in it one for each origin, if that is known.

Listed and checked by names and kinds alone; only files that lie beside the classes are opened, to
tell a picture in the wrong place from a README.
"""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from taller.data import entries, pictures
from taller.data.entries import Entry
from taller.program.errors import Problem, refuse

GROUPS = "groups.csv"
SIDES = ("train", "test")
PARTS = (*SIDES, "val", "valid", "validation", "dev")  # as others call parts of a data set
LEFT_OUT = "left out, as they are no pictures of a class"
TOLD = 3  # names in a line
MIXED = f"expected origins for all pictures (folders, or {GROUPS}) or for none"


@dataclass(frozen=True)
class Listed:
    """One file that should be a picture.

    Attributes
    ----------
    file : str
        Relative to the listed folder, with ``/``.
    side : str
        ``train`` or ``test``, or empty where the folder has no such parts.
    name : str
        Of its class.
    origin : str or None
        Name of the folder in the class; the same in another class is the same origin.
    path : Path
        Where it is, as this system writes it.
    """

    file: str
    side: str
    name: str
    origin: str | None
    path: Path


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes
    ----------
    names : tuple of str
        Of the classes, sorted by their bytes in UTF-8.
    pictures : tuple of Listed
        Sorted by file, in the same way.
    left_out : tuple of str
        Files and folders that are no part of the data set, sorted.
    groups : Path or None
        The file that tells origins, where there is one.
    given : bool
        Whether the folder has its own test pictures.
    """

    names: tuple[str, ...]
    pictures: tuple[Listed, ...]
    left_out: tuple[str, ...]
    groups: Path | None
    given: bool

    @property
    def files(self) -> dict[str, Path]:
        """Where each file of the data set is, by its name in the folder."""
        table = {} if self.groups is None else {GROUPS: self.groups}
        return table | {one.file: one.path for one in self.pictures}


@dataclass
class _Found:
    """What a walk through the folder has met so far."""

    root: Path
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    pictures: list[Listed] = field(default_factory=list)
    # The folder of each class, as it is told, of each side.
    classes: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    def inside(self, folder: Entry) -> Iterator[Entry]:
        """What is to be read of a folder; the rest is noted."""
        try:
            found = entries.inside(folder, self.root)
        except Problem as problem:
            self.problems.append(str(problem))
            return
        self.left_out += found.left_out
        self.problems += found.problems
        yield from found.kept


def listing(raw: Path) -> Listing:
    """List the pictures of a folder, with classes and origins.

    Parameters
    ----------
    raw : Path
        Holds ``CLASS/*`` or ``CLASS/ORIGIN/*``; or folders ``train`` and, perhaps, ``test`` alone,
        which hold that.

    Raises
    ------
    Problems
        A line for all that is wrong: the file relative to `raw`, what was expected and what was
        found.
    """
    found, sides, groups = _Found(raw.resolve()), [], None
    top = [*found.inside(Entry("", raw, is_folder=True))]
    folders = {entry.file: entry for entry in top if entry.is_folder}
    found.problems += _of_sides(found.root, folders)
    if folders and {*folders} <= {*SIDES}:
        sides = [side for side in SIDES if side in folders]
        if "train" not in folders:
            found.problems.append("train: expected a folder beside test, found none")
    for entry in top:
        if entry.file == GROUPS and not entry.is_folder:
            groups = entry.path
        elif entry.file.casefold() == GROUPS:
            found.problems.append(f"{entry.file}: expected the name {GROUPS}, in small letters")
        elif entry.is_folder and not sides:
            _read_class(found, "", entry)
        elif not entry.is_folder:
            _beside(found, entry)
    for side in sides:
        for entry in found.inside(folders[side]):
            if entry.is_folder:
                _read_class(found, side, entry)
            else:
                _beside(found, entry)
    if not found.problems:  # which otherwise would be the reason for some of these
        found.problems += _of_classes(raw, found.classes, sides or [""])
        found.problems += [] if groups else _of_origins(found.pictures)
    refuse(found.problems)
    return Listing(
        tuple(sorted({name for folders in found.classes.values() for name in folders})),
        # Python orders text by code points, which is the order of its bytes in UTF-8.
        tuple(sorted(found.pictures, key=lambda one: one.file)),
        tuple(sorted(found.left_out)),
        groups,
        sides == [*SIDES],
    )


def tell(told: str, files: Sequence[str]) -> None:
    """Print how many files something holds for, and the first of them."""
    if files:
        more = f" and {len(files) - TOLD} more" if len(files) > TOLD else ""
        print(f"pictures: {len(files)} {told}: {', '.join(files[:TOLD])}{more}", flush=True)


def _of_sides(root: Path, folders: dict[str, Entry]) -> Iterator[str]:
    """Parts of a data set that are called otherwise, which would be taken for classes."""
    if {*folders} <= {*SIDES}:
        return
    for name, entry in folders.items():
        if name.casefold() in PARTS and all(one.is_dir() for one in entry.path.iterdir()):
            others = ", ".join(other for other in folders if other != name)
            yield (
                f"{name}: expected a class with pictures, or folders train and test alone, found "
                f"a folder of folders beside {others}"
            )


def _read_class(found: _Found, side: str, folder: Entry) -> None:
    name = folder.file.rpartition("/")[2]
    found.classes[side][name] = folder.file
    one, met = Listed("", side, name, None, folder.path), len(found.problems)
    held = [*found.inside(folder)]
    for entry in held:
        if not entry.is_folder:
            found.pictures.append(replace(one, file=entry.file, path=entry.path))
            continue
        # What two systems write in two ways is one origin all the same.
        origin = unicodedata.normalize("NFC", entry.file.rpartition("/")[2])
        met_here, files = len(found.problems), [*found.inside(entry)]
        for file in files:
            if file.is_folder:
                found.problems.append(f"{file.file}: expected a picture, found a directory")
            else:
                picture = replace(one, file=file.file, origin=origin, path=file.path)
                found.pictures.append(picture)
        if not files and len(found.problems) == met_here:
            found.problems.append(f"{entry.file}: expected pictures, found none")
    if not held and len(found.problems) == met:
        found.problems.append(f"{folder.file}: expected pictures, found none")


def _beside(found: _Found, entry: Entry) -> None:
    """A file that is in no class."""
    if entry.file.rpartition("/")[2].casefold() == GROUPS:
        found.problems.append(f"{entry.file}: expected {GROUPS} beside the folders train and test")
        return
    try:
        misplaced = pictures.recognised(entry.path)
    except Problem as problem:
        found.problems.append(f"{entry.file}: {problem}")
        return
    if misplaced:
        found.problems.append(
            f"{entry.file}: expected pictures in a folder for each class, found one beside them"
        )
    else:
        found.left_out.append(entry.file)


def _of_classes(raw: Path, classes: dict[str, dict[str, str]], sides: list[str]) -> Iterator[str]:
    for side in sides:
        if len(folders := classes[side]) < 2:
            told = f"only {', '.join(folders)}" if folders else "none"
            yield (
                f"{side or raw}: expected folders of pictures for at least 2 classes, found {told}"
            )
    first: dict[str, str] = {}
    for side in sides:
        for name, file in sorted(classes[side].items()):
            alike = first.setdefault(unicodedata.normalize("NFC", name), file)
            if alike.rpartition("/")[2] != name:
                yield (
                    f"{file}: expected one spelling of a class name, found {alike}, the same "
                    f"letters in other bytes"
                )
    known = {unicodedata.normalize("NFC", name) for side in sides for name in classes[side]}
    for side in sides:
        for name in known - {unicodedata.normalize("NFC", one) for one in classes[side]}:
            other = SIDES[1 - SIDES.index(side)]
            yield f"{side}/{name}: expected a folder of pictures, as in {other}, found none"


def _of_origins(found: list[Listed]) -> Iterator[str]:
    within = min((one.file for one in found if one.origin is not None), default=None)
    without = min((one.file for one in found if one.origin is None), default=None)
    if within is not None and without is not None:
        yield f"{without}: {MIXED}, found {within} in a folder of an origin and this in none"
