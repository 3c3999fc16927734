"""What the stages found out about each model, read back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from taller.models.catalogue import Entry
from taller.program import arrays, reading, tables
from taller.program.arrays import Array
from taller.program.errors import Problem
from taller.program.tables import AT_LEAST_0, COUNT, FRACTION, ORDINAL, TEXT
from taller.scores import checks, schemas
from taller.scores.schemas import Data

METRICS = ("accuracy", "precision", "recall", "f1", "log_loss")
SIZES = ("train_images", "val_images")
RECORD = ["model", "repeat", "fold", "metric", "value"]
# What the tables must look like.
RECORDS = dict(zip(RECORD, (TEXT, ORDINAL, ORDINAL, TEXT, AT_LEAST_0), strict=True))
HISTORY = {
    "repeat": ORDINAL, "fold": ORDINAL, "epoch": ORDINAL, "train_loss": AT_LEAST_0,
    "train_accuracy": FRACTION, "val_loss": AT_LEAST_0, "val_accuracy": FRACTION,
}  # fmt: skip
PER_CLASS = {
    "clase": TEXT, "precision": FRACTION, "recall": FRACTION, "f1": FRACTION, "support": COUNT,
}  # fmt: skip
BINS = {
    "low": FRACTION, "high": FRACTION, "images": ORDINAL, "hits": COUNT, "confidence": FRACTION,
}  # fmt: skip


@dataclass(frozen=True, eq=False)  # tables do not compare as one
class Result:
    """One model's results.

    Attributes
    ----------
    entry : Entry
        Which model.
    records : DataFrame
        Of validation: ``model``, ``repeat`` and ``fold`` (from 1), ``metric`` and ``value``.
        Metrics are `METRICS` (fractions, macro averages; log loss in nats), and the counts
        ``train_images`` and ``val_images``.
    history : DataFrame
        A row per repeat, fold and epoch: ``train_loss``, ``train_accuracy``, ``val_loss`` and
        ``val_accuracy``.
    confusion : ndarray of int64, shape (classes, classes)
        Of the test images; rows are the truth.
    per_class : DataFrame
        A row per class, of the test images: ``clase`` (its name), ``precision``, ``recall``,
        ``f1`` (fractions) and ``support`` (images).
    calibration : DataFrame
        Of the test images, as `confidence.reliability` returns.
    test : dict
        Metrics on the test images, floats; and ``ece_calibrated``, as
        `confidence.calibrated_ece` returns.
    trained_parameters, parameters : int
        How many numbers the optimizer could change, and how many the network has.
    answer_flops : int
        Floating-point operations of one image through the whole network.
    training_flops : int
        Of the fit on all images, without the pretraining that it may have started from.
    training : dict
        How it was trained: ``optimizer``, ``learning_rate``, ``weight_decay``, ``schedule``,
        ``batch_size``, ``epochs``; the names of the parts that were ``trained`` and ``frozen``
        (none where a network trains as a whole); and ``knobs``, what is particular to it.
    """

    entry: Entry
    records: pd.DataFrame
    history: pd.DataFrame
    confusion: np.ndarray
    per_class: pd.DataFrame
    calibration: pd.DataFrame
    test: dict
    trained_parameters: int
    parameters: int
    answer_flops: int
    training_flops: int
    training: dict

    def scores(self, metric: str) -> np.ndarray:
        """A metric's value on every fold, by repeat, then fold: float64, shape (repeats x K,)."""
        return self._of(metric)["value"].to_numpy(np.float64)

    @property
    def folds(self) -> list[tuple[int, int]]:
        """Repeat and fold of each of the scores."""
        rows = self._of("accuracy")
        return list(zip(rows["repeat"].tolist(), rows["fold"].tolist(), strict=True))

    @property
    def repeats(self) -> int:
        """How many times the images were split into folds."""
        return len({repeat for repeat, _ in self.folds})

    @property
    def fold_sizes(self) -> tuple[float, float]:
        """How many images a fold trains and validates on, on average."""
        return float(self.scores("train_images").mean()), float(self.scores("val_images").mean())

    def _of(self, metric: str) -> pd.DataFrame:
        rows = self.records[self.records["metric"] == metric]
        return rows.sort_values(["repeat", "fold"])


def read(folder: Path, entry: Entry, data: Data) -> Result:
    """Read a model's results from its folder under `folder`, and hold each file against the others.

    Parameters
    ----------
    data : dict
        What `preprocess` counted.

    Raises
    ------
    Problem
        Naming the file, the place in it, what this model on this data set should have there, and
        what was found.
    """
    place, names = folder / entry.files, data["names"]
    fit = reading.json(place / "fit.json", schemas.Fit)
    checks.fit(place / "fit.json", fit)
    counts = _confusion(place / "test_confusion.csv", data)
    test = reading.json(place / "test_metrics.json", schemas.Test)
    checks.test(place / "test_metrics.json", test, counts)
    per_class = tables.read(place / "test_per_class.csv", PER_CLASS)
    checks.per_class(place / "test_per_class.csv", per_class, counts, names)
    bins = tables.read(place / "test_calibration.csv", BINS)
    checks.calibration(place / "test_calibration.csv", bins, counts, test["ece"])
    return Result(
        entry=entry,
        records=_records(place / "scores.csv", entry.files, data),
        history=_history(place / "history.csv", data, fit["training"]["epochs"]),
        confusion=counts,
        per_class=per_class,
        calibration=bins,
        test=test,
        trained_parameters=fit["trained_parameters"],
        parameters=fit["parameters"],
        answer_flops=fit["flops"]["answer"],
        training_flops=fit["flops"]["training"],
        training=fit["training"],
    )


def surest_errors(folder: Path, result: Result, shape: Sequence[int]) -> dict[str, np.ndarray]:
    """Read the test images that a model got wrong with most confidence, the surest first.

    Parameters
    ----------
    shape : sequence of int
        Channels, height and width of the images.

    Returns
    -------
    dict of ndarray
        ``images`` (uint8, shape (m, channels, height, width)), and of shape (m,) ``labels`` and
        ``predicted`` (classes) and ``confidence`` (fractions).

    Raises
    ------
    Problem
        Naming the file, where it has other arrays, or errors that the confusion counts lack.
    """
    path, classes = folder / result.entry.files / "test_errors.npz", len(result.confusion)
    label = Array(("int64",), 1, 0, classes - 1)
    wanted = {
        "images": Array(("uint8",), 4), "labels": label, "predicted": label,
        "confidence": Array(("float32", "float64"), 1, 0, 1),
    }  # fmt: skip
    found = arrays.read_npz(path, wanted)
    checks.same(path, "images of shape", tuple(shape), found["images"].shape[1:])
    checks.errors(path, found, result.confusion)
    return found


def _records(path: Path, key: str, data: Data) -> pd.DataFrame:
    records = tables.read(path, RECORDS)
    if models := sorted(set(records["model"]) - {key}):
        raise Problem(f"{path}: expected records of {key}, found {reading.shown(models)}")
    wanted = _splits(data) | {"metric": (*METRICS, *SIZES)}
    tables.check_each_once(path, records, wanted)
    checks.folds(path, records, data["train_images"])
    return records


def _history(path: Path, data: Data, epochs: int) -> pd.DataFrame:
    history = tables.read(path, HISTORY)
    tables.check_each_once(path, history, _splits(data) | {"epoch": range(1, epochs + 1)})
    return history


def _splits(data: Data) -> dict[str, range]:
    return {"repeat": range(1, data["repeats"] + 1), "fold": range(1, data["folds"] + 1)}


def _confusion(path: Path, data: Data) -> np.ndarray:
    classes = len(data["names"])
    counts = np.array(tables.counts(path, classes, classes), np.int64)
    checks.confusion(path, counts, data)
    return counts
