"""The picture of how the losses fall."""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.models.catalogue import Entry
from taller.report.figures import style

DASHES = {"entrenamiento": "--", "validación": "-"}


def draw(curves: Mapping[Entry, pd.DataFrame]) -> Figure:
    """Mean loss per epoch with the spread over folds, one panel per model.

    Parameters
    ----------
    curves : mapping of Entry to DataFrame
        For each model, rows of ``epoca``, ``conjunto``, ``media``, ``inferior`` and
        ``superior``, as `plot_rows.loss_curves` returns.
    """
    figure, panels = style.panels(len(curves), 4.2, "Curvas de pérdida", sharey=True)
    for axes, (entry, rows) in zip(panels, curves.items(), strict=True):
        for split, dashes in DASHES.items():
            line = rows[rows["conjunto"] == split]
            axes.plot(
                line["epoca"], line["media"], dashes, color=entry.color, label=split,
                marker=entry.marker, ms=4, mfc=entry.color if dashes == "-" else "white",
            )  # fmt: skip
            axes.fill_between(
                line["epoca"], line["inferior"], line["superior"],
                color=entry.color, alpha=0.25, lw=0,
            )  # fmt: skip
            if len(line) == 1:  # a band has no width there
                axes.vlines(
                    line["epoca"], line["inferior"], line["superior"],
                    color=entry.color, alpha=0.25, lw=8,
                )  # fmt: skip
        axes.set(title=entry.name, xlabel="Época", yscale="log")
        _whole_epochs(axes, rows["epoca"].min(), rows["epoca"].max())
        axes.legend(title="media y rango de los pliegues", title_fontsize=9, fontsize=9)
    for axes in panels:
        _losses(axes)
    figure.supylabel("Pérdida (entropía cruzada, escala logarítmica)", size=10)
    return figure


def _whole_epochs(axes: Axes, first: int, last: int) -> None:
    """Ticks at whole epochs: a locator left to itself would cut a single one into tenths."""
    if first == last:
        axes.set_xlim(first - 0.5, last + 0.5)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, min_n_ticks=1))


def _losses(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 times powers of ten, or, where those are too few, evenly spaced."""
    low, high = axes.get_ylim()
    few = high < 8 * low
    locator = mpl.ticker.MaxNLocator(5) if few else mpl.ticker.LogLocator(subs=(1, 2, 5))
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(style.comma)
    axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
