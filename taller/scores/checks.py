"""Whether the files that tell of the same images tell the same: sums, shares and folds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from taller.program.errors import Problem
from taller.scores import confidence, metrics
from taller.scores.schemas import Data, Fit, Pretraining, Test

ROUNDED = 1e-5  # beyond the digits with which the stages write fractions


def same(place: Path | str, what: str, expected: object, found: object) -> None:
    """Raise a `Problem` that names `place`, unless what is found is what is expected."""
    if isinstance(found, float):
        agree = abs(found - expected) <= ROUNDED
        expected, found = f"{expected:.6g}", f"{found:.6g}"
    else:
        agree = expected == found
    if not agree:
        raise Problem(f"{place}: expected {what} {expected}, found {found}")


def data(path: Path, told: Data) -> None:
    """Classes and images of ``datos.json``, among themselves."""
    for part in ("train", "test"):
        counts = told[f"{part}_images_per_class"]
        same(path, f"{part}_images_per_class of as many classes as names,", len(told["names"]),
             len(counts))  # fmt: skip
        same(path, f"{part}_images, the sum of {part}_images_per_class,", sum(counts),
             told[f"{part}_images"])  # fmt: skip


def pretraining(path: Path, told: Pretraining, repeats: int) -> None:
    """As many networks as repeats, or one, and an accuracy of each that learnt letters."""
    if told["networks"] not in (1, repeats):
        found = told["networks"]
        raise Problem(
            f"{path}: expected networks 1, or as many as repeats, {repeats}, found {found}"
        )
    if told["source"] == "glyphs":
        same(path, "as many values of glyph_accuracy as networks,", told["networks"],
             len(told["glyph_accuracy"]))  # fmt: skip


def fit(path: Path, told: Fit) -> None:
    """No more parameters trained than there are."""
    if told["trained_parameters"] > told["parameters"]:
        found = told["trained_parameters"]
        raise Problem(
            f"{path}: expected trained_parameters of at most {told['parameters']}, found {found}"
        )


def folds(path: Path, records: pd.DataFrame, images: int) -> None:
    """Fractions and sizes: of every repeat each of the `images` validates once, or trains.

    Parameters
    ----------
    records : DataFrame
        As of `Result`.
    """
    table = records.pivot(index=["repeat", "fold"], columns="metric", values="value")
    for name in table:
        most = np.inf if name in ("log_loss", "train_images", "val_images") else 1
        if (wrong := table[name][(table[name] < 0) | (table[name] > most)]).size:
            told = "0 to 1" if most == 1 else "at least 0"
            raise Problem(f"{path}: {name}: expected {told}, found {wrong.iloc[0]:g}")
    for (repeat, fold), row in table.iterrows():
        place = f"{path}: repeat {repeat}, fold {fold}"
        if row["val_images"] < 1 or row["train_images"] < 1:
            raise Problem(f"{place}: expected images on both sides, found none")
        same(place, "train_images + val_images of", float(images),
             float(row["train_images"] + row["val_images"]))  # fmt: skip
    for repeat, found in table["val_images"].groupby("repeat").sum().items():
        same(path, f"val_images of repeat {repeat} that sum to", float(images), float(found))


def confusion(path: Path, counts: np.ndarray, told: Data) -> None:
    """Each class has its images."""
    for name, expected, found in zip(
        told["names"], told["test_images_per_class"], counts.sum(axis=1).tolist(), strict=True
    ):
        same(path, f"images of class {name}, as datos.json has it,", expected, found)


def test(path: Path, told: Test, counts: np.ndarray) -> None:
    """The metrics are those of the confusion counts."""
    for name, value in metrics.scores(counts).items():
        same(path, f"{name} of test_confusion.csv,", value, told[name])
    if told["top2"] < told["accuracy"] - ROUNDED:
        raise Problem(
            f"{path}: expected top2 of at least accuracy, {told['accuracy']}, found {told['top2']}"
        )


def per_class(path: Path, table: pd.DataFrame, counts: np.ndarray, names: Sequence[str]) -> None:
    """The classes in their order, and their metrics those of the confusion counts."""
    same(path, "the classes", list(names), table["clase"].tolist())
    for column, values in metrics.per_class(counts).items():
        for name, expected, found in zip(names, values, table[column], strict=True):
            same(path, f"{column} of class {name}, by test_confusion.csv,", float(expected),
                 float(found))  # fmt: skip


def calibration(path: Path, bins: pd.DataFrame, counts: np.ndarray, ece: float) -> None:
    """Ascending bins that hold all images and all hits, and the error that follows from them."""
    for row in bins.itertuples():
        place = f"{path}: the bin from {row.low:g} to {row.high:g}"
        if row.hits > row.images:
            raise Problem(f"{place}: expected at most {row.images} hits, found {row.hits}")
        if not row.low - ROUNDED <= row.confidence <= row.high + ROUNDED:
            raise Problem(f"{place}: expected a confidence in it, found {row.confidence:g}")
    if not ((bins["low"] < bins["high"]).all() and (bins["low"].diff().iloc[1:] > 0).all()):
        raise Problem(f"{path}: expected ascending bins, found {bins['low'].tolist()}")
    same(
        path, "as many images as test_confusion.csv,", int(counts.sum()), int(bins["images"].sum())
    )
    same(
        path, "as many hits as test_confusion.csv,", int(np.trace(counts)), int(bins["hits"].sum())
    )
    same(path, "bins of the ece of test_metrics.json,", ece,
         confidence.expected_calibration_error(bins))  # fmt: skip


def errors(path: Path, found: dict[str, np.ndarray], counts: np.ndarray) -> None:
    """Wrong answers, of each kind no more than were counted."""
    shape = (len(counts),) * 2
    if len({len(array) for array in found.values()}) != 1:
        lengths = {name: len(array) for name, array in found.items()}
        raise Problem(f"{path}: expected as many of each array, found {lengths}")
    kinds = np.zeros(shape, np.int64)
    np.add.at(kinds, (found["labels"], found["predicted"]), 1)
    wrong = kinds > np.where(np.eye(len(counts), dtype=bool), 0, counts)
    if wrong.any():
        label, predicted = np.argwhere(wrong)[0]
        raise Problem(
            f"{path}: expected errors that test_confusion.csv counts, found class {label} taken "
            f"for {predicted}"
        )


def pair(path: Path, row: dict, hits: tuple[int, int], images: int) -> None:
    """Of two models: the images of which each is right, and all of them."""
    keys = f"{row['first']} and {row['second']}"
    total = sum(row[name] for name in ("both", "only_first", "only_second", "neither"))
    same(path, f"counts of {keys} that sum to", images, total)
    for which, expected in zip(("first", "second"), hits, strict=True):
        found = row["both"] + row[f"only_{which}"]
        same(path, f"hits of {row[which]} in {keys}, by test_confusion.csv,", expected, found)
