"""The picture of how right the models are that learn from fewer images."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from taller.report.figures import style
from taller.report.format import Language
from taller.statistics.comparison import Comparison
from taller.statistics.folds import Estimate
from taller.statistics.learning_curve import Curve, Gain


def draw(
    comparison: Comparison, curves: Sequence[Curve], gains: Sequence[Gain], say: Language
) -> Figure:
    """The metric against training images, and in a second panel what fine-tuning gains by that."""
    metric = comparison.metric
    figure, (scores, differences) = style.panels(2, 4.4, say("curve"))
    looks = {result: look for result, *look in style.looks(comparison.models)}
    for curve in curves:
        images, means = zip(*curve.points, strict=True)
        _line(scores, say, images, means, *looks[curve.result], label=curve.result.model)
    for gain in gains:
        images, values, _ = zip(*gain.rows, strict=True)
        label = f"{gain.pair.first.model} − {gain.pair.second.model}"
        _line(differences, say, images, values, *looks[gain.pair.first], label=label)
    rope = 100 * comparison.rope
    differences.axhspan(-rope, rope, color=style.QUIET, alpha=0.2, lw=0, label=say("curve_rope"))
    scores.set_ylabel(say("curve_y", metric=say(metric), english=metric.replace("_", " ")))
    differences.set_ylabel(say("curve_gain"))
    for axes in (scores, differences):
        axes.set_xlabel(say("curve_x"))
        axes.yaxis.set_major_formatter(say.tick)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    if not curves:
        scores.set_axis_off()
        differences.set_axis_off()
        scores.annotate(
            say("curve_none"), (0.5, 0.5), xycoords="axes fraction",
            ha="center", color=style.QUIET,
        )  # fmt: skip
    return figure


def _line(
    axes: Axes, say: Language, images: Sequence[int], estimates: Sequence[Estimate], color: str,
    marker: str, label: str,
) -> None:  # fmt: skip
    values = [100 * one.value for one in estimates]
    bars = [
        [100 * (one.value - one.low) for one in estimates],
        [100 * (one.high - one.value) for one in estimates],
    ]
    axes.errorbar(
        images, values, bars, color=color, marker=marker, ms=7, capsize=4, lw=1.2, label=label
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(images))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: say.thousands(round(value)))
