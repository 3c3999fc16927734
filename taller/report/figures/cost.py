"""The picture of what each model costs, and how often it is right for that."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from taller.report.figures import style
from taller.report.figures.style import QUIET
from taller.report.format import RAISED, Language
from taller.statistics.folds import Estimate
from taller.statistics.results import Metric, Result


def draw(models: Sequence[Result], metric: Metric, say: Language) -> Figure:
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
    _panel(training, models, means, [result.training_flops for result in models], fits, unknown)
    _panel(inference, models, means, inferences, inferences, [False] * len(models))
    training.set(xlabel=say("cost_train"), ylabel=say("percent_interval", metric=what))
    inference.set_xlabel(say("cost_answer"))
    training.yaxis.set_major_formatter(say.tick)
    _explain(figure, models, say)
    return figure


def _panel(
    axes: Axes,
    models: Sequence[Result],
    means: Sequence[Estimate],
    costs: Sequence[int],
    fits: Sequence[int],
    hollow: Sequence[bool],
) -> None:
    """The models at their costs, and where another part of it is known, at that too."""
    low, high = np.log10(min(*costs, *fits)), np.log10(max(*costs, *fits))
    middle = np.sqrt(float(min(costs)) * max(costs))
    for place, (result, color, marker) in enumerate(style.looks(models)):
        mean, cost = means[place], costs[place]
        look = {"color": color, "marker": marker, "ms": 9, "ls": "none"}
        if fits[place] != cost:
            axes.plot([fits[place], cost], [100 * mean.value] * 2, color=color, lw=1.2)
            axes.plot(fits[place], 100 * mean.value, mfc="white", **look)
        face = "white" if hollow[place] else color
        bars = style.whiskers(mean)
        axes.errorbar(cost, 100 * mean.value, bars, capsize=4, mfc=face, **look)
        # Beside the whiskers, above the line to the left, and towards the middle.
        right = cost > middle
        axes.annotate(
            result.short, (cost, 100 * mean.value), (-8 if right else 8, 5),
            textcoords="offset points", ha="right" if right else "left", va="bottom",
            color=color,
        )  # fmt: skip
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
    """A legend, where a mark is hollow: which part of the cost it is."""
    keys = []
    if any(result.pretraining.get("flops") for result in models):
        keys = [(say("cost_all"), QUIET), (say("cost_fit"), "white")]
    if any(result.source == "imagenet" for result in models):
        keys.append((say("cost_unknown"), "white"))
    handles = [
        Line2D([], [], color=QUIET, marker="s", mfc=face, ms=8, ls="none", label=label)
        for label, face in keys
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=min(2, len(handles)))
