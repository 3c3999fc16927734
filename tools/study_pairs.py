"""The study fold by fold: what each experiment reached on each, and which differences are there."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from taller.models.catalogue import CNN, FINETUNED, SIMPLE_NN
from taller.scores import statistics

COLUMNS = ["experimento", "modelo", "pliegue", "accuracy"]


def records(told: Mapping[str, list[dict]]) -> pd.DataFrame:
    """Every accuracy of every experiment.

    Parameters
    ----------
    told : mapping of str to list of dict
        For each experiment the rows of its ``resultados/plots/folds.json``.

    Returns
    -------
    DataFrame
        ``experimento``, ``modelo``, ``pliegue`` (as text: a repeat has a dot) and ``accuracy``.
    """
    rows = [
        (name, row["modelo"], str(row["fold"]), row["accuracy"])
        for name, listed in told.items()
        for row in listed
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def pairs(
    found: pd.DataFrame, controls: Mapping[str, str], train_images: float, val_images: float
) -> pd.DataFrame:
    """Paired tests of each experiment's fine-tuned network.

    Against the networks from scratch on the same folds, and against its control.

    Parameters
    ----------
    found : DataFrame
        As `records` gives it; all experiments have the same folds.
    controls : mapping of str to str
        Of an experiment, the one that differs in nothing but that its weights are random.
    train_images, val_images : float
        Images that a fold trains and validates on.

    Returns
    -------
    DataFrame
        A row per pair: ``experimento``, ``frente a``, ``diferencia`` of accuracy (the experiment
        minus the other), its 95 % interval, and ``p (Holm)``, corrected for all rows.
    """
    scores = found.pivot_table(
        index=["experimento", "modelo"], columns="pliegue", values="accuracy", sort=False
    )
    rows = []
    for name in found["experimento"].unique():
        own = _tuned(scores.loc[name])
        others = {entry.name: scores.loc[name, entry.name] for entry in (SIMPLE_NN, CNN)}
        if name in controls:
            others[controls[name]] = _tuned(scores.loc[controls[name]])
        for other, values in others.items():
            test = statistics.corrected_paired_t(
                values.to_numpy(), own.to_numpy(), train_images, val_images
            )
            rows.append((name, other, test.mean, test.low, test.high, test.p_value))
    columns = ["experimento", "frente a", "diferencia", "IC 95 % inferior", "IC 95 % superior"]
    table = pd.DataFrame(rows, columns=[*columns, "p"])
    p_values = statistics.holm(table.pop("p"))
    return table.assign(**{"p (Holm)": [float(f"{value:.2g}") for value in np.asarray(p_values)]})


def _tuned(scores: pd.DataFrame) -> pd.Series:
    """The fine-tuned network's row, of one experiment: what auto became may be another network."""
    (name,) = {entry.name for entry in FINETUNED.values()} & {*scores.index}
    return scores.loc[name]
