"""The picture of how right the models are that learn from fewer images."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from taller.report import format
from taller.report.figures import style
from taller.statistics.comparison import Comparison
from taller.statistics.folds import Estimate
from taller.statistics.learning_curve import Curve, Gain


def draw(comparison: Comparison, curves: Sequence[Curve], gains: Sequence[Gain]) -> Figure:
    """The metric against training images, and in a second panel what fine-tuning gains by that."""
    what, english = style.METRICS[comparison.metric]
    figure, (scores, differences) = style.panels(2, 4.4, "Curva de aprendizaje")
    looks = {result: look for result, *look in style.looks(comparison.models)}
    for curve in curves:
        images, means = zip(*curve.points, strict=True)
        _line(scores, images, means, *looks[curve.result], label=curve.result.model)
    for gain in gains:
        images, values, _ = zip(*gain.rows, strict=True)
        label = f"{gain.pair.first.model} − {gain.pair.second.model}"
        _line(differences, images, values, *looks[gain.pair.first], label=label)
    rope = 100 * comparison.rope
    differences.axhspan(-rope, rope, color=style.QUIET, alpha=0.2, lw=0, label="prácticamente nada")
    scores.set_ylabel(f"{what} ({english}, %), IC 95 %")
    differences.set_ylabel("Diferencia (puntos), IC 95 %")
    for axes in (scores, differences):
        axes.set_xlabel("Imágenes de entrenamiento (escala log.)")
        axes.yaxis.set_major_formatter(style.comma)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    if not curves:
        scores.set_axis_off()
        differences.set_axis_off()
        scores.annotate(
            "sin curvas: curve.sections está vacío", (0.5, 0.5), xycoords="axes fraction",
            ha="center", color=style.QUIET,
        )  # fmt: skip
    return figure


def _line(
    axes: Axes, images: Sequence[int], estimates: Sequence[Estimate], color: str, marker: str,
    label: str,
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
    axes.xaxis.set_major_formatter(lambda value, _: format.thousands(round(value)))
