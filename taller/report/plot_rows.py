"""The rows that `dvc plots` draws, in the reader's words."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from taller.program import files
from taller.scores.comparison import Comparison
from taller.scores.results import Result


def write(found: Comparison, folder: Path) -> None:
    """Write ``perdida.json``, ``folds.json`` and ``confusion.json``."""
    tables = {
        "perdida": [loss_curves(result) for result in found.models],
        "folds": [folds(result) for result in found.models],
        "confusion": [confusion(result, found.names) for result in found.models],
    }
    for name, parts in tables.items():
        files.write_json(folder / f"{name}.json", pd.concat(parts).to_dict("records"))


def loss_curves(result: Result) -> pd.DataFrame:
    """Mean loss over folds and its range, per epoch and split.

    Returns
    -------
    DataFrame
        ``modelo``, ``epoca``, ``conjunto`` (``entrenamiento`` or ``validación``), ``media``,
        ``inferior`` and ``superior`` (nats).
    """
    parts = []
    for column, split in (("train_loss", "entrenamiento"), ("val_loss", "validación")):
        spread = result.history.groupby("epoch")[column].agg(["mean", "min", "max"])
        spread.columns = ["media", "inferior", "superior"]
        spread.insert(0, "conjunto", split)
        parts.append(spread)
    curves = pd.concat(parts).rename_axis("epoca").reset_index()
    curves.insert(0, "modelo", result.entry.name)
    return curves


def folds(result: Result) -> pd.DataFrame:
    """The accuracy (a fraction) on each fold: ``modelo``, ``fold`` and ``accuracy``."""
    return pd.DataFrame(
        {
            "modelo": result.entry.name,
            "fold": fold_names(result),
            "accuracy": result.scores("accuracy"),
        }
    )


def fold_names(result: Result) -> list[int] | list[str]:
    """The folds' numbers, or ``repeat.fold`` where there are repeats."""
    if len({repeat for repeat, _ in result.folds}) == 1:
        return [fold for _, fold in result.folds]
    return [f"{repeat}.{fold}" for repeat, fold in result.folds]


def confusion(result: Result, names: Sequence[str]) -> pd.DataFrame:
    """The confusion counts, a row per cell.

    Returns
    -------
    DataFrame
        ``modelo``, ``real`` and ``predicho`` (class names), ``imagenes``, and ``proporcion``,
        the share of the true class's test images; 0 where there are none.
    """
    shares = result.confusion / np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(
        {
            "modelo": result.entry.name,
            "real": np.repeat(names, len(names)),
            "predicho": np.tile(names, len(names)),
            "imagenes": result.confusion.ravel(),
            "proporcion": shares.ravel().round(4),
        }
    )
