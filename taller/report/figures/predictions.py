"""The pictures of answers to the test images: which are wrong, and how sure the models are."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullLocator

from taller.report.figures import style
from taller.report.language import Language
from taller.statistics.results import Result

LIGHT = 1.6  # the scale's end over the largest share: black is legible on all of it
MOST_WRITTEN = 15  # classes: with more, the cells are too small for numbers


def confusion(models: Sequence[Result], names: Sequence[str], say: Language) -> Figure:
    """Counts of the test images and their share of the row, a panel per model.

    `names` are those of the classes.
    """
    columns = min(len(models), 3 if len(names) <= 5 else 2)
    longest = max(map(len, names))
    # Long names make the cells smaller, and take more below them, where they are slanted.
    side = style.WIDTH / columns - 0.6 - 0.06 * longest
    height = side + 1.3 + 0.045 * longest
    title = say("confusion" if len(names) <= MOST_WRITTEN else "confusion_shares")
    figure, panels = style.panels(len(models), height, title, columns)
    tables, size = [result.confusion for result in models], min(8.0, 72 * side / len(names) / 3)
    darkest = max(float(_errors(matrix).max()) for matrix in tables) or 1.0
    for axes, result in zip(panels, models, strict=True):
        _heat_map(axes, result.confusion, names, size, darkest, say)
        axes.set(title=result.model, xlabel=say("confusion_x"))
    for axes in panels[::columns]:
        axes.set_ylabel(say("confusion_y"))
    return figure


def _shares(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def _errors(matrix: np.ndarray) -> np.ndarray:
    return _shares(matrix) * ~np.eye(len(matrix), dtype=bool)


def _heat_map(
    axes: Axes, matrix: np.ndarray, names: Sequence[str], size: float, darkest: float, say: Language
) -> None:
    shares = _shares(matrix)
    written = len(names) <= MOST_WRITTEN

    def cell(images: int, share: float) -> str:
        return f"{images}\n{say.number(100 * share, 1)}" if images else "·"

    # The colour is of errors, the same in all panels; what is right, the diagonal, is grey.
    sns.heatmap(
        _errors(matrix), ax=axes, cmap="Oranges", vmin=0, vmax=LIGHT * darkest,
        square=True, cbar=False,
        annot=np.vectorize(cell)(matrix, shares) if written else None, fmt="",
        annot_kws={"size": size, "linespacing": 1.1, "color": "black"},
        xticklabels=names, yticklabels=names,
    )  # fmt: skip
    for place in range(len(names)):
        axes.add_patch(Rectangle((place, place), 1, 1, facecolor="0.88", zorder=2))
    long = max(map(len, names)) > 2
    axes.tick_params(labelsize=min(9.0, 72 * 3.6 / len(names) / 1.1))  # as high as a panel's row
    axes.set_xticks(
        axes.get_xticks(), names, rotation=45 if long else 0, ha="right" if long else "center",
        rotation_mode="anchor" if long else "default",
    )  # fmt: skip
    axes.set_yticks(axes.get_yticks(), names, rotation=0)


def calibration(models: Sequence[Result], say: Language) -> Figure:
    """Accuracy by confidence, over the number of images in each bin, one column per model."""
    columns = style.columns(len(models))
    rows = -(-len(models) // columns)
    figure = Figure((style.WIDTH, 6 * rows))
    grid = figure.subplots(
        2 * rows, columns, sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1.3) * rows
    )
    above, below = grid[::2].ravel(), grid[1::2].ravel()
    most = max(result.calibration["images"].max() for result in models)
    between = " " if columns <= 2 else "\n"  # three panels are too narrow for both numbers
    for upper, lower, (result, color, marker) in zip(
        above, below, style.looks(models), strict=False
    ):
        _accuracies(upper, result, color, marker, say)
        ece = say.points(result.test["ece"])
        chance = say.points(result.test["ece_calibrated"]["high"])
        words = say("ece", ece=ece, chance=chance, between=between)
        upper.set(title=f"{result.model}\n{words}")
        _images(lower, result, color, most, say)
    for empty in (*above[len(models) :], *below[len(models) :]):
        empty.set_axis_off()
    for row in range(rows):
        grid[2 * row][0].set_ylabel(say("calibration_y"))
        grid[2 * row + 1][0].set_ylabel(say("calibration_images"))
    handles = [axes.get_legend_handles_labels()[0] for axes in above[: len(models)]]
    labels = above[0].get_legend_handles_labels()[1]
    keys = [handles[0][0], tuple(points for _, points in handles)]
    style.legend(figure, keys, labels, handlelength=2 * min(len(models), 4))
    figure.suptitle(say("calibration"))
    return figure


def _accuracies(axes: Axes, result: Result, color: str, marker: str, say: Language) -> None:
    rows = result.calibration
    axes.plot([0, 1], [0, 1], "--", color=style.QUIET, label=say("calibration_perfect"))
    axes.errorbar(
        rows["confidence"], rows["accuracy"], fmt=marker, color=color, ms=5,
        yerr=abs(rows[["accuracy_low", "accuracy_high"]].T - rows["accuracy"]).to_numpy(),
        capsize=2, label=say("calibration_seen"),
    )  # fmt: skip
    axes.set(xlim=(0, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda share, _: f"{100 * share:.0f}")


def _images(axes: Axes, result: Result, color: str, most: int, say: Language) -> None:
    rows = result.calibration
    middle, width = (rows["low"] + rows["high"]) / 2, 0.9 * (rows["high"] - rows["low"])
    axes.bar(middle, rows["images"], width, color=color)
    for place, images in zip(middle, rows["images"], strict=True):
        label = say.thousands(images)
        axes.text(place, 1.3 * images, label, rotation=90, ha="center", va="bottom", size=7.5)
    axes.set(xlabel=say("calibration_x"), yscale="log", ylim=(0.7, 50 * most))
    axes.tick_params(labelbottom=True)  # of every row of models
    axes.yaxis.set_major_formatter(lambda images, _: say.thousands(round(images)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(visible=False, axis="x")
