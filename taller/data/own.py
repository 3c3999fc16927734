"""Your own pictures as a data set: a folder for each class, tests given or held out."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taller.data import all_pictures, folder, groups
from taller.data.all_pictures import Read
from taller.data.dataset import Dataset
from taller.data.folder import Listed, Listing
from taller.data.held_out import held_out
from taller.program import large, reading
from taller.program.errors import refuse


@dataclass(frozen=True)
class Own:
    """The user's pictures.

    Attributes
    ----------
    training, test : Dataset
        In turn the first image of each class, the second of each, and so on.
    facts : dict
        ``copies`` and ``several_frames``: how many files; ``test``: ``given`` or
        ``held_out``; ``origins``: ``groups.csv``, ``folders`` or None; ``smallest`` and
        ``largest``: width and height in pixels of the originals with fewest and most of them.
    """

    training: Dataset
    test: Dataset
    facts: dict


def read(raw: Path, *, side: int, channels: int | None, test_share: float, seed: int) -> Own:
    """Read a folder of pictures.

    Parameters
    ----------
    raw : Path
        As `folder.listing` reads it; with a ``groups.csv``, or without.
    side : int
        Of each image, in pixels.
    channels : int or None
        1 for grey, 3 for colour; None for grey if all pictures are.
    test_share : float
        Of each class, between 0 and 1, that is held out where no test pictures are given.
    seed : int
        Decides which are held out: 0 to 2^32 - 1.

    Raises
    ------
    Problems
        A line for each file or folder that is not as expected.
    Problem
        When no test can be held out, or groups.csv is no table.
    """
    listed = folder.listing(raw)
    origins, origins_from = _origins(listed)
    found = all_pictures.read_all(
        [one.path for one in listed.pictures],
        [one.file for one in listed.pictures],
        side=side,
        channels=channels or 3,
    )
    kept, copies = _without_copies(listed, found)
    images = found.images[:, :1] if channels is None and _is_grey(found.images) else found.images
    places = {name: place for place, name in enumerate(listed.names)}
    labels = np.array([places[one.name] for one in listed.pictures], np.int64)
    ids = None if origins is None else np.array(origins, np.int64)
    if listed.given:
        test = np.array([listed.pictures[row].side == "test" for row in kept])
    else:
        test = held_out(
            labels[kept], listed.names, None if ids is None else ids[kept], test_share, seed
        )
    data = Dataset(images, labels, listed.names, ids)
    several = [listed.pictures[row].file for row in kept if found.several[row]]
    sizes = sorted((found.sizes[row] for row in kept), key=lambda size: (size[0] * size[1], size))
    for told, which in (
        ("left out, as a picture of their class has the same bytes", copies),
        ("of several frames, of which the first is taken", several),
    ):
        folder.tell(told, which)
    facts = {
        "copies": len(copies),
        "several_frames": len(several),
        "test": "given" if listed.given else "held_out",
        "origins": origins_from,
        "smallest": list(sizes[0]),
        "largest": list(sizes[-1]),
    }
    return Own(_in_turn(data, kept[~test]), _in_turn(data, kept[test]), facts)


def _origins(listed: Listing) -> tuple[list[int] | None, str | None]:
    """A number for the origin of each picture, if they are known, and from where."""
    if listed.groups is not None:
        table = groups.read(listed.groups, [one.file for one in listed.pictures])
        told, source = [table[one.file] for one in listed.pictures], folder.GROUPS
    elif listed.pictures[0].origin is not None:
        told, source = [one.origin for one in listed.pictures], "folders"
    else:
        return None, None
    numbers = {name: number for number, name in enumerate(sorted({*told}))}
    sides: dict[str, dict[str, str]] = {}
    for name, one in zip(told, listed.pictures, strict=True):
        sides.setdefault(name, {}).setdefault(one.side, one.file)
    refuse(
        f"{first['test']}: expected a test of other origins than training, found {first['train']} "
        f"of the same, {reading.shown(name)}"
        for name, first in sides.items()
        if len(first) > 1
    )
    return [numbers[name] for name in told], source


def _is_grey(images: np.ndarray) -> bool:
    return all((images[part, :1] == images[part, 1:]).all() for part in large.parts(images))


def _without_copies(listed: Listing, found: Read) -> tuple[np.ndarray, list[str]]:
    """Places of the pictures without later copies, and the files of those; or all problems."""
    problems = [f"{file}: {problem}" for file, problem in found.problems.items()]
    first: dict[bytes, Listed] = {}
    kept, copies, counts = [], [], Counter()
    for place, (one, digest) in enumerate(zip(listed.pictures, found.digests, strict=True)):
        original = one if digest is None else first.setdefault(digest, one)
        if original is not one and (original.name, original.side) == (one.name, one.side):
            copies.append(one.file)
            continue
        kept.append(place)
        counts[one.side, one.name] += 1
        if original is not one:
            wanted = "of one class" if original.name != one.name else "for training or for the test"
            problems.append(
                f"{one.file}: expected a picture {wanted}, found the same bytes in {original.file}"
            )
    problems += [
        f"{'/'.join(filter(None, place))}: expected at least 2 images, found {count}"
        for place, count in counts.items()
        if count < 2 and place[0] != "test"
    ]
    refuse(problems)
    return np.array(kept), copies


def _in_turn(data: Dataset, rows: np.ndarray) -> Dataset:
    labels = data.labels[rows]
    turns = np.empty(len(rows), np.int64)
    for label in range(data.classes):
        turns[labels == label] = np.arange((labels == label).sum())
    return data.take(rows[np.lexsort((labels, turns))])
