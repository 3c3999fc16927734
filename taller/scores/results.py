"""What the stages found out about each model, read back, and the rows that plots draw of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from taller.program import files

NAMES = {"simple_nn": "SimpleNN", "resnet18": "ResNet18 (fine-tuning)"}
METRICS = ("accuracy", "precision", "recall", "f1", "log_loss")


@dataclass(frozen=True)
class Result:
    """One model's results.

    Attributes
    ----------
    key, name : str
        As in file names and metrics, and as the reader knows it.
    history, scores : DataFrame
        Of the folds, as `cross_validation.CrossValidation` describes them.
    confusion : ndarray of int, shape (10, 10)
        Of the test images; rows are the truth.
    per_class : DataFrame
        A row per digit, of the test images: ``clase``, ``precision``, ``recall``, ``f1``
        (fractions) and ``support`` (images).
    calibration : DataFrame
        Of the test images, as `confidence.reliability` returns.
    test : dict of float
        Metrics on the test images.
    trained_parameters : int
    """

    key: str
    name: str
    history: pd.DataFrame
    scores: pd.DataFrame
    confusion: np.ndarray
    per_class: pd.DataFrame
    calibration: pd.DataFrame
    test: dict[str, float]
    trained_parameters: int


def read(folder: Path, key: str) -> Result:
    """Read the results of the model `key` from its folder under `folder`."""
    place = folder / key
    return Result(
        key=key,
        name=NAMES[key],
        history=pd.read_csv(place / "history.csv"),
        scores=pd.read_csv(place / "scores.csv"),
        confusion=np.loadtxt(place / "test_confusion.csv", delimiter=",", dtype=np.int64),
        per_class=pd.read_csv(place / "test_per_class.csv"),
        calibration=pd.read_csv(place / "test_calibration.csv"),
        test=files.read_json(place / "test_metrics.json"),
        trained_parameters=files.read_json(place / "fit.json")["trained_parameters"],
    )


def surest_errors(folder: Path, key: str) -> dict[str, np.ndarray]:
    """Read the test images that a model got wrong with most confidence, the surest first.

    Returns
    -------
    dict of ndarray
        ``images`` (uint8, shape (n, 28, 28)), ``labels`` and ``predicted`` (digits), and
        ``confidence`` (fractions), shape (n,).
    """
    with np.load(folder / key / "test_errors.npz") as arrays:
        return dict(arrays)


def loss_curves(result: Result) -> pd.DataFrame:
    """Mean loss over folds and its range, per epoch and split, in the reader's words."""
    parts = []
    for column, split in (("train_loss", "entrenamiento"), ("val_loss", "validación")):
        spread = result.history.groupby("epoch")[column].agg(["mean", "min", "max"])
        spread.columns = ["media", "inferior", "superior"]
        spread.insert(0, "conjunto", split)
        parts.append(spread)
    curves = pd.concat(parts).rename_axis("epoca").reset_index()
    curves.insert(0, "modelo", result.name)
    return curves


def confusion_rows(result: Result) -> pd.DataFrame:
    """The confusion counts as 100 rows, each with its share of the true class."""
    shares = result.confusion / result.confusion.sum(axis=1, keepdims=True)
    cells = list(np.ndindex(result.confusion.shape))
    return pd.DataFrame(
        {
            "real": [str(real) for real, _ in cells],
            "predicho": [str(predicted) for _, predicted in cells],
            "imagenes": result.confusion.ravel(),
            "proporcion": shares.ravel().round(4),
        }
    )


def fold_rows(results: Sequence[Result]) -> pd.DataFrame:
    """The accuracy of each model on each fold."""
    return pd.concat(
        result.scores[["fold", "accuracy"]].assign(modelo=result.name) for result in results
    )
