"""What the stages found out about each model, read back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from taller.models.catalogue import Entry
from taller.program import files
from taller.program.errors import Problem

METRICS = ("accuracy", "precision", "recall", "f1", "log_loss")
RECORD = ["model", "repeat", "fold", "metric", "value"]


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


def read(folder: Path, entry: Entry, names: list[str]) -> Result:
    """Read a model's results from its folder under `folder`.

    Parameters
    ----------
    names : list of str
        Of the classes.

    Raises
    ------
    Problem
        Naming the file, where the records or the confusion counts are not what this model on
        this data set should have.
    """
    place = folder / entry.key
    fit = files.read_json(place / "fit.json")
    return Result(
        entry=entry,
        records=_records(place / "scores.csv", entry.key),
        history=pd.read_csv(place / "history.csv"),
        confusion=_confusion(place / "test_confusion.csv", len(names)),
        # A class may be called 0, or NA.
        per_class=pd.read_csv(
            place / "test_per_class.csv", dtype={"clase": str}, keep_default_na=False
        ),
        calibration=pd.read_csv(place / "test_calibration.csv"),
        test=files.read_json(place / "test_metrics.json"),
        trained_parameters=fit["trained_parameters"],
        parameters=fit["parameters"],
        answer_flops=fit["flops"]["answer"],
        training_flops=fit["flops"]["training"],
        training=fit["training"],
    )


def surest_errors(folder: Path, entry: Entry) -> dict[str, np.ndarray]:
    """Read the test images that a model got wrong with most confidence, the surest first.

    Returns
    -------
    dict of ndarray
        ``images`` (uint8, shape (m, channels, height, width)), and of shape (m,) ``labels`` and
        ``predicted`` (classes) and ``confidence`` (fractions).
    """
    with np.load(folder / entry.key / "test_errors.npz") as arrays:
        return dict(arrays)


def _records(path: Path, key: str) -> pd.DataFrame:
    records = pd.read_csv(path)
    if list(records) != RECORD:
        raise Problem(f"{path}: expected the columns {RECORD}, found {list(records)}")
    if models := sorted(set(records["model"]) - {key}):
        raise Problem(f"{path}: expected records of {key}, found {models}")
    wanted = {*METRICS, "train_images", "val_images"}
    if missing := sorted(wanted - set(records["metric"])):
        raise Problem(f"{path}: expected the metrics {sorted(wanted)}, found none of {missing}")
    return records


def _confusion(path: Path, classes: int) -> np.ndarray:
    counts = np.loadtxt(path, delimiter=",", dtype=np.int64, ndmin=2)
    if counts.shape != (classes, classes):
        raise Problem(f"{path}: expected {classes} x {classes} counts, found shape {counts.shape}")
    return counts
