"""The picture of what each model costs, and how well it answers for that."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from taller.models.catalogue import Entry
from taller.report.figures import style
from taller.report.figures.style import QUIET
from taller.scores.statistics import Estimate

SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Cost(NamedTuple):
    """What a model costs, in floating-point operations.

    Attributes
    ----------
    answer : int
        Of one image through the network.
    fit : int
        Of its own fit on all training images.
    training : int or None
        Of its own fit and of the pretraining; None where nobody counted the latter.
    """

    answer: int
    fit: int
    training: int | None


def draw(costs: Mapping[Entry, Cost], means: Mapping[Entry, Estimate]) -> Figure:
    """Accuracy against operations: of training in one panel, of an answer in the other.

    The training of a pretrained model has two marks: a full one with the pretraining, a hollow
    one of its own fit alone, joined by a line.

    Parameters
    ----------
    means : mapping of Entry to Estimate
        Mean accuracy over folds, a fraction, and its 95 % interval.
    """
    title = "Exactitud (accuracy) de validación y coste"
    figure, (training, answer) = style.panels(2, 4.4, title, sharey=True)
    totals = {entry: cost.training or cost.fit for entry, cost in costs.items()}
    for entry, cost in costs.items():
        if cost.fit != totals[entry]:
            height = 100 * means[entry].value
            training.plot([cost.fit, totals[entry]], [height] * 2, color=entry.color, lw=1.2)
            training.plot(cost.fit, height, **_mark(entry, hollow=True))
    uncounted = {entry for entry, cost in costs.items() if cost.training is None}
    answers = {entry: cost.answer for entry, cost in costs.items()}
    _points(training, totals, means, hollow=uncounted)
    _points(answer, answers, means)
    _scale(training, [*totals.values(), *(cost.fit for cost in costs.values())])
    _scale(answer, answers.values())
    training.set(xlabel="Operaciones para entrenarlo", ylabel="Exactitud (accuracy, %), IC 95 %")
    answer.set(xlabel="Operaciones por respuesta")
    for axes in (training, answer):
        axes.set_xlabel(f"{axes.get_xlabel()} (coma flotante, escala log.)")
    training.yaxis.set_major_formatter(style.comma)
    _explain(figure, costs, totals)
    return figure


def _mark(entry: Entry, *, hollow: bool) -> dict[str, object]:
    face = "white" if hollow else entry.color
    return {
        "color": entry.color, "marker": entry.marker, "mfc": face, "ms": 9, "ls": "none",
    }  # fmt: skip


def _points(
    axes: Axes,
    costs: Mapping[Entry, int],
    means: Mapping[Entry, Estimate],
    hollow: Collection[Entry] = (),
) -> None:
    middle = np.sqrt(float(min(costs.values())) * max(costs.values()))
    for entry, cost in costs.items():
        mean = means[entry]
        whiskers = [[100 * (mean.value - mean.low)], [100 * (mean.high - mean.value)]]
        axes.errorbar(
            cost, 100 * mean.value, whiskers, capsize=4, **_mark(entry, hollow=entry in hollow)
        )
        # Beside the whiskers, above the line to the left, and towards the middle.
        right = cost > middle
        axes.annotate(
            entry.short, (cost, 100 * mean.value), (-8 if right else 8, 5),
            textcoords="offset points", ha="right" if right else "left", va="bottom",
            color=entry.color,
        )  # fmt: skip
    axes.margins(y=0.1)


def _scale(axes: Axes, operations: Collection[int]) -> None:
    """A logarithmic axis of a decade or more, with ticks that are round."""
    low, high = np.log10(min(operations)), np.log10(max(operations))
    room = max(0.15 * (high - low), 0.5)
    axes.set(xscale="log", xlim=(10 ** (low - room), 10 ** (high + room)))
    # Powers of ten, and parts of them where the models are closer to each other than that.
    subs = (1,) if high - low > 1.5 else (1, 2, 5)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(_power)


def _power(value: float, _position: int | None = None) -> str:
    """A tick's label: ``10⁹``, or ``2·10⁹``."""
    factor, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return power if factor == "1" else f"{factor}·{power}"


def _explain(figure: Figure, costs: Mapping[Entry, Cost], totals: Mapping[Entry, int]) -> None:
    """A legend, where a mark is hollow: which part of the cost it is."""
    keys = []
    if any(cost.fit != totals[entry] for entry, cost in costs.items()):
        keys = [("todo, preentrenamiento incluido", QUIET), ("solo su ajuste", "white")]
    if any(cost.training is None for cost in costs.values()):
        keys.append(("solo su ajuste: lo que costó el preentrenamiento no se sabe", "white"))
    handles = [
        Line2D([], [], color=QUIET, marker="s", mfc=face, ms=8, ls="none", label=label)
        for label, face in keys
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
