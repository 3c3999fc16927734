"""What a folder of pictures is taken for, by names alone: parts, classes, groups, and the rest.

No picture is decoded, so that a wrong guess is seen before anything is copied or read.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taller.datasets import pictures

GROUPS = "groups.csv"
# The parts of a data set as people call them, whatever the case, with words around them
# (training_set, seg_train, images-val, test1), which are left out where they tell no classes.
PARTS = {
    "train": "train|training|trainval|entrenamiento",
    "val": "val|valid|validation|validate|dev|eval|evaluation|validaci[oó]n",
    "test": "test|testing|holdout|pruebas?",
    "pred": "pred|predict|prediction",  # pictures of which nobody says the class
}
# With whatever is around them (train_cropped, rps-test-set, testA), which alone is not certain.
WORD_PARTS = {part: rf"(?<![^\W\d_])(?i:{words})(?![a-zà-ÿ])" for part, words in PARTS.items()}
AROUND = "(?:seg|sets?|data|images?|imgs?|pictures?|photos?|split)*"
IMAGES = "images?|imgs?|pictures?|photos?|jpe?g|png|fotos|im[aá]genes"
# What lies beside pictures, and has no class of its own.
MASKS = "masks?|labels?|annotations?|segmentations?|gt|groundtruth|b?boxes"
WORD_MASKS = rf"(?i)(?<![^\W\d_])({MASKS})(?![^\W\d_])"  # "Lung masks", beside images alone
MASK_OF = rf"(?i)(.+?)[-_. ]+({MASKS}|seg)([-_. ]*\d+)?"  # X_mask, beside a picture X
# What file managers, disks, cameras and archives put beside pictures.
PROGRAMS = (
    r"thumbs\.db|desktop\.ini|__macosx|@eadir|#recycle|\$recycle\.bin|lost\+found|"
    "system volume information"
)
# Control characters, halves of characters, and Unicode's signs for a new line and a paragraph.
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


@dataclass(frozen=True)
class Listed:
    """One file that should be a picture."""

    file: str  # relative to the listed folder, with /
    side: str  # train or test, or empty where the folder has no such parts
    name: str  # of its class
    group: str | None  # the folder in the class; one name in two classes is one group


class Listing:
    """The pictures of a folder, and what is wrong with it.

    Attributes
    ----------
    base : str
        Where the classes, or the parts, begin: below folders that hold one folder alone.
    parts : dict of str to list of str
        The folders of "train" and of "test", if there are any; without "test" it is to be drawn.
    pictures : list of Listed
        Sorted by file.
    names : tuple of str
        Of the classes, sorted.
    left_out : dict of str to str
        Files, or whole folders, that are no part of the data set: what kind of thing each is.
    wrong : set of str
        A line for each thing that keeps the folder from being a data set.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pictures: list[Listed] = []
        self.left_out: dict[str, str] = {}
        self.wrong: set[str] = set()
        self.parts: dict[str, list[str]] = {}
        self._tables: set[str] = set()
        self._seen: dict[str, tuple[list[str], list[str]]] = {}  # of each folder
        self._classes: dict[str, set[str]] = defaultdict(set)  # of each side
        self.base, folders, loose = self._enter("", wrapped=True)
        if not self._read_parts(folders):
            self._read_side("", folders)
        table = f"{self.base}/{GROUPS}".lstrip("/")
        self.has_groups = table in self._tables
        self.wrong |= {
            f"{one}: expected {GROUPS}, beside all folders" for one in self._tables - {table}
        }
        self.wrong |= {f"{file}: expected pictures in a folder for each class" for file in loose}
        # Otherwise what is wrong would be the reason for some of these.
        self.wrong = self.wrong or {*self._check(folders)}
        self.names = tuple(sorted(set().union(*self._classes.values())))
        # Python orders text by code points, which is the order of its bytes in UTF-8.
        self.pictures.sort(key=lambda one: one.file)

    def mixed(self) -> str:
        """A line where some pictures are in folders of groups and some are not, or empty."""
        within = next((one.file for one in self.pictures if one.group is not None), None)
        without = next((one.file for one in self.pictures if one.group is None), None)
        if not within or not without or self.has_groups:
            return ""
        return (
            f"{without}: expected groups of all pictures (folders, or {GROUPS}) or of none, found "
            f"{within} in a folder of a group and this in none; params.yaml: preprocess.groups: "
            f"none takes both as pictures of their class"
        )

    def kinds(self) -> dict[str, tuple[int, str]]:
        """How many things of each kind are left out, and the first of them."""
        counts = Counter(self.left_out.values())
        return {
            kind: (count, min(one for one, of in self.left_out.items() if of == kind))
            for kind, count in counts.most_common()
        }

    def _inside(self, folder: str) -> tuple[list[str], list[str]]:
        """The folders and the pictures in a folder, sorted."""
        if folder in self._seen:
            return self._seen[folder]
        folders, files = self._seen[folder] = [], []
        for name in sorted(os.listdir(self.root / folder)):
            file = f"{folder}/{name}".lstrip("/")
            path = self.root / file
            if name.startswith(".") or re.fullmatch(PROGRAMS, name.casefold()):
                self.left_out[file] = "of other programs"
            elif name.casefold() == GROUPS:
                self._tables.add(file)
            elif not (path.is_dir() or path.is_file()):
                kind = "a link to nothing" if path.is_symlink() else "something else"
                self.wrong.add(f"{file}: expected a file, found {kind}")
            elif path.is_file() and not pictures.is_picture(path):
                self.left_out[file] = Path(name).suffix.lower() or "without an extension"
            elif any(unicodedata.category(letter) in UNPRINTABLE for letter in name):
                self.wrong.add(f"{file!a}: expected a name of letters in UTF-8")
            else:
                (folders if path.is_dir() else files).append(file)
        stems = {Path(one).stem for one in files}
        for one in [*files]:
            if (mask := re.fullmatch(MASK_OF, Path(one).stem)) and mask[1] in stems:
                files.remove(one)
                self.left_out[one] = "masks"
        return folders, files

    def _enter(self, folder: str, *, wrapped: bool = False) -> tuple[str, list[str], list[str]]:
        """Go to where the pictures of a folder are; gives that folder, and what is inside.

        Of `images` and `masks` the images count. With `wrapped`, a folder that holds nothing but
        one folder of folders, as archives do (seg_train/seg_train/CLASS), is skipped, too.
        """
        folders, files = self._inside(folder)
        images = [one for one in folders if re.fullmatch(IMAGES, _letters(one))]
        masks = [
            one
            for one in folders
            if re.fullmatch(MASKS, _letters(one)) or (images and re.search(WORD_MASKS, _last(one)))
        ]
        if masks and (images or files):
            for one in masks:
                self._leave_out(one, "masks")
            folders = [one for one in folders if one not in masks]
        if len(folders) != 1 or files or f"{folder}/{GROUPS}".lstrip("/") in self._tables:
            return folder, folders, files
        (only,) = folders
        wrapped &= _part(only) in ("", _part(folder))  # what is called train is no wrapper
        if images or (wrapped and self._inside(only)[0]):
            return self._enter(only, wrapped=wrapped)
        return folder, folders, files

    def _leave_out(self, folder: str, kind: str) -> None:
        folders, files = self._inside(folder)
        self.left_out |= dict.fromkeys(files, kind)
        for one in folders:
            self._leave_out(one, kind)

    def _holds_pictures(self, folder: str) -> bool:
        folders, files = self._inside(folder)
        return bool(files) or any(self._holds_pictures(one) for one in folders)

    def _read_parts(self, folders: list[str]) -> bool:
        """Take folders for training and test, if they are that and no classes; gives whether."""
        named: dict[str, list[str]] = defaultdict(list)
        for one in folders:
            named[_part(one)].append(one)
        others = [one for one in named.pop("", []) if self._holds_pictures(one)]
        if not named or (others and "train" not in named):
            return False
        inside = {one: self._enter(one, wrapped=True) for part in named.values() for one in part}
        known = {_last(one) for part in named["train"] for one in inside[part][1]}
        labelled = {
            one
            for one, (_, classes, _) in inside.items()
            # Pictures without classes may lie in a folder of one's own: test/unknown.
            if classes and (one in named["train"] or len(classes) > 1 or _last(classes[0]) in known)
        }
        if others and not labelled:  # trains, cars and ships
            return False
        self.wrong |= {
            f"{one}: expected folders of parts (train, val, test) alone, or of classes alone, "
            f"found pictures beside {named['train'][0]}: rename one of them, or move this away"
            for one in others
        }
        usable = {part: [one for one in named[part] if one in labelled] for part in ("val", "test")}
        # Cross-validation replaces a part for validation, unless that is the only one for a test.
        joined = usable["val"] if usable["test"] else []
        sides = {"train": named["train"] + joined, "test": usable["test"] or usable["val"]}
        self.parts = {side: sorted(parts) for side, parts in sides.items() if parts}
        for one in inside:
            if one not in sides["train"] + sides["test"]:
                self._leave_out(one, "pictures without classes")
        for side, parts in self.parts.items():
            for _, classes, loose in (inside[one] for one in parts):
                self._read_side(side, classes)
                self.wrong |= {
                    f"{file}: expected pictures in a folder for each class" for file in loose
                }
        return True

    def _read_side(self, side: str, classes: list[str]) -> None:
        for folder in classes:
            if not re.fullmatch(MASKS, _letters(folder)) or self._holds_pictures(folder):
                self._classes[side].add(_last(folder))
                self._read_class(side, folder)

    def _read_class(self, side: str, folder: str) -> None:
        name = _last(folder)
        _, groups, files = self._enter(folder)
        self.pictures += [Listed(file, side, name, None) for file in files]
        if not groups and not files:
            kinds = {kind for one, kind in self.left_out.items() if one.startswith(f"{folder}/")}
            found = f"only files {', '.join(sorted(kinds))}" if kinds else "none"
            self.wrong.add(f"{folder}: expected pictures, found {found}")
        if groups and not files and {"train"} < {*map(_part, groups)} <= {*PARTS}:
            self.wrong.add(f"{groups[0]}: expected {_last(groups[0])}/{name}, found a part in it")
        for group in groups:
            _, deeper, files = self._enter(group)
            self.wrong |= {f"{one}: expected a picture, found a folder" for one in deeper}
            if not deeper and not files:
                self.wrong.add(f"{group}: expected pictures, found none")
            self.pictures += [Listed(file, side, name, _last(group)) for file in files]

    def _check(self, folders: list[str]) -> Iterator[str]:
        if not self.parts and not self.has_groups:
            yield from _hidden_parts(folders, [self._enter(one)[1:] for one in folders])
        if "test" in self.parts and "train" not in self.parts:
            yield f"train: expected a folder beside {self.parts['test'][0]}, found none"
            return
        for side in self.parts or [""]:
            if len(names := sorted(self._classes[side])) < 2:
                only = f"only {names[0]}" if names else "none"
                where = ", ".join(self.parts.get(side, [str(self.root)]))
                yield f"{where}: expected folders of pictures for 2 classes or more, found {only}"
        if len(self.parts) == 2:
            for name in self._classes["train"] ^ self._classes["test"]:
                yield f"{name}: expected this class in train and in test, found it in one of them"


def _hidden_parts(folders: list[str], inside: list[tuple[list[str], list[str]]]) -> Iterator[str]:
    """A line where folders that stand for classes may be parts that are called something else.

    Folders of the same names in each may be classes in parts; but if they have dates, groups.
    """
    mentioned = {
        part for one in folders for part in PARTS if re.search(WORD_PARTS[part], _last(one))
    }
    within = [{*map(_last, deeper)} for deeper, files in inside if not files]
    alike = len(within) == len(folders) > 1 and all(one == within[0] for one in within)
    alike = alike and not all(re.search(r"(19|20)\d\d\D?(0\d|1[0-2])", one) for one in within[0])
    if {"train"} < mentioned or (alike and len(within[0]) > 1):
        names = ", ".join(map(_last, folders))
        yield (
            f"{names}: expected classes, found what may be parts: call these train, val and test; "
            f"if they are classes, and the same groups are in each, list those in {GROUPS}"
        )


def _last(file: str) -> str:
    """The name of a file, the same whatever bytes a system writes its letters in."""
    return unicodedata.normalize("NFC", file.rpartition("/")[2])


def _letters(folder: str) -> str:
    return re.sub(r"[\W\d_]", "", _last(folder).casefold())


def _part(folder: str) -> str:
    """The part of a data set that a folder's name says, or empty."""
    for part, words in PARTS.items():
        if re.fullmatch(f"{AROUND}({words}){AROUND}", _letters(folder)):
            return part
    return ""
