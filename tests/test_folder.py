"""A folder of pictures: what it may look like, and a line for each thing that is not so."""

import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taller.data import folder, own
from taller.program.errors import Problem, Problems


def picture(file: Path, level: int, size=(6, 4)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, level).save(file, "PNG")


def fill(raw: Path, *files: str) -> Path:
    """Pictures of which no two are the same: the first of level 0, the next of level 1, ..."""
    for level, file in enumerate(files):
        picture(raw / file, level)
    return raw


@pytest.fixture
def raw(tmp_path):
    """Two classes of three pictures."""
    names = [f"{name}/{place}.png" for name in ("cat", "dog") for place in range(3)]
    return fill(tmp_path / "raw", *names)


def read(raw, side=4, channels=None, test_share=0.34, seed=0):
    return own.read(raw, side=side, channels=channels, test_share=test_share, seed=seed)


def lines(raw) -> list[str]:
    with pytest.raises(Problem) as caught:
        read(raw)
    return str(caught.value).replace(str(raw), "RAW").split("\n")


def levels(data) -> list[int]:
    return data.images[:, 0, 2, 2].tolist()


def test_folders_are_classes(raw):
    found = read(raw)
    assert found.training.names == found.test.names == ("cat", "dog")
    assert found.training.labels.tolist() == [0, 1, 0, 1]
    assert found.test.labels.tolist() == [0, 1]
    assert sorted(levels(found.training) + levels(found.test)) == [0, 1, 2, 3, 4, 5]
    assert found.training.groups is found.test.groups is None
    assert found.facts == {
        "copies": 0, "several_frames": 0, "test": "held_out", "origins": None,
        "smallest": [6, 4], "largest": [6, 4],
    }  # fmt: skip


def test_given_sides_keep_theirs_in_turn_and_in_the_order_of_bytes(tmp_path):
    raw = fill(
        tmp_path, "train/b/é.png", "train/b/z.png", "train/b/Z.png", "train/ñ/2.png",
        "train/ñ/10.png", "train/B/a.png", "train/B/b.png", "test/B/x.png", "test/b/x.png",
        "test/ñ/x.png",
    )  # fmt: skip
    found = read(raw)
    assert found.training.names == ("B", "b", "ñ")
    assert found.training.labels.tolist() == [0, 1, 2, 0, 1, 2, 1]
    assert levels(found.training) == [5, 2, 4, 6, 1, 3, 0]
    assert levels(found.test) == [7, 8, 9] and found.facts["test"] == "given"
    assert found.training.labels.dtype == np.int64 and found.training.images.flags.c_contiguous


def test_train_alone_is_what_the_test_is_held_out_from(raw, tmp_path):
    (tmp_path / "whole").mkdir()
    raw.rename(tmp_path / "whole/train")
    found = read(tmp_path / "whole")
    assert (len(found.training), len(found.test), found.facts["test"]) == (4, 2, "held_out")


def test_test_alone_is_refused(raw, tmp_path):
    (tmp_path / "whole").mkdir()
    raw.rename(tmp_path / "whole/test")
    assert lines(tmp_path / "whole") == ["train: expected a folder beside test, found none"]


def test_folders_in_a_class_are_origins_whatever_the_class(tmp_path):
    raw = fill(
        tmp_path, "train/cat/ana/1.png", "train/cat/bo/1.png", "train/dog/ana/1.png",
        "train/dog/bo/1.png", "test/cat/cy/1.png", "test/dog/da/1.png",
    )  # fmt: skip
    found = read(raw)
    assert found.training.groups.tolist() == [0, 0, 1, 1] and found.test.groups.tolist() == [2, 3]
    assert found.training.groups.dtype == np.int64 and found.facts["origins"] == "folders"
    (raw / "test/dog/da").rename(raw / "test/dog/bo")
    assert lines(raw) == [
        "test/dog/bo/1.png: expected a test of other origins than training, found "
        "train/cat/bo/1.png of the same, 'bo'"
    ]


def table(raw, *rows, head="file,group"):
    (raw / "groups.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


def rows_of(groups: str) -> list[str]:
    return [
        f"{name}/{place}.png,{group}"
        for (name, place), group in zip(
            [(name, place) for name in ("cat", "dog") for place in range(3)], groups, strict=True
        )
    ]


def test_a_table_tells_origins_and_wins_over_folders(raw, capsys):
    table(raw, *rows_of("abcabc"), head="\ufefffile,group")
    found = read(raw)
    assert found.facts["origins"] == "groups.csv" and not capsys.readouterr().out
    ids = np.array([0, 1, 2, 0, 1, 2])
    for data in (found.training, found.test):
        assert data.groups.tolist() == ids[levels(data)].tolist()
    assert not {*found.training.groups} & {*found.test.groups}
    for place in range(3):  # the folders would say that each class has an origin of its own
        for name in ("cat", "dog"):
            (raw / name / name).mkdir(exist_ok=True)
            (raw / name / f"{place}.png").rename(raw / name / name / f"{place}.png")
    table(raw, *(f"{row[:3]}/{row}" for row in rows_of("abcabc")))
    assert read(raw).training.groups.tolist() == found.training.groups.tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "groups.csv: expected the header file,group, found ''"),
        ("file;group\n", "groups.csv: expected the header file,group, found 'file;group'"),
        ('file,group\n"a\n', "groups.csv: line 2: expected CSV, found: unexpected end of data"),
        (b"file,group\n\xff", "RAW/groups.csv: expected text in UTF-8, found invalid start byte"),
    ],
)
def test_what_is_no_table_is_told(raw, text, expected):
    (raw / "groups.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert lines(raw) == [expected]


def test_a_table_names_each_picture_once(raw):
    rows = rows_of("abcabc")
    table(raw, rows[0], "", rows[0], "cat\\1.png,b", "cat/2.png", "dog/0.png, ", *rows[4:])
    told = lines(raw)
    assert told[0] == (
        "groups.csv: line 4: expected each picture once, found 'cat/0.png' also in line 2"
    )
    assert told[1] == (
        "groups.csv: line 5: expected the file of a picture, CLASS/FILE, found 'cat\\\\1.png'"
    )
    # What may be the reason for a missing line comes before it.
    assert all(line.startswith("groups.csv: line ") for line in told)
    table(raw, *rows[:4])
    assert lines(raw)[0].endswith(": expected a line in groups.csv, found none")


def test_the_other_two_rows_that_are_wrong(raw):
    rows = rows_of("abcabc")
    table(raw, *rows[:2], "cat/2.png", "dog/0.png, ", *rows[4:])
    assert lines(raw) == [
        "groups.csv: line 4: expected a file and a group, found 1 fields",
        "groups.csv: line 5: expected a group, found none",
    ]


def test_left_out_files_are_counted_and_told(raw, capsys):
    for file in (".DS_Store", "README.md", "cat/Thumbs.db", "cat/._0.png", "dog/desktop.ini"):
        (raw / file).write_text("of no class", encoding="utf-8")
    (raw / ".git").mkdir()
    fill(raw / "__MACOSX/cat", "0.png")
    found = read(raw)
    assert len(found.training) + len(found.test) == 6
    folder.tell(folder.LEFT_OUT, folder.listing(raw).left_out)
    assert capsys.readouterr().out == (
        "pictures: 7 left out, as they are no pictures of a class: .DS_Store, .git, README.md "
        "and 4 more\n"
    )


def test_copies_in_a_class_are_left_out_and_told(raw, capsys):
    (raw / "cat/9.png").write_bytes((raw / "cat/0.png").read_bytes())
    (raw / "cat/01.png").symlink_to("0.png")
    found = read(raw)
    assert found.facts["copies"] == 2 and len(found.training) + len(found.test) == 6
    assert capsys.readouterr().out == (
        "pictures: 2 left out, as a picture of their class has the same bytes: cat/01.png, "
        "cat/9.png\n"
    )


def test_several_frames_are_counted_and_told(raw, capsys):
    frames = [Image.new("L", (5, 50), level) for level in (40, 90)]
    frames[0].save(raw / "dog/a.gif", save_all=True, append_images=frames[1:])
    facts = read(raw).facts
    assert (facts["several_frames"], facts["smallest"], facts["largest"]) == (1, [6, 4], [5, 50])
    told = "pictures: 1 of several frames, of which the first is taken: dog/a.gif\n"
    assert capsys.readouterr().out == told


def test_channels_are_found_or_as_asked(raw):
    assert read(raw).training.shape == (1, 4, 4)
    assert read(raw, channels=3).training.shape == (3, 4, 4)
    Image.new("RGB", (6, 4), (1, 2, 3)).save(raw / "dog/9.png")
    assert read(raw).training.shape == (3, 4, 4)
    grey = read(raw, channels=1)
    assert grey.test.shape == (1, 4, 4) and {*levels(grey.training), *levels(grey.test)} == {
        0, 1, 2, 3, 4, 5,
    }  # fmt: skip


def test_links_within_are_followed(raw, tmp_path):
    fill(raw / ".store", "7.png", "8.png")
    for level, name in ((57, "7.png"), (58, "8.png")):
        picture(raw / ".store" / name, level)
    (raw / "eel").symlink_to(".store")
    (tmp_path / "linked").symlink_to(raw)
    found = read(tmp_path / "linked")
    assert found.training.names == ("cat", "dog", "eel") and len(found.training) == 5


def fifo(file):
    os.mkfifo(file)


def text(content):
    return lambda file: file.write_bytes(content)


def link(target):
    return lambda file: file.symlink_to(target)


OUT = Path(tempfile.gettempdir()).resolve()
# What is made where, and the line that tells of it.
WRONG = [
    ("cat/a.png", text(b""), "cat/a.png: expected a picture, found an empty file"),
    ("cat/a.png", text(b"words"), "cat/a.png: expected a picture, found something else"),
    ("cat/a.png", fifo, "cat/a.png: expected a file, found a named pipe"),
    ("a.png", fifo, "a.png: expected a file, found a named pipe"),
    (
        "cat/a.png", link("/dev/null"),
        "cat/a.png: expected no link out of the data set, found one to /dev/null",
    ),
    (
        "eel", link(OUT), f"eel: expected no link out of the data set, found one to {OUT}",
    ),
    (
        "cat/a.png", link("none.png"),
        "cat/a.png: expected a link to a file, found one to nothing: none.png",
    ),
    (
        "cat/a.png", link("a.png"),
        "cat/a.png: expected a link to a file, found one that leads in a circle",
    ),
    (
        "a.png", lambda file: picture(file, 9),
        "a.png: expected pictures in a folder for each class, found one beside them",
    ),
    ("eel", Path.mkdir, "eel: expected pictures, found none"),
    ("eel/a.png", lambda file: picture(file, 9), "eel: expected at least 2 images, found 1"),
    (
        "cat/eve/1.png", lambda file: picture(file, 9),
        "cat/0.png: expected origins for all pictures (folders, or groups.csv) or for none, found "
        "cat/eve/1.png in a folder of an origin and this in none",
    ),
    (
        "cat/eve/day/1.png", lambda file: picture(file, 9),
        "cat/eve/day: expected a picture, found a directory",
    ),
    ("cat/eve", Path.mkdir, "cat/eve: expected pictures, found none"),
    (
        "dog/9.png", lambda file: picture(file, 1),
        "dog/9.png: expected a picture of one class, found the same bytes in cat/1.png",
    ),
    (
        os.fsdecode(b"cat/\xe9.png"), lambda file: picture(file, 9),
        "cat: expected names in UTF-8, found b'\\xe9.png'",
    ),
    (
        os.fsdecode(b"\xe9/1.png"), lambda file: picture(file, 9),
        "RAW: expected names in UTF-8, found b'\\xe9'",
    ),
    (
        "cat/a\nb.png", lambda file: picture(file, 9),
        "cat: expected names without control characters, found 'a\\nb.png'",
    ),
    (
        "e\u2028l/1.png", lambda file: picture(file, 9),
        "RAW: expected names without control characters, found 'e\\u2028l'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("file", "make", "line"), WRONG)
def test_each_thing_that_is_wrong_has_its_line(raw, file, make, line):
    (raw / file).parent.mkdir(parents=True, exist_ok=True)
    make(raw / file)
    assert lines(raw) == [line]


def test_one_name_in_two_spellings_is_refused(raw):
    fill(raw, "el nin\u0303o/1.png", "el ni\u00f1o/1.png")
    assert lines(raw) == [
        "el ni\u00f1o: expected one spelling of a class name, found el nin\u0303o, the same "
        "letters in other bytes"
    ]


def test_one_origin_in_two_spellings_is_one(tmp_path):
    raw = fill(tmp_path, "a/n\u0303/1.png", "a/x/1.png", "b/\u00f1/1.png", "b/x/1.png")
    found = read(raw, test_share=0.5)
    assert {len({*part.groups}) for part in (found.training, found.test)} == {1}


def test_a_file_that_may_not_be_read_has_its_line():
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        raw = fill(Path(place), *(f"{name}/{i}.png" for name in "ab" for i in range(2)), "c/1.png")
        (raw / "a/0.png").chmod(0)
        (raw / "c").chmod(0)
        user = os.geteuid()
        try:
            if user == 0:  # who may read everything
                os.seteuid(65534)
            told = lines(raw)
        finally:
            os.seteuid(user)
            (raw / "c").chmod(0o700)
        assert told == ["c: expected a folder to read, found: Permission denied"]
        picture(raw / "c/2.png", 77)
        (raw / "c").chmod(0o755)
        try:
            if user == 0:
                os.seteuid(65534)
            told = lines(raw)
        finally:
            os.seteuid(user)
        assert told == ["a/0.png: expected access, found: Permission denied"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], ["RAW: expected folders of pictures for at least 2 classes, found none"]),
        (["a/1.png"], ["RAW: expected folders of pictures for at least 2 classes, found only a"]),
        (
            ["train/a/1.png", "train/a/2.png", "test/b/1.png", "train/b/1.png", "test/c/1.png"],
            [
                "test/a: expected a folder of pictures, as in train, found none",
                "train/c: expected a folder of pictures, as in test, found none",
            ],
        ),
        (
            ["train/a/1.png", "train/b/1.png", "train/b/2.png", "test/a/1.png", "test/b/1.png"],
            ["train/a: expected at least 2 images, found 1"],
        ),
        (
            ["train/a/1.png", "train/b/1.png", "test/1.png"],
            ["test/1.png: expected pictures in a folder for each class, found one beside them"],
        ),
    ],
)
def test_too_few_or_other_classes(tmp_path, files, expected):
    tmp_path.joinpath("raw").mkdir()
    assert lines(fill(tmp_path / "raw", *files)) == expected


def test_a_picture_on_both_sides_is_refused(tmp_path):
    raw = fill(tmp_path, *(f"train/{name}/{place}.png" for name in "ab" for place in range(2)))
    picture(raw / "test/a/9.png", 99)
    picture(raw / "test/b/9.png", 2)
    assert lines(raw) == [
        "train/b/0.png: expected a picture for training or for the test, found the same bytes "
        "in test/b/9.png"
    ]


@pytest.mark.parametrize("make", [lambda raw: None, lambda raw: raw.write_text("")])
def test_no_folder_at_all(tmp_path, make):
    make(tmp_path / "raw")
    (line,) = lines(tmp_path / "raw")
    assert re.fullmatch("RAW: expected a folder to read, found: (No such|Not a).*directory", line)


def test_all_problems_are_told_five_of_them_in_full(raw):
    for place in range(7):
        (raw / f"dog/x{place}.jpg").write_bytes(b"broken")
    with pytest.raises(Problems) as caught:
        read(raw)
    all_of_them = [
        f"dog/x{place}.jpg: expected a picture, found something else" for place in range(7)
    ]
    assert caught.value.lines == tuple(all_of_them)
    assert str(caught.value) == "\n".join([*all_of_them[:5], "... and 2 more"])


def test_the_order_in_which_a_folder_is_listed_changes_nothing(raw, monkeypatch):
    fill(raw, *(f"cat/{place}.png" for place in range(40)))
    before, listdir = folder.listing(raw), os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listdir(path)[::-1])
    assert folder.listing(raw) == before


@pytest.mark.parametrize("name", ["val", "Test", "validation"])
def test_another_part_than_train_and_test_is_not_taken_for_a_class(tmp_path, name):
    raw = tmp_path / "raw"
    for part in ("train", name):
        for one in ("cat", "dog"):
            fill(raw / part / one, "0.png", "1.png")
    told = f"{name}: expected a class with pictures, or folders train and test alone, found "
    assert [line for line in lines(raw) if line.startswith(told)]


def test_a_table_of_another_spelling_is_not_passed_over(raw):
    (raw / "Groups.CSV").write_text("file,group\n", encoding="utf-8")
    assert lines(raw) == ["Groups.CSV: expected the name groups.csv, in small letters"]
