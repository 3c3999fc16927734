"""What a folder is taken for, by names alone: parts, classes and groups as people lay them out."""

import pytest
from PIL import Image

from taller.datasets import folder


@pytest.fixture
def look(tmp_path):
    """Look at a folder of these files: pictures, if they have no extension."""

    def of(files: str) -> folder.Look:
        for place, file in enumerate(files.split()):
            path = tmp_path / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.write_text(f"{place}")
            else:
                Image.new("L", (8, 8), place).save(path, "PNG")
        return folder.look(tmp_path)

    return of


TWO = {"a": (2, 0), "b": (1, 0)}
SIDES = {"a": (2, 1), "b": (1, 1)}


def side(first: str, *others: str) -> str:
    """Three pictures of two classes in the first folder, and one of each in the others."""
    files = [f"{first}/a/1", f"{first}/a/2", f"{first}/b/1"]
    return " ".join(files + [f"{other}/{label}/9" for other in others for label in "ab"])


@pytest.mark.parametrize(
    ("files", "parts", "classes"),
    [
        ("a/1 a/2 b/1", {}, TWO),
        (side("train", "val"), {"train": ["train"], "test": ["val"]}, SIDES),
        (side("Training", "Testing"), {"train": ["Training"], "test": ["Testing"]}, SIDES),
        (side("train-data", "dev2017"), {"train": ["train-data"], "test": ["dev2017"]}, SIDES),
        # Archives, with one folder more each, and pictures of which nobody knows the class.
        (
            side("seg_train/seg_train", "seg_test/seg_test") + " seg_pred/seg_pred/7 seg_pred/8",
            {"train": ["seg_train"], "test": ["seg_test"]},
            SIDES,
        ),
        # Cross-validation replaces a part for validation, unless the test tells no classes.
        (
            side("train", "val", "test"),
            {"train": ["train", "val"], "test": ["test"]},
            {"a": (3, 1), "b": (2, 1)},
        ),
        (side("train", "val") + " test/1 test/2", {"train": ["train"], "test": ["val"]}, SIDES),
        (side("train", "val") + " test/unknown/1", {"train": ["train"], "test": ["val"]}, SIDES),
        # As Tiny ImageNet has it.
        (
            "train/a/images/1 train/a/images/2 train/a/boxes.txt train/b/images/1 "
            "val/images/1 val/images/2 val/val.txt test/images/1",
            {"train": ["train"]},
            TWO,
        ),
        ("a/images/1 a/images/2 a/masks/1 a/masks/2 b/images/1 b/masks/1 a.xlsx", {}, TWO),
        ("Images/a/1 Images/a/2 Images/b/1 Annotation/a/1.xml Annotation/b/1.xml", {}, TWO),
        # Words that are classes here.
        ("train/1 train/2 ship/1 car/1", {}, {"train": (2, 0), "ship": (1, 0), "car": (1, 0)}),
        ("mask/1 no_mask/1", {}, {"mask": (1, 0), "no_mask": (1, 0)}),
    ],
)  # fmt: skip
def test_parts_and_classes(look, files, parts, classes):
    seen = look(files)
    assert (seen.parts, seen.classes, seen.unclear) == (parts, classes, None)
    assert len(seen.files) == sum(map(sum, classes.values())) and seen.groups is None


def test_what_is_left_out_has_a_kind_a_number_and_an_example(look):
    seen = look(
        "train/a/images/1 train/a/masks/1 train/a/masks/2 train/b/images/1 train/b/images/1.txt "
        "test/1 test/2 test/3 .DS_Store classes.txt"
    )
    assert seen.left_out == {
        "pictures without classes": (3, "test/1"), "masks": (2, "train/a/masks/1"),
        ".txt": (2, "classes.txt"), "of other programs": (1, ".DS_Store"),
    }  # fmt: skip


def test_a_mask_beside_its_picture_is_no_picture(look):
    seen = look("a/1.txt a/x a/x_mask a/x_mask_1 a/y b/z b/z-seg b/mask b/w_mask")
    assert seen.classes == {"a": (2, 0), "b": (3, 0)}  # w is not there, and mask is of nothing
    assert seen.left_out["masks"] == (3, "a/x_mask")


def test_dates_that_all_classes_have_are_groups_and_no_classes_in_parts(look):
    seen = look("a/2024-05-01/1 a/2024-05-02/2 b/2024-05-01/3 b/2024-05-02/4")
    assert seen.groups == ("folders", 2) and seen.unclear is None


@pytest.mark.parametrize("classes", [("gato", "perro"), ("Audi_2012", "BMW_2010")])
def test_parts_in_another_language_are_asked_for(look, classes):
    seen = look(" ".join(f"{part}/{one}/1" for part in ("treino", "teste") for one in classes))
    assert "expected classes, found what may be parts: call these train" in seen.unclear


def test_groups_are_folders_in_classes_or_a_table(look, tmp_path):
    assert look("x/a/ana/1 x/a/eva/1 x/a/eva/2 x/b/ana/images/1 x/b/ana/masks/1").groups == (
        "folders", 2,
    )  # fmt: skip
    rows = ("a/ana/1,1", "a/eva/1,2", "a/eva/2,3", "b/ana/images/1,1")
    (tmp_path / "x/groups.csv").write_text("\n".join(["file,group", *rows]), "utf-8")
    seen = folder.look(tmp_path)
    assert seen.groups == ("groups.csv", 3) and seen.unclear is None
