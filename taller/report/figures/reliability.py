"""The picture of whether the models are right as often as they say."""

from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.models.catalogue import Entry
from taller.report import spanish
from taller.report.figures import style


def draw(
    bins: Mapping[Entry, pd.DataFrame],
    errors: Mapping[Entry, float],
    calibrated: Mapping[Entry, float],
) -> Figure:
    """Accuracy by confidence, over the number of images in each bin, one panel per model.

    Parameters
    ----------
    bins : mapping of Entry to DataFrame
        For each model, rows of ``low``, ``high``, ``images``, ``confidence``, ``accuracy``,
        ``accuracy_low`` and ``accuracy_high``.
    errors : mapping of Entry to float
        Expected calibration error, a fraction.
    calibrated : mapping of Entry to float
        The most that a perfectly calibrated model with the same confidences would show of it.
    """
    figure = Figure((style.WIDTH, 6))
    grid = figure.subplots(
        2, len(bins), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1.3)
    )
    most = max(rows["images"].max() for rows in bins.values())
    between = " " if len(bins) <= 2 else "\n"  # three panels are too narrow for both numbers
    for (above, below), (entry, rows) in zip(grid.T, bins.items(), strict=True):
        _accuracies(above, entry, rows)
        error, most_by_chance = (
            spanish.number(100 * share[entry], 2) for share in (errors, calibrated)
        )
        told = f"ECE {error} puntos{between}(calibrado: hasta {most_by_chance})"
        above.set(title=f"{entry.name}\n{told}")
        _images(below, entry, rows, most)
    grid[0][0].set_ylabel("Exactitud (accuracy, %)")
    grid[1][0].set_ylabel("Imágenes\n(escala log.)")
    # Below the panels: which corner of them is free depends on the model.
    keys, labels = zip(*(axes.get_legend_handles_labels() for axes in grid[0]), strict=True)
    figure.legend(
        [keys[0][0], tuple(points for _, points in keys)], labels[0],
        loc="outside lower center", ncols=2, handlelength=2 * len(bins),
        handler_map={tuple: mpl.legend_handler.HandlerTuple(ndivide=None)},
    )  # fmt: skip
    figure.suptitle("Calibración: ¿acierta tanto como dice?")
    return figure


def _accuracies(axes: Axes, entry: Entry, rows: pd.DataFrame) -> None:
    axes.plot([0, 1], [0, 1], "--", color=style.QUIET, label="calibración perfecta")
    axes.errorbar(
        rows["confidence"], rows["accuracy"], fmt=entry.marker, color=entry.color, ms=5,
        yerr=abs(rows[["accuracy_low", "accuracy_high"]].T - rows["accuracy"]).to_numpy(),
        capsize=2, label="exactitud observada, IC 95 %",
    )  # fmt: skip
    axes.set(xlim=(0, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda share, _: f"{100 * share:.0f}")


def _images(axes: Axes, entry: Entry, rows: pd.DataFrame, most: int) -> None:
    middle, width = (rows["low"] + rows["high"]) / 2, 0.9 * (rows["high"] - rows["low"])
    axes.bar(middle, rows["images"], width, color=entry.color)
    for place, images in zip(middle, rows["images"], strict=True):
        label = spanish.count(images)
        axes.text(place, 1.3 * images, label, rotation=90, ha="center", va="bottom", size=7.5)
    axes.set(xlabel="Confianza (%)", yscale="log", ylim=(0.7, 50 * most))
    axes.yaxis.set_major_formatter(lambda images, _: spanish.count(round(images)))
    axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.grid(visible=False, axis="x")
