"""A folder of pictures: classes, groups, duplicates and near copies; a line for each wrong file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from taller.common.terminal import UserError
from taller.datasets import folder
from taller.datasets.dataset import Dataset


def picture(file: Path, level: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (6, 4), level).save(file)


def fill(raw: Path, *files: str) -> Path:
    """Pictures of level 0, 1, 2, ..."""
    raw.mkdir(exist_ok=True)
    for level, file in enumerate(files):
        picture(raw / file, level)
    return raw


@pytest.fixture
def raw(tmp_path) -> Path:
    """Two classes of three pictures, of levels 0 to 5."""
    names = [f"{name}/{place}.png" for name in ("cat", "dog") for place in range(3)]
    return fill(tmp_path / "raw", *names)


def read(raw: Path, **changes) -> tuple[Dataset, Dataset, dict]:
    usual = {
        "folds": 2, "groups": "auto", "image_size": 16, "fit": "crop", "channels": "auto",
        "test_share": 1 / 3, "conflicts": "stop",
    }  # fmt: skip
    return folder.read(raw, folder.Params(**usual | changes), seed=0)


def levels(data: Dataset) -> list[int]:
    return data.images[:, 0, 2, 2].tolist()


def lines(raw: Path, **changes) -> list[str]:
    with pytest.raises(UserError) as caught:
        read(raw, **changes)
    return str(caught.value).replace(str(raw), "RAW").splitlines()


def test_a_share_of_each_class_is_for_testing_and_classes_take_turns(raw):
    training, test, facts = read(raw)
    assert training.names == ("cat", "dog") and training.labels.tolist() == [0, 1, 0, 1]
    assert test.labels.tolist() == [0, 1] and training.groups is test.groups is None
    assert sorted(levels(training) + levels(test)) == [0, 1, 2, 3, 4, 5]
    near = {"pairs": 0, "pictures": 0, "apart": 0, "dissolved": 0, "across": []}
    assert facts == {
        "parts": {}, "left_out": {}, "duplicates": 0, "conflicts": 0, "several_frames": 0,
        "near_copies": near, "test": "drawn", "groups": None, "fit": "crop", "white": None,
        "dark": 6, "smallest": [6, 4], "largest": [6, 4],
    }  # fmt: skip


def test_given_parts_stay_and_are_in_the_order_of_bytes(tmp_path):
    raw = fill(
        tmp_path / "raw", "train/b/é.png", "train/b/z.png", "train/b/Z.png", "train/ñ/2.png",
        "train/ñ/10.png", "train/B/a.png", "train/B/b.png", "test/B/x.png", "test/b/x.png",
        "test/ñ/x.png",
    )  # fmt: skip
    training, test, facts = read(raw)
    assert training.names == ("B", "b", "ñ") and training.labels.tolist() == [0, 1, 2, 0, 1, 2, 1]
    assert levels(training) == [5, 2, 4, 6, 1, 3, 0] and training.labels.dtype == np.int64
    assert levels(test) == [7, 8, 9] and facts["test"] == "given"
    shutil.rmtree(raw / "test")
    assert (len(read(raw)[1]), read(raw)[2]["test"]) == (3, "drawn")
    (raw / "train").rename(raw / "test")
    assert lines(raw) == ["train: expected a folder beside test, found none"]


def test_folders_in_a_class_are_groups_whatever_the_class(tmp_path):
    raw = fill(
        tmp_path / "raw", "train/cat/ana/1.png", "train/cat/n\u0303/1.png", "train/dog/ana/1.png",
        "train/dog/\u00f1/1.png", "test/cat/cy/1.png", "test/dog/da/1.png",
    )  # fmt: skip
    training, test, facts = read(raw)
    assert training.groups.tolist() == [0, 0, 3, 3] and test.groups.tolist() == [1, 2]
    assert training.groups.dtype == np.int64 and facts["groups"] == "folders"
    (raw / "test/dog/da").rename(raw / "test/dog/ana")
    (line,) = lines(raw)
    assert line.startswith("test/dog/ana/1.png: expected a test of other groups than training")


def rows_of(groups: str) -> list[str]:
    files = [f"{name}/{place}.png" for name in ("cat", "dog") for place in range(3)]
    return [f"{file},{group}" for file, group in zip(files, groups, strict=True)]


def table(raw: Path, *rows: str, head: str = "file,group") -> None:
    (raw / "groups.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("written", [str, lambda line: line.replace(",", ";").replace("/", "\\")])
def test_a_table_has_the_groups_and_wins_over_folders(raw, written):
    # As Excel writes it, in English or in Spanish on Windows.
    table(raw, *map(written, rows_of("abcabc")), head=written("\ufefffile,group"))
    training, test, facts = read(raw)
    assert facts["groups"] == "groups.csv" and not {*training.groups} & {*test.groups}
    for data in (training, test):
        assert data.groups.tolist() == [level % 3 for level in levels(data)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"file\tgroup\n", "groups.csv: expected the header file,group, found file"),
        (b"file,group\n\xff", "groups.csv: expected CSV in UTF-8, found: 'utf-8' codec"),
        (b"file,group\ncat/0.png, \n", "groups.csv: cat/0.png,: expected a file and a group"),
        (b"file,group\ncat/9.png,a\n", "groups.csv: cat/9.png,a: expected the file of a picture"),
        (b"file,group\ncat/0.png,a\ncat/0.png,a\n", "groups.csv: cat/0.png,a: expected each pict"),
        (b"file,group\ncat/0.png,a\n", "cat/1.png: expected a line in groups.csv, found none"),
    ],
)
def test_what_is_no_table_of_all_pictures_is_named(raw, text, line):
    (raw / "groups.csv").write_bytes(text)
    assert lines(raw)[0].startswith(line)


def test_what_is_left_out_is_counted_and_named(raw, capsys):
    for file in (
        ".DS_Store", "README.md", "cat/Thumbs.db", "cat/._0.png", "dog/desktop.ini", "cat/0.txt",
        "cat/1.txt", "cat/0.png:Zone.Identifier", "dog/Icon\r", "dog/Picasa.ini",
    ):  # fmt: skip
        (raw / file).write_text("0 0.5 0.5 0.1 0.1", encoding="utf-8")
    for name in ("__MACOSX/cat", "cat/@eaDir/0.png", "$RECYCLE.BIN", "lost+found"):
        fill((raw / name).parent, name.rpartition("/")[2] + "/0.png")
    (raw / "cat/9.png").write_bytes((raw / "cat/0.png").read_bytes())
    (raw / "cat/01.png").symlink_to("0.png")
    frames = [Image.new("L", (5, 50), level) for level in (90, 40)]
    frames[0].save(raw / "dog/a.gif", save_all=True, append_images=frames[1:])
    training, test, facts = read(raw)
    assert len(training) + len(test) == 7
    assert (facts["duplicates"], facts["several_frames"], facts["largest"]) == (2, 1, [5, 50])
    kinds = {
        "of other programs": 8, ".txt": 2, ".md": 1, ".identifier": 1, ".ini": 1,
        "without an extension": 1,
    }  # fmt: skip
    assert facts["left_out"] == kinds
    printed = capsys.readouterr().out.splitlines()
    assert "pictures: 2 left out, .txt: cat/0.txt" in printed
    assert "without a level of 64 or more" in printed[-1]
    assert printed[-3:-1] == [
        "pictures: 2 left out, as a picture of their class has the same bytes: cat/01.png, "
        "cat/9.png",
        "pictures: 1 of several frames, of which the first is taken: dog/a.gif",
    ]


def test_links_are_data(raw, tmp_path):
    """DVC has them into its cache (cache.type symlink)."""
    cache = tmp_path / "cache"
    picture(cache / "0.png", 50)
    (raw / "cat/9.png").symlink_to(cache / "0.png")
    training, test, _ = read(raw)
    assert 50 in levels(training) + levels(test) and len(training) + len(test) == 7
    (tmp_path / "linked").symlink_to(raw)
    assert lines(tmp_path / "linked")[0].endswith("copy the pictures there")


MAKE = {
    "text": lambda file: file.write_bytes(b"words"),
    "picture": lambda file: picture(file, 9),
    "same as cat/1.png": lambda file: picture(file, 1),
    "dead link": lambda file: file.symlink_to("none.png"),
    "folder": Path.mkdir,
}


@pytest.mark.parametrize(
    ("file", "kind", "line"),
    [
        ("cat/a.png", "text", "cat/a.png: expected a picture, found something else"),
        ("cat/a.png", "dead link", "cat/a.png: expected a file, found a link to nothing"),
        ("a.png", "picture", "a.png: expected pictures in a folder for each class"),
        ("eel", "folder", "eel: expected pictures, found none"),
        ("eel/a.png", "picture", "eel: expected at least 2 images, found 1"),
        ("cat/eve/day/1.png", "picture", "cat/eve/day: expected a picture, found a folder"),
        ("cat/eve/1.png", "picture", "cat/0.png: expected groups of all pictures (folders, or"),
        ("dog/9.png", "same as cat/1.png", "dog/9.png: expected a picture of one class, found t"),
        ("cat/a\nb.png", "picture", "'cat/a\\nb.png': expected a name of letters in UTF-8"),
        ("Groups.CSV", "text", "Groups.CSV: expected groups.csv, beside all folders"),
    ],
)  # fmt: skip
def test_each_thing_that_is_wrong_has_its_line(raw, file, kind, line):
    (raw / file).parent.mkdir(parents=True, exist_ok=True)
    MAKE[kind](raw / file)
    (actual,) = lines(raw)
    assert actual.startswith(line)


CLASSES = "expected folders of pictures for 2 classes or more, found"
BOTH = "expected this class in train and in test, found it in one of them"
PARTS = "expected folders of parts (train, val, test) alone, or of classes alone, found pictures"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ("", [f"RAW: {CLASSES} none"]),
        ("train/a/1 train/b/1 test/b/2 test/c/2", [f"a: {BOTH}", f"c: {BOTH}"]),
        ("train/a/1 train/b/1 train/b/2 test/a/1 test/b/1", ["train/a: expected at least 2 imag"]),
        ("train/a/1 train/b/1 more/a/1 more/b/1", [f"more: {PARTS} beside train: rename"]),
        ("a/train/1 a/test/2 b/train/3 b/test/4", ["a/test: expected test/a,", "b/test: expected"]),
        ("treino/a/1 treino/b/1 teste/a/1 teste/b/1", ["teste, treino: expected classes, found"]),
        ("trainA/1 testA/1 trainB/1 testB/1", ["testA, testB, trainA, trainB: expected classes"]),
    ],
)
def test_too_few_classes_and_other_parts(tmp_path, files, expected):
    raw = fill(tmp_path / "raw", *(f"{file}.png" for file in files.split()))
    actual = [line.replace(".png", "") for line in lines(raw)]
    assert [one[: len(line)] for one, line in zip(actual, expected, strict=True)] == expected


def test_a_picture_on_both_sides_or_of_two_classes_is_refused_or_left_out(tmp_path):
    files = [f"train/{name}/{place}.png" for name in "ab" for place in range(3)]
    raw = fill(tmp_path / "raw", *files, "test/a/9.png", "test/b/9.png")
    picture(raw / "test/b/8.png", 3)  # as train/b/0.png
    picture(raw / "train/a/9.png", 4)  # as train/b/1.png
    one, other = lines(raw)
    assert one.startswith("train/b/0.png: expected a picture for training or for the test, found")
    assert other.startswith("train/b/1.png: expected a picture of one class, found the same bytes")
    assert one.endswith("delete what is wrong, or set preprocess.conflicts: drop")
    picture(raw / "train/b/9.png", 99)
    training, test, facts = read(raw, conflicts="drop")
    assert facts["conflicts"] == 4 and {*levels(test)} == {6, 7}
    assert {*levels(training)} == {0, 1, 2, 5, 99}


def photographs(raw: Path) -> list[Image.Image]:
    """Three classes of 20 photographs: parts of two, far from each other."""
    whole, cut = [Image.fromarray(one) for one in load_sample_images().images], []
    for place in range(60):
        column, row = place // 2 % 6, place // 12
        box = (column * 100, row * 80, column * 100 + 90, row * 80 + 70)
        cut.append(whole[place % 2].crop(box))
        file = raw / "abc"[place % 3] / f"{place:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cut[-1].save(file)
    return cut


def test_near_copies_stay_together_and_are_told(tmp_path, capsys):
    raw = tmp_path / "raw"
    cut = photographs(raw)
    assert read(raw, image_size=64)[2]["near_copies"]["pairs"] == 0
    cut[0].resize((180, 140)).save(raw / "a/large.jpg", quality=80)
    cut[1].save(raw / "b/again.jpg", quality=50)
    cut[2].crop((1, 1, 90, 70)).save(raw / "c/burst.png")
    capsys.readouterr()
    training, test, facts = read(raw, image_size=64)
    near = {"pairs": 3, "pictures": 6, "apart": 0, "dissolved": 0, "across": []}
    assert facts["near_copies"] == near and facts["groups"] is None
    assert len({*training.groups, *test.groups}) == 60 and not {*training.groups} & {*test.groups}
    line = "3 pairs that look like one shot, kept together: a/00.png = a/large.jpg, b/01.png = b/a"
    assert line in capsys.readouterr().out
    facts = [read(raw, image_size=64, groups="none", test_share=0.5)[2] for _ in range(2)]
    assert facts[0] == facts[1] and facts[0]["near_copies"]["apart"]
    # With a given test they cannot stay together: each such pair is named.
    (raw / "train").mkdir()
    for name in "abc":
        (raw / name).rename(raw / "train" / name)
        shutil.copytree(raw / "train" / name, raw / "test" / name)
        for file in sorted((raw / "train" / name).iterdir())[10:]:
            file.unlink()
        for file in sorted((raw / "test" / name).iterdir())[:10]:
            file.unlink()
    training, test, facts = read(raw, image_size=64)
    pairs = [("test/a/large.jpg", "train/a/00.png"), ("test/b/again.jpg", "train/b/01.png"),
             ("test/c/burst.png", "train/c/02.png")]  # fmt: skip
    assert facts["near_copies"]["across"] == pairs
    assert (
        "3 pairs that look like one shot, across training and test: test/a/large.jpg = tr"
        in capsys.readouterr().out
    )


def test_sixteen_bits_are_stretched_by_the_range_of_all(tmp_path, capsys):
    random = np.random.default_rng(0)
    for place in range(6):  # of 12 bits, as a camera or a microscope has them
        deep = random.integers(0, 4096 if place else 300, (16, 16)).astype(np.uint16)
        file = tmp_path / "raw" / "ab"[place % 2] / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(deep).save(file)
        if not place:
            dark = deep
    training, test, facts = read(tmp_path / "raw")
    assert facts["white"] == 4095 and "6 of 16 bits, of which 4095" in capsys.readouterr().out
    images = np.concatenate([training.images, test.images])[:, 0]
    expected = np.rint(dark / 4095 * 255)
    assert any(np.array_equal(image, expected) for image in images)
