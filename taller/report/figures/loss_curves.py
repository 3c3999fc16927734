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
    figure, panels = style.panels(len(curves), 4.6, "Curvas de pérdida", sharey=True)
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
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(style.comma)
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    panels[0].set_ylabel("Pérdida (entropía cruzada, escala log.)")
    # Below the panels: which corner of them is free depends on the model.
    lines = zip(*(axes.get_legend_handles_labels()[0] for axes in panels), strict=True)
    figure.legend(
        list(lines), DASHES, title="media y rango de los pliegues",
        loc="outside lower center", ncols=2, handlelength=3 * len(panels),
        handler_map={tuple: mpl.legend_handler.HandlerTuple(ndivide=None)},
    )  # fmt: skip
    return figure


def _whole_epochs(axes: Axes, first: int, last: int) -> None:
    """Ticks at whole epochs: a locator left to itself would cut a single one into tenths."""
    if first == last:
        axes.set_xlim(first - 0.5, last + 0.5)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, min_n_ticks=1))
