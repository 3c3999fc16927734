"""A folder of pictures as a data set: a folder for each class, in it one for each group, if known.

A group is what a network must not recognise: a patient, a product, a place. ``groups.csv`` may
name the groups instead.
"""

import csv
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from taller.common import params
from taller.common.terminal import UserError, printable, refuse
from taller.datasets import near_copies, pictures
from taller.datasets.dataset import Dataset, chunks
from taller.datasets.layout import GROUPS, Listed, Listing
from taller.datasets.pictures import Facts
from taller.datasets.splits import choose_test

HEADER = ["file", "group"]
DARK = 64  # levels: a picture without a brighter one is likely of more bits than it says


class Params(params.Section):
    """What of params.yaml decides how a folder becomes a data set."""

    folds: int = Field(ge=2, le=50)
    groups: Literal["auto", "none"]
    image_size: int = Field(ge=8, le=512)
    fit: pictures.Fit
    channels: Literal["auto", 1, 3]
    test_share: float = Field(gt=0, lt=1)
    conflicts: Literal["stop", "drop"]


@dataclass(frozen=True)
class Look:
    """What a folder is taken for.

    Attributes
    ----------
    parts : dict of str to list of str
        The folders of "train" and "test"; empty where there are classes alone, and without "test"
        where that is to be drawn. A part for validation stands where its pictures go.
    classes : dict of str to (int, int)
        Pictures for training and for the test; all for training where the test is to be drawn.
    groups : tuple of str and int, or None
        Where groups are known from, "folders" or "groups.csv", and how many there are.
    left_out : dict of str to (int, str)
        Kinds of things that are no part of the data set: how many, and the first of each.
    files : list of str
        The pictures, sorted, relative to the folder.
    unclear : str or None
        A line that says what cannot be told, and what decides it.
    """

    parts: dict[str, list[str]]
    classes: dict[str, tuple[int, int]]
    groups: tuple[str, int] | None
    left_out: dict[str, tuple[int, str]]
    files: list[str]
    unclear: str | None
    labels: np.ndarray  # int64, shape (n,), of the files
    numbers: np.ndarray | None  # of their groups; None where there are none, or they do not count
    test: np.ndarray | None  # bool, shape (n,); None where the test is to be drawn


def look(root: Path, *, grouped: bool = True) -> Look:
    """Say what a folder of pictures is taken for, by names alone; `read` takes it for the same.

    `grouped` is whether groups count, as `preprocess.groups` says.
    """
    listing = Listing(root)
    counts = Counter((one.name, one.side == "test") for one in listing.pictures)
    groups, unclear = None, None
    try:
        refuse(listing.wrong or filter(None, [grouped and listing.mixed()]))
        groups = _groups(listing, grouped=grouped)
    except UserError as error:
        unclear, *more = str(error).splitlines()
        unclear += " (and more)" if more else ""
    return Look(
        listing.parts,
        {name: (counts[name, False], counts[name, True]) for name in listing.names},
        groups and (groups[1], len({*groups[0]})),
        listing.kinds(),
        [one.file for one in listing.pictures],
        unclear,
        np.array([listing.names.index(one.name) for one in listing.pictures], np.int64),
        groups[0] if groups and grouped else None,
        np.array([one.side == "test" for one in listing.pictures])
        if "test" in listing.parts
        else None,
    )


def read(raw: Path, chosen: Params, seed: int) -> tuple[Dataset, Dataset, dict]:
    """Read a folder of pictures.

    Parameters
    ----------
    raw : Path
        Holds ``CLASS/*`` or ``CLASS/GROUP/*``; or folders for training, validation and test, which
        hold that (`layout.Listing`). With a ``groups.csv``, or without. Links in it are followed.
    chosen : Params
        Of the images: size, form and channels, "auto" for grey if all pictures are. Of the test:
        its share, as in `choose_test`, where no test pictures are given.
    seed : int
        As in `choose_test`.

    Returns
    -------
    training, test : Dataset
        In turn the first image of each class, the second of each, and so on. Groups are what is
        given, or pictures of one shot (`near_copies`), if there are any.
    facts : dict
        As resultados/datos.json has them: what was left out, where test and groups come from, near
        copies, and the smallest and the largest original, in pixels.

    Raises
    ------
    UserError
        With a line for each file or folder that is not as expected.
    """
    if raw.is_symlink():
        raise UserError(
            f"{raw}: expected a folder, found a link, which is of use on this machine alone; "
            f"copy the pictures there"
        )
    listing, grouped = Listing(raw), chosen.groups == "auto"
    refuse(listing.wrong or filter(None, [grouped and listing.mixed()]))
    files = [one.file for one in listing.pictures]
    groups, source = _groups(listing, grouped=grouped) or (None, None)
    paths, auto = [raw / file for file in files], chosen.channels == "auto"
    images, facts, white = pictures.read_all(
        paths, files, chosen.image_size, 3 if auto else chosen.channels, chosen.fit
    )
    rows, duplicates, conflicts = _unique(listing.pictures, facts, chosen.conflicts)
    if auto and all((images[part, :1] == images[part]).all() for part in chunks(images)):
        images = images[:, :1]
    labels = np.array([listing.names.index(one.name) for one in listing.pictures], np.int64)
    near = near_copies.find(images[row] for row in rows)
    if groups is None and grouped and len(near.pairs) > 0:
        groups = np.zeros(len(files), np.int64)
        groups[rows] = near.groups
    if given := "test" in listing.parts:
        test = np.array([listing.pictures[row].side == "test" for row in rows])
    else:
        of_rows = groups[rows] if grouped and groups is not None else None
        test = choose_test(
            labels[rows], listing.names, of_rows, chosen.test_share, chosen.folds, seed
        )
    names = [files[row] for row in rows]
    kept, apart, across = [], [], []
    for one, other in near.pairs:
        same = grouped and groups is not None and groups[rows[one]] == groups[rows[other]]
        place = across if test[one] != test[other] else kept if same else apart
        place.append((names[one], names[other]))
    several = [files[row] for row in rows if facts[row].several]
    for side, parts in listing.parts.items():
        print(f"pictures of {side}: {', '.join(parts)}")
    for kind, (count, first) in listing.kinds().items():
        print(f"pictures: {count} left out, {kind}: {printable(first)}")
    _list("left out, as a picture of their class has the same bytes", duplicates)
    _list("left out, as one of another class or part has the same bytes", conflicts)
    _list("of several frames, of which the first is taken", several)
    deep = [files[row] for row in rows if facts[row].highest]
    _list(f"of 16 bits, of which {white} is taken for white", deep)
    for pairs, how in (
        (kept, "kept together"),
        (apart, "not kept together"),
        (across, "across training and test"),
    ):
        _list(f"pairs that look like one shot, {how}", [" = ".join(pair) for pair in pairs])
    if near.dissolved:
        print(
            f"pictures: {near.dissolved} are in groups too large to be one shot (over 5 % of all); "
            f"if they belong together, say so in {GROUPS}"
        )
    brightest = np.concatenate([images[part].max(axis=(1, 2, 3)) for part in chunks(images)])
    dark = [file for file, level in zip(files, brightest, strict=True) if level < DARK]
    _list(f"without a level of {DARK} or more, of 255: are they of other bits?", dark)
    sizes = sorted((facts[row].size for row in rows), key=lambda size: (size[0] * size[1], size))
    described = {
        "parts": listing.parts,
        "left_out": {kind: count for kind, (count, _) in listing.kinds().items()},
        "duplicates": len(duplicates),
        "conflicts": len(conflicts),
        "several_frames": len(several),
        "near_copies": {
            "pairs": len(near.pairs),
            "pictures": len(np.unique(near.pairs)),
            "apart": len(apart),
            "dissolved": near.dissolved,
            "across": across,
        },
        "test": "given" if given else "drawn",
        "groups": source,
        "fit": chosen.fit,
        "white": white if deep else None,
        "dark": len(dark),
        "smallest": list(sizes[0]),
        "largest": list(sizes[-1]),
    }
    data = Dataset(images, labels, listing.names, groups)
    return _in_turn(data, rows[~test]), _in_turn(data, rows[test]), described


def _list(what: str, which: Sequence[str]) -> None:
    if which:
        more = f" and {len(which) - 3} more" if len(which) > 3 else ""
        print(f"pictures: {len(which)} {what}: {', '.join(which[:3])}{more}", flush=True)


def _groups(listing: Listing, *, grouped: bool = True) -> tuple[np.ndarray, str] | None:
    """A number for the group of each picture, int64, and from where; None if they are not known.

    If they are to be `grouped`, a group of training and test is a `UserError`.
    """
    if listing.has_groups:
        base = f"{listing.base}/".lstrip("/")
        of_file = {one.file: one.file.removeprefix(base) for one in listing.pictures}
        table = read_groups(listing.root / base / GROUPS, {*of_file.values()})
        names, source = [table[file] for file in of_file.values()], GROUPS
    elif listing.pictures and not listing.mixed() and listing.pictures[0].group is not None:
        names, source = [one.group for one in listing.pictures], "folders"
    else:
        return None
    sides: dict[str, dict[str, str]] = defaultdict(dict)
    for name, one in zip(names, listing.pictures, strict=True):
        sides[name].setdefault(one.side, one.file)
    refuse(
        f"{first['test']}: expected a test of other groups than training, found {first['train']} "
        f"of the same, {printable(repr(name))}"
        for name, first in sides.items()
        if grouped and len(first) > 1
    )
    return np.unique(names, return_inverse=True)[1].astype(np.int64), source


def read_groups(path: Path, files: set[str]) -> dict[str, str]:
    """The group of each picture, out of a table that a spreadsheet can write.

    It is text in UTF-8 with commas, or semicolons where Excel writes those, below the header
    ``file,group``; each of the `files` stands in it once, with / or \\ between folders, or an error
    has a line for each that is not so.
    """
    groups, lines = {}, []
    try:
        # Excel begins a file in UTF-8 with a mark, which is no part of the header.
        with path.open(encoding="utf-8-sig", newline="") as file:
            comma = ";" if file.readline().count(";") else ","
            file.seek(0)
            reader = csv.reader(file, strict=True, delimiter=comma)
            header, *rows = [row for row in reader if row] or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{GROUPS}: expected CSV in UTF-8, found: {error}") from None
    if header != HEADER:
        actual = printable(",".join(header))
        raise UserError(f"{GROUPS}: expected the header {','.join(HEADER)}, found {actual}")
    for row in rows:
        row[0] = row[0] if row[0] in files else row[0].replace("\\", "/")
        place = f"{GROUPS}: {printable(','.join(row))}"
        if len(row) != 2 or not row[1].strip():
            lines.append(f"{place}: expected a file and a group")
        elif row[0] not in files:
            lines.append(
                f"{place}: expected the file of a picture, such as {printable(min(files))}"
            )
        elif groups.setdefault(row[0], row) is not row:
            lines.append(f"{place}: expected each picture once, found it twice")
    refuse(lines)  # which may be why pictures have no line
    refuse(f"{one}: expected a line in {GROUPS}, found none" for one in files - {*groups})
    return {file: unicodedata.normalize("NFC", group.strip()) for file, group in groups.values()}


def _unique(
    listed: Sequence[Listed], facts: Sequence[Facts | UserError], conflicts: str
) -> tuple[np.ndarray, list[str], list[str]]:
    """Places of the pictures that take part, and files of duplicates and of conflicts.

    A duplicate has the same bytes as an earlier picture of its class and part. In a conflict the
    class, or the part, is another one: all pictures with these bytes are left out, or refused. So
    are files that cannot be read.
    """
    refuse(str(one) for one in facts if isinstance(one, UserError))
    places: dict[bytes, set[tuple[str, str]]] = defaultdict(set)
    for one, fact in zip(listed, facts, strict=True):
        places[fact.digest].add((one.side, one.name))
    first: dict[bytes, Listed] = {}
    rows, duplicates, conflicting, lines, counts = [], [], [], [], Counter()
    for row, (one, fact) in enumerate(zip(listed, facts, strict=True)):
        original = first.setdefault(fact.digest, one)
        if len(places[fact.digest]) > 1:
            conflicting.append(one.file)
            if (original.side, original.name) != (one.side, one.name):
                other = original.name != one.name
                wanted = "of one class" if other else "for training or for the test"
                lines.append(
                    f"{one.file}: expected a picture {wanted}, found the same bytes in "
                    f"{original.file}: delete what is wrong, or set preprocess.conflicts: drop"
                )
        elif original is not one:
            duplicates.append(one.file)
        else:
            rows.append(row)
            counts[one.side, one.name] += 1
    refuse(lines if conflicts == "stop" else [])
    refuse(
        f"{'/'.join(filter(None, place))}: expected at least 2 images, found {counts[place]}"
        for place in {(one.side, one.name) for one in listed}
        if counts[place] < (1 if place[0] == "test" else 2)
    )
    return np.array(rows), duplicates, conflicting


def _in_turn(data: Dataset, rows: np.ndarray) -> Dataset:
    labels = data.labels[rows]
    turns = np.empty(len(rows), np.int64)
    for label in range(data.classes):
        turns[labels == label] = np.arange((labels == label).sum())
    return data.take(rows[np.lexsort((labels, turns))])
