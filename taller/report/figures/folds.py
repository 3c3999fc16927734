"""The picture of the models' accuracy on every fold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.report import tables
from taller.report.figures import style
from taller.report.format import Language
from taller.statistics.results import LARGEST_CLASS, Metric, Result

HIGHEST = 10  # inches: what fits on a page
PITCH = 0.45  # inches a row, at most
READABLE = 0.17  # inches a row: below, only the first fold of each repeat has a name


def draw(models: Sequence[Result], metric: Metric, say: Language) -> Figure:
    """The models' scores of validation, fold by fold, and their means with intervals.

    A line joins the models of a fold; of two models, their difference stands on it. A dashed line
    is what naming the largest class gives, where that is not far away.
    """
    # A model may have fewer folds than others.
    scores = {place: 100 * result.splits[metric] for place, result in enumerate(models)}
    table = pd.DataFrame(scores)
    rows = np.arange(len(table))
    # The means are as far apart as they are, however small the rows: in rows, that is more.
    pitch = min(PITCH, (HIGHEST - 2.3 - 0.13 * len(models)) / len(table))
    spread = 0.13 * (len(models) - 1) / pitch
    bottom = len(table) - 0.5 + 0.35 / pitch + spread / 2
    end = bottom + spread / 2 + 0.18 / pitch
    title = say("fold_title", metric=say(metric), english=metric.replace("_", " "))
    figure, (axes,) = style.panels(1, 1.6 + pitch * (end + 0.6), title)
    size = min(8, 40 * pitch)
    ends = table.min(axis=1), table.max(axis=1)
    axes.hlines(rows, *ends, color=style.QUIET, lw=min(1.2, 9 * pitch), zorder=1)
    xlabel = f"{say(metric)} (%)"
    if len(models) == 2 and pitch > 0.3:
        for row in rows[table.notna().all(axis=1)]:
            first, second = table.iloc[row]
            difference, place = say.number(second - first, sign=True), (first + second) / 2
            axes.annotate(
                difference, (place, row), (0, 3), textcoords="offset points", ha="center",
                va="bottom", size=9, color="0.2",
            )  # fmt: skip
        xlabel += say("fold_gap")
    shifts = np.linspace(-spread / 2, spread / 2, len(models))
    for place, (result, color, marker) in enumerate(style.looks(models)):
        mean, shift = result.mean(metric), shifts[place]
        look = {"color": color, "marker": marker, "linestyle": "none"}
        # Of three models two may be equal: a little apart, all are seen.
        apart = 0.6 * shift * min(1, pitch / PITCH) if len(models) > 2 else 0
        axes.plot(table[place].to_numpy(), rows + apart, **look, ms=size, label=result.model)
        bars = style.whiskers(mean)
        axes.errorbar(100 * mean.value, bottom + shift, xerr=bars, **look, ms=8, capsize=4)
    lowest, highest = table.min(axis=None), table.max(axis=None)
    largest = 100 * models[0].scores(LARGEST_CLASS[metric]).mean()
    if largest > 2 * lowest - highest:
        axes.axvline(largest, color=style.QUIET, ls="--", zorder=1, label=say("fold_largest"))
    axes.axhline(len(table) - 0.4, color=style.QUIET, lw=0.8, ls=":")
    axes.set(xlabel=xlabel, ylim=(end, -0.6))
    _name_rows(axes, [*map(str, tables.fold_names(table.index))], bottom, pitch, say)
    axes.xaxis.set_major_formatter(lambda value, _: say.number(value))
    axes.grid(visible=False, axis="y")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", markerscale=8 / size,
        ncols=style.columns(len(models)),
    )  # fmt: skip
    return figure


def _name_rows(axes: Axes, names: list[str], bottom: float, pitch: float, say: Language) -> None:
    """Name the folds and the means; a line divides repeats."""
    repeats = [name.partition(".")[0] if "." in name else "" for name in names]
    starts = [row for row in range(1, len(names)) if repeats[row] != repeats[row - 1]]
    for row in starts:
        axes.axhline(row - 0.5, color="0.85", lw=0.8, zorder=0)
    named = range(len(names)) if pitch >= READABLE else [0, *starts]
    labels = [*(say("fold", name=names[row]) for row in named), say("fold_mean")]
    axes.set_yticks([*named, bottom], labels)
    if any(repeats):
        axes.set_ylabel(say("fold_y"))
