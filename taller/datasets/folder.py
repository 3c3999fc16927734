"""A folder of pictures as a data set: a folder for each class, in it one for each group, if known.

A group is what a network must not recognise: a patient, a product, a place. ``groups.csv`` may
name the groups instead.
"""

import csv
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from taller.common.errors import UserError, printable, refuse
from taller.datasets import pictures
from taller.datasets.dataset import Dataset, chunks
from taller.datasets.pictures import Facts
from taller.datasets.splits import choose_test

GROUPS, HEADER = "groups.csv", ["file", "group"]
SIDES = ("train", "test")
SPLIT_NAMES = (*SIDES, "val", "valid", "validation", "dev")  # as others call parts of a data set
# What file managers and archives put beside pictures; names in lower case.
HIDDEN = ("thumbs.db", "desktop.ini", "__macosx")
# Control characters, halves of characters, and Unicode's signs for a new line and a paragraph.
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


@dataclass(frozen=True)
class Listed:
    """One file that should be a picture."""

    file: str  # relative to the listed folder, with /
    side: str  # train or test, or empty where the folder has no such parts
    name: str  # of its class
    group: str | None  # the folder in the class; one name in two classes is one group


def read(
    raw: Path, side: int, channels: Literal["auto", 1, 3], test_share: float, seed: int
) -> tuple[Dataset, Dataset, dict]:
    """Read a folder of pictures.

    Parameters
    ----------
    raw : Path
        Holds ``CLASS/*`` or ``CLASS/GROUP/*``; or folders ``train`` and, perhaps, ``test`` alone,
        which hold that. With a ``groups.csv``, or without. Links are followed.
    side, channels : int, "auto" or int
        Of each image: pixels; 1 for grey, 3 for colour, "auto" for grey if all pictures are.
    test_share, seed : float, int
        As in `choose_test`, where no test pictures are given.

    Returns
    -------
    training, test : Dataset
        In turn the first image of each class, the second of each, and so on.
    facts : dict
        As resultados/datos.json has them: duplicates, frames, where test and groups come from,
        and the smallest and the largest original, in pixels.

    Raises
    ------
    UserError
        With a line for each file or folder that is not as expected.
    """
    listing = Listing(raw)
    files = [one.file for one in listing.pictures]
    groups, source = _groups(listing)
    paths, auto = [raw / file for file in files], channels == "auto"
    images, facts = pictures.read_all(paths, files, side, 3 if auto else channels)
    rows, duplicates = _without_duplicates(listing.pictures, facts)
    if auto and all((images[part, :1] == images[part]).all() for part in chunks(images)):
        images = images[:, :1]
    labels = np.array([listing.names.index(one.name) for one in listing.pictures], np.int64)
    if given := listing.sides == [*SIDES]:
        test = np.array([listing.pictures[row].side == "test" for row in rows])
    else:
        of_rows = None if groups is None else groups[rows]
        test = choose_test(labels[rows], listing.names, of_rows, test_share, seed)
    several = [files[row] for row in rows if facts[row].several]
    for what, which in (
        ("left out, as they are no pictures of a class", sorted(listing.left_out)),
        ("left out, as a picture of their class has the same bytes", duplicates),
        ("of several frames, of which the first is taken", several),
    ):
        if which:
            more = f" and {len(which) - 3} more" if len(which) > 3 else ""
            print(f"pictures: {len(which)} {what}: {', '.join(which[:3])}{more}", flush=True)
    data = Dataset(images, labels, listing.names, groups)
    sizes = sorted((facts[row].size for row in rows), key=lambda size: (size[0] * size[1], size))
    described = {
        "duplicates": len(duplicates),
        "several_frames": len(several),
        "test": "given" if given else "drawn",
        "groups": source,
        "smallest": list(sizes[0]),
        "largest": list(sizes[-1]),
    }
    return _in_turn(data, rows[~test]), _in_turn(data, rows[test]), described


class Listing:
    """The pictures of a folder, by names alone: `pictures`, sorted by file, and class `names`.

    Refuses, with a line for each thing that is wrong. `left_out` is what is no part of the data
    set, `sides` the folders train and test, if there are any.
    """

    def __init__(self, raw: Path) -> None:
        self.raw, self.lines, self.left_out = raw, [], []
        self.pictures: list[Listed] = []
        classes: dict[str, set[str]] = defaultdict(set)  # of each side
        folders, files = self._inside("")
        self.has_groups = GROUPS in files
        beside = [file for file in files if file != GROUPS]
        # Folders of these names alone are the parts of a data set, others are classes.
        self.sides = [side for side in SIDES if side in folders and {*folders} <= {*SIDES}]
        for side in self.sides or [""]:
            if side:
                folders, files = self._inside(side)
                beside += files
            for folder in folders:
                classes[side].add(self._read_class(side, folder))
        for file in beside:
            if Path(file).name.casefold() == GROUPS:
                self.lines.append(f"{file}: expected {GROUPS}, beside all folders")
            elif pictures.is_picture(raw / file):
                self.lines.append(f"{file}: expected pictures in a folder for each class")
            else:
                self.left_out.append(file)
        # Otherwise what is wrong would be the reason for some of these.
        refuse(self.lines or self._check(classes))
        self.names = tuple(sorted(set().union(*classes.values())))
        # Python orders text by code points, which is the order of its bytes in UTF-8.
        self.pictures.sort(key=lambda one: one.file)

    def _inside(self, folder: str) -> tuple[list[str], list[str]]:
        """The folders and the files in a folder, sorted."""
        folders, files = [], []
        for name in sorted(os.listdir(self.raw / folder)):
            file = f"{folder}/{name}".lstrip("/")
            path = self.raw / file
            if any(unicodedata.category(letter) in UNPRINTABLE for letter in name):
                self.lines.append(f"{file!a}: expected a name of letters in UTF-8")
            elif name.startswith(".") or name.lower() in HIDDEN:
                self.left_out.append(file)
            elif path.is_dir():
                folders.append(file)
            elif path.is_file():
                files.append(file)
            else:
                kind = "a link to nothing" if path.is_symlink() else "something else"
                self.lines.append(f"{file}: expected a file, found {kind}")
        return folders, files

    def _read_class(self, side: str, folder: str) -> str:
        name = _composed(folder)
        groups, files = self._inside(folder)
        self.pictures += [Listed(file, side, name, None) for file in files]
        if not groups and not files:
            self.lines.append(f"{folder}: expected pictures, found none")
        for group in groups:
            deeper, files = self._inside(group)
            self.lines += [f"{one}: expected a picture, found a folder" for one in deeper]
            if not deeper and not files:
                self.lines.append(f"{group}: expected pictures, found none")
            self.pictures += [Listed(file, side, name, _composed(group)) for file in files]
        return name

    def _check(self, classes: dict[str, set[str]]) -> Iterator[str]:
        for name in {one.casefold() for one in classes[""]} & {*SPLIT_NAMES}:
            yield f"{name}: expected a class, or folders train and test alone, found another part"
        for side in self.sides or [""]:
            if len(names := sorted(classes[side])) < 2:
                only, where = f"only {names[0]}" if names else "none", side or self.raw
                yield f"{where}: expected folders of pictures for 2 classes or more, found {only}"
        if len(self.sides) == 2:
            for name in classes["train"] ^ classes["test"]:
                yield f"{name}: expected this class in train and in test, found it in one of them"
        if self.sides == ["test"]:
            yield "train: expected a folder beside test, found none"
        within = min((one.file for one in self.pictures if one.group is not None), default=None)
        without = min((one.file for one in self.pictures if one.group is None), default=None)
        if within and without and not self.has_groups:
            yield (
                f"{without}: expected groups for all pictures (folders, or {GROUPS}) or for none, "
                f"found {within} in a folder of a group and this in none"
            )


def _composed(file: str) -> str:
    """The name of a file, the same whatever bytes a system writes its letters in."""
    return unicodedata.normalize("NFC", file.rpartition("/")[2])


def _groups(listing: Listing) -> tuple[np.ndarray | None, str | None]:
    """A number for the group of each picture, int64, if they are known, and from where."""
    if listing.has_groups:
        table = read_groups(listing.raw / GROUPS, {one.file for one in listing.pictures})
        names, source = [table[one.file] for one in listing.pictures], GROUPS
    elif listing.pictures[0].group is not None:
        names, source = [one.group for one in listing.pictures], "folders"
    else:
        return None, None
    sides: dict[str, dict[str, str]] = defaultdict(dict)
    for name, one in zip(names, listing.pictures, strict=True):
        sides[name].setdefault(one.side, one.file)
    refuse(
        f"{first['test']}: expected a test of other groups than training, found {first['train']} "
        f"of the same, {printable(repr(name))}"
        for name, first in sides.items()
        if len(first) > 1
    )
    return np.unique(names, return_inverse=True)[1].astype(np.int64), source


def read_groups(path: Path, files: set[str]) -> dict[str, str]:
    """The group of each picture, out of a table that a spreadsheet can write.

    It is text in UTF-8 with commas, below the header ``file,group``; each of the `files` stands in
    it once, or an error has a line for each that is not so.
    """
    groups, lines = {}, []
    try:
        # Excel begins a file in UTF-8 with a mark, which is no part of the header.
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{GROUPS}: expected CSV in UTF-8, found: {error}") from None
    if header != HEADER:
        actual = printable(",".join(header))
        raise UserError(f"{GROUPS}: expected the header {','.join(HEADER)}, found {actual}")
    for row in rows:
        place = f"{GROUPS}: {printable(','.join(row))}"
        if len(row) != 2 or not row[1].strip():
            lines.append(f"{place}: expected a file and a group")
        elif row[0] not in files:
            lines.append(f"{place}: expected the file of a picture, CLASS/FILE")
        elif groups.setdefault(row[0], row) is not row:
            lines.append(f"{place}: expected each picture once, found it twice")
    refuse(lines)  # which may be why pictures have no line
    refuse(f"{one}: expected a line in {GROUPS}, found none" for one in files - {*groups})
    return {file: unicodedata.normalize("NFC", group.strip()) for file, group in groups.values()}


def _without_duplicates(
    listed: Sequence[Listed], facts: Sequence[Facts | UserError]
) -> tuple[np.ndarray, list[str]]:
    """Places of the pictures without later duplicates, and the files of those.

    Refuses all files that cannot be read, or that are in several classes.
    """
    first: dict[bytes, Listed] = {}
    rows, duplicates, counts = [], [], Counter()
    lines = [str(one) for one in facts if isinstance(one, UserError)]
    for row, (one, fact) in enumerate(zip(listed, facts, strict=True)):
        original = one if isinstance(fact, UserError) else first.setdefault(fact.digest, one)
        if original is not one and (original.name, original.side) == (one.name, one.side):
            duplicates.append(one.file)
            continue
        rows.append(row)
        counts[one.side, one.name] += 1
        if original is not one:
            wanted = "of one class" if original.name != one.name else "for training or for the test"
            lines.append(
                f"{one.file}: expected a picture {wanted}, found the same bytes in {original.file}"
            )
    lines += [
        f"{'/'.join(filter(None, place))}: expected at least 2 images, found {count}"
        for place, count in counts.items()
        if count < 2 and place[0] != "test"
    ]
    refuse(lines)
    return np.array(rows), duplicates


def _in_turn(data: Dataset, rows: np.ndarray) -> Dataset:
    labels = data.labels[rows]
    turns = np.empty(len(rows), np.int64)
    for label in range(data.classes):
        turns[labels == label] = np.arange((labels == label).sum())
    return data.take(rows[np.lexsort((labels, turns))])
