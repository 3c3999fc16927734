"""The charts: scores by training images, by fold and by cost, and losses by epoch."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from taller.report import tables
from taller.report.figures import style
from taller.report.figures.style import QUIET
from taller.report.language import RAISED, Language
from taller.statistics.comparison import Comparison
from taller.statistics.intervals import Estimate
from taller.statistics.learning_curve import Curve, Gain
from taller.statistics.results import Metric, Result

DASHES = {"entrenamiento": "--", "validación": "-"}  # as in the rows, in language.py too
HIGHEST = 10  # inches: what fits on a page
PITCH = 0.45  # inches a row, at most
READABLE = 0.17  # inches a row: below, only the first fold of each repeat has a name


def learning_curve(
    comparison: Comparison, curves: Sequence[Curve], gains: Sequence[Gain], say: Language
) -> Figure:
    """The metric against training images, and in a second panel what fine-tuning gains by that."""
    metric = comparison.metric
    figure, (scores, differences) = style.panels(2, 4.4, say("curve"))
    looks = {result: look for result, *look in style.looks(comparison.models)}
    for curve in curves:
        images, means = zip(*curve.points, strict=True)
        _estimates(scores, say, images, means, *looks[curve.result], label=curve.result.model)
    for gain in gains:
        images, values, _ = zip(*gain.rows, strict=True)
        label = f"{gain.pair.first.model} − {gain.pair.second.model}"
        _estimates(differences, say, images, values, *looks[gain.pair.first], label=label)
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


def _estimates(
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


def loss_curves(models: Sequence[Result], say: Language) -> Figure:
    """Mean loss per epoch with its range over the folds, a panel per model."""
    columns = style.columns(len(models))
    figure, panels = style.panels(len(models), 4.6, say("loss"), columns, sharey=True)
    for axes, (result, *look) in zip(panels, style.looks(models), strict=True):
        _losses(axes, result, *look, say)
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


def _losses(axes: Axes, result: Result, color: str, marker: str, say: Language) -> None:
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


def folds(models: Sequence[Result], metric: Metric, largest: float, say: Language) -> Figure:
    """The models' scores of validation, fold by fold, and their means with intervals.

    A line joins the models of a fold; of two models, their difference stands on it. A dashed line
    is what naming the largest class gives, `largest`, where that is not far away.
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
    if 100 * largest > 2 * lowest - highest:
        axes.axvline(100 * largest, color=style.QUIET, ls="--", zorder=1, label=say("fold_largest"))
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


def cost(models: Sequence[Result], metric: Metric, say: Language) -> Figure:
    """The metric against operations: of training in one panel, of inference in the other.

    A model that was pretrained here has two marks: a full one with the pretraining, a hollow one
    of its own fit alone, joined by a line. What others spent on downloaded weights is unknown.
    """
    what = say(metric)
    title = say("cost", metric=what, english=metric.replace("_", " "))
    figure, (training, inference) = style.panels(2, 4.4, title, sharey=True)
    fits = [result.fit["flops"]["training"] for result in models]
    inferences = [result.inference_flops for result in models]
    unknown = [result.source == "imagenet" for result in models]
    means = [result.mean(metric) for result in models]
    _costs(training, models, means, [result.training_flops for result in models], fits, unknown)
    _costs(inference, models, means, inferences, inferences, [False] * len(models))
    training.set(xlabel=say("cost_train"), ylabel=say("percent_interval", metric=what))
    inference.set_xlabel(say("cost_answer"))
    training.yaxis.set_major_formatter(say.tick)
    _explain(figure, models, say)
    return figure


def _costs(
    axes: Axes,
    models: Sequence[Result],
    means: Sequence[Estimate],
    costs: Sequence[int],
    fits: Sequence[int],
    hollow: Sequence[bool],
) -> None:
    """The models at their costs, and where another part of it is known, at that too."""
    low, high = np.log10(min(*costs, *fits)), np.log10(max(*costs, *fits))
    for place, (_, color, marker) in enumerate(style.looks(models)):
        mean, cost = means[place], costs[place]
        look = {"color": color, "marker": marker, "ms": 9, "ls": "none"}
        if fits[place] != cost:
            axes.plot([fits[place], cost], [100 * mean.value] * 2, color=color, lw=1.2)
            axes.plot(fits[place], 100 * mean.value, mfc="white", **look)
        face = "white" if hollow[place] else color
        bars = style.whiskers(mean)
        axes.errorbar(cost, 100 * mean.value, bars, capsize=4, mfc=face, **look)
    axes.margins(y=0.1)
    # A logarithmic axis of a decade or more, whose ticks are powers of ten, and parts of them
    # where the models are closer to each other than that.
    margin = max(0.15 * (high - low), 0.5)
    axes.set(xscale="log", xlim=(10 ** (low - margin), 10 ** (high + margin)))
    subs = (1,) if high - low > 1.5 else (1, 2, 5)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(_power)


def _power(value: float, _position: int | None = None) -> str:
    """A tick's label: ``10⁹``, or ``2·10⁹``."""
    factor, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(RAISED)}"
    return power if factor == "1" else f"{factor}·{power}"


def _explain(figure: Figure, models: Sequence[Result], say: Language) -> None:
    """A legend of the models and, where a mark is hollow, of which part of the cost it is."""
    keys, look = [], {"ms": 8, "ls": "none"}
    if any(result.pretraining.get("flops") for result in models):
        keys = [(say("cost_all"), QUIET), (say("cost_fit"), "white")]
    if any(result.source == "imagenet" for result in models):
        keys.append((say("cost_unknown"), "white"))
    handles = [
        Line2D([], [], color=color, marker=marker, label=result.model, **look)
        for result, color, marker in style.looks(models)
    ]
    handles += [
        Line2D([], [], color=QUIET, marker="s", mfc=face, label=label, **look)
        for label, face in keys
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
