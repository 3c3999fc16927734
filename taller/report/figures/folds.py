"""The picture of the models' accuracy on every fold."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.models.catalogue import Entry
from taller.report import spanish
from taller.report.figures import style
from taller.scores.statistics import Estimate

HIGHEST = 10  # inches: what fits on a page
PITCH = 0.45  # inches a row, where there is room
READABLE = 0.17  # inches a row: below, only the first fold of each repeat has a name


def draw(accuracies: Mapping[Entry, pd.Series], means: Mapping[Entry, Estimate]) -> Figure:
    """Validation accuracy of the models, fold by fold, and their means with intervals.

    A line joins the models of a fold; of two models, it also tells their difference.

    Parameters
    ----------
    accuracies : mapping of Entry to Series
        For each model, its accuracy (a fraction), indexed by the folds' names: a number, or
        ``repeat.fold``.
    means : mapping of Entry to Estimate
        Mean over folds, and its 95 % interval.
    """
    table = 100 * pd.DataFrame(accuracies)
    rows = np.arange(len(table))
    # The means' room does not shrink with the rows: it is told in rows.
    pitch = min(PITCH, (HIGHEST - 2.3 - 0.13 * len(means)) / len(table))
    spread = 0.13 * (len(means) - 1) / pitch
    bottom = len(table) - 0.5 + 0.35 / pitch + spread / 2
    end = bottom + spread / 2 + 0.18 / pitch
    figure, (axes,) = style.panels(
        1, 1.6 + pitch * (end + 0.6), "Exactitud (accuracy) de validación por pliegue"
    )
    size = min(8, 40 * pitch)
    ends = table.min(axis=1), table.max(axis=1)
    axes.hlines(rows, *ends, color=style.QUIET, lw=min(1.2, 9 * pitch), zorder=1)
    told = len(means) == 2 and pitch > 0.3
    if told:
        _tell_differences(axes, table)
    shifts = np.linspace(-spread / 2, spread / 2, len(means))
    for shift, (entry, mean) in zip(shifts, means.items(), strict=True):
        look = {"color": entry.color, "marker": entry.marker, "linestyle": "none"}
        # Of three models two may be equal: a little apart, all are seen.
        apart = 0.6 * shift * min(1, pitch / PITCH) if len(means) > 2 else 0
        axes.plot(table[entry], rows + apart, **look, ms=size, label=entry.name)
        whiskers = [[100 * (mean.value - mean.low)], [100 * (mean.high - mean.value)]]
        axes.errorbar(100 * mean.value, bottom + shift, xerr=whiskers, **look, ms=8, capsize=4)
    axes.axhline(len(table) - 0.4, color=style.QUIET, lw=0.8, ls=":")
    axes.set(
        xlabel=f"Exactitud (%){'; sobre cada línea, la diferencia en puntos' if told else ''}",
        ylim=(end, -0.6),
    )
    _name_rows(axes, list(map(str, table.index)), bottom, pitch)
    axes.xaxis.set_major_formatter(style.hundredths)
    axes.grid(visible=False, axis="y")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(3, len(means)),
        markerscale=8 / size,
    )  # fmt: skip
    return figure


def _name_rows(axes: Axes, names: list[str], bottom: float, pitch: float) -> None:
    """Name the folds and the means; a line divides repeats."""
    repeats = [name.partition(".")[0] if "." in name else "" for name in names]
    starts = [row for row in range(1, len(names)) if repeats[row] != repeats[row - 1]]
    for row in starts:
        axes.axhline(row - 0.5, color="0.85", lw=0.8, zorder=0)
    named = range(len(names)) if pitch >= READABLE else [0, *starts]
    axes.set_yticks(
        [*named, bottom], [*(f"Pliegue {names[row]}" for row in named), "Media e IC 95 %"]
    )
    if any(repeats):
        axes.set_ylabel("Pliegues: repetición.pliegue")


def _tell_differences(axes: Axes, table: pd.DataFrame) -> None:
    for row, (first, second) in enumerate(table.to_numpy()):
        axes.annotate(
            spanish.number(second - first, 2, sign=True), ((first + second) / 2, row), (0, 3),
            textcoords="offset points", ha="center", va="bottom", size=9, color="0.2",
        )  # fmt: skip
