"""The picture of how the losses fall."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from taller.report import tables
from taller.report.figures import style
from taller.report.format import Language
from taller.statistics.results import Result

DASHES = {"entrenamiento": "--", "validación": "-"}  # as in the rows, in words.py too


def draw(models: Sequence[Result], say: Language) -> Figure:
    """Mean loss per epoch with its range over the folds, a panel per model."""
    columns = style.columns(len(models))
    figure, panels = style.panels(len(models), 4.6, say("loss"), columns, sharey=True)
    for axes, (result, *look) in zip(panels, style.looks(models), strict=True):
        _curves(axes, result, *look, say)
        axes.set(title=result.model, xlabel=say("loss_x"), yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(say.tick)
        axes.yaxis.set_minor_locator(NullLocator())
    panels[0].set_ylabel(say("loss_y"))
    lines = zip(*(axes.get_legend_handles_labels()[0] for axes in panels), strict=True)
    style.legend(
        figure, list(lines), [*map(say, DASHES)], title=say("loss_legend"),
        handlelength=3 * min(len(panels), 4),
    )  # fmt: skip
    return figure


def _curves(axes: Axes, result: Result, color: str, marker: str, say: Language) -> None:
    rows = tables.loss_curves(result)
    for part, dashes in DASHES.items():
        line = rows[rows["conjunto"] == part]
        band = {"color": color, "alpha": 0.25}
        axes.plot(
            line["epoca"], line["media"], dashes, color=color, label=say(part),
            marker=marker, ms=4, mfc=color if dashes == "-" else "white",
        )  # fmt: skip
        axes.fill_between(line["epoca"], line["inferior"], line["superior"], lw=0, **band)
        if len(line) == 1:  # a band has no width there
            axes.vlines(line["epoca"], line["inferior"], line["superior"], lw=8, **band)
            axes.set_xlim(line["epoca"].iloc[0] - 0.5, line["epoca"].iloc[0] + 0.5)
    # A locator left to itself would cut a single epoch into tenths.
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
