"""The picture of whether the models are right as often as they say."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from taller.report.figures import style
from taller.report.format import Language
from taller.statistics.results import Result


def draw(models: Sequence[Result], say: Language) -> Figure:
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
