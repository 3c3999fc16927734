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


def draw(accuracies: Mapping[Entry, pd.Series], means: Mapping[Entry, Estimate]) -> Figure:
    """Validation accuracy of the models, fold by fold, and their means with intervals.

    A line joins the models of a fold; of two models, it also tells their difference.

    Parameters
    ----------
    accuracies : mapping of Entry to Series
        For each model, its accuracy (a fraction), indexed by the folds' names.
    means : mapping of Entry to Estimate
        Mean over folds, and its 95 % interval.
    """
    table = 100 * pd.DataFrame(accuracies)
    rows = np.arange(len(table))
    spread = 0.28 * (len(means) - 1)  # of the means, in rows
    bottom = len(table) + 0.25 + spread / 2
    # 0.45 inches a row, as long as the picture fits on a page.
    height = min(1.9 + 0.45 * (len(table) + spread), 10)
    figure, (axes,) = style.panels(1, height, "Accuracy de validación por pliegue")
    axes.hlines(rows, table.min(axis=1), table.max(axis=1), color=style.QUIET, lw=1.2, zorder=1)
    if len(means) == 2:
        _tell_differences(axes, table)
    shifts = np.linspace(-spread / 2, spread / 2, len(means))
    for shift, (entry, mean) in zip(shifts, means.items(), strict=True):
        look = {"color": entry.color, "marker": entry.marker, "linestyle": "none", "ms": 8}
        # Of three models two may be equal: a little apart, both are seen.
        apart = 0.4 * shift if len(means) > 2 else 0
        axes.plot(table[entry], rows + apart, **look, label=entry.name)
        whiskers = [[100 * (mean.value - mean.low)], [100 * (mean.high - mean.value)]]
        axes.errorbar(100 * mean.value, bottom + shift, xerr=whiskers, **look, capsize=4)
    axes.axhline(len(table) - 0.4, color=style.QUIET, lw=0.8, ls=":")
    told = "; sobre cada línea, la diferencia en puntos" if len(means) == 2 else ""
    axes.set(
        xlabel=f"Accuracy (%){told}",
        yticks=[*rows, bottom],
        yticklabels=[*(f"Pliegue {fold}" for fold in table.index), "Media e IC 95 %"],
        ylim=(bottom + spread / 2 + 0.4, -0.6),
    )
    axes.xaxis.set_major_formatter(style.hundredths)
    axes.grid(visible=False, axis="y")
    columns = min(3, len(means))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


def _tell_differences(axes: Axes, table: pd.DataFrame) -> None:
    for row, (first, second) in enumerate(table.to_numpy()):
        axes.annotate(
            spanish.number(second - first, 2, sign=True), ((first + second) / 2, row), (0, 3),
            textcoords="offset points", ha="center", va="bottom", size=9, color="0.2",
        )  # fmt: skip
