"""The pictures of the study: who wins where, errors by images, and by what training costs."""

from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from taller.report.figures import style
from taller.report.language import Language

COLORS = {"map_scratch": "#f2b791", "map_pretrained": "#a9d6f5", "map_equal": "0.85"}
# Arms that are contestants of the main report have the looks that they have there.
MAIN, EIGHTH = ("simple_nn", "cnn", "cnn_letters", "resnet18_letters_fc"), "#8C564B"
LEAST = 1e-4  # an error of nothing, on a logarithmic axis


def draw(cells: Sequence, squares: Sequence, rope: float, say: Language) -> dict[str, Figure]:
    """All of them, by the names of their files: of the cells of map.py, and their squares."""
    sizes = sorted({one.images for one in cells})
    curves = errors(cells, lambda one: one.images, "map_curves", "map_x", say)
    for axes in curves.axes:
        axes.xaxis.set_major_locator(FixedLocator(sizes))
        axes.xaxis.set_major_formatter(lambda value, _: say.thousands(round(value)))
    cost = errors(cells, lambda one: one.operations, "map_cost", "map_cost_x", say)
    return {"mapa": winners(squares, rope, say), "curvas": curves, "coste": cost}


def winners(squares: Sequence, rope: float, say: Language) -> Figure:
    """Domains by numbers of images: who wins, in its kind's colour, hatched where undecided.

    Grey where the difference is within the rope for certain, and so practically none.
    """
    domains = [*dict.fromkeys(one.best.domain for one in squares)]
    sizes = sorted({one.best.images for one in squares})
    figure = Figure((max(style.WIDTH, 1.5 + 1.9 * len(sizes)), 1.6 + 1.3 * len(domains)))
    axes, kinds = figure.subplots(), {True: "map_scratch", False: "map_pretrained"}
    for one in squares:
        x, y = sizes.index(one.best.images), domains.index(one.best.domain)
        color = COLORS["map_equal" if one.equal else kinds[one.best.scratch]]
        hatch = "" if one.decided or one.equal else "//"
        axes.bar(x, 0.94, 0.94, y - 0.47, color=color, hatch=hatch, edgecolor="white")
        name = one.best.label(say).replace(", ", "\n", 1).replace(" (", "\n(")
        gap = [say.points(value, 1 + (one.difference.high < 0.01)) for value in one.difference]
        gap = say("map_gap", points=gap[0], low=gap[1], high=gap[2])
        text = f"{name}\n{say.percent(one.best.accuracy.value, 1)}\n{gap}"
        text += "\n" + say("map_tied", count=len(one.tied)) if one.tied else ""
        axes.text(x, y, text, ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(sizes)), [*map(say.thousands, sizes)])
    axes.set_yticks(range(len(domains)), domains)
    axes.set(xlabel=say("map_x"), ylim=(len(domains) - 0.5, -0.5), title=say("map"))
    axes.grid(visible=False)
    rope = say.plain(100 * rope)
    keys = [Patch(color=COLORS[kind], label=say(kind, rope=rope)) for kind in COLORS]
    keys.append(Patch(facecolor="0.7", hatch="//", edgecolor="white", label=say("map_open")))
    figure.legend(handles=keys, loc="outside lower center", ncols=4)
    return figure


def errors(cells: Sequence, place: Callable, title: str, below: str, say: Language) -> Figure:
    """A panel per domain with a line per arm, whose looks are the same in all; dashed: scratch."""
    domains = [*dict.fromkeys(one.domain for one in cells)]
    figure, panels = style.panels(len(domains), 5.2, say(title), columns=2, sharey=True)
    arms = sorted(dict.fromkeys(one.arm for one in cells), key=lambda arm: (*MAIN, arm).index(arm))
    for arm, color, marker in zip(arms, cycle((*style.COLORS, EIGHTH)), cycle(style.MARKERS)):
        for axes, domain in zip(panels, domains, strict=True):
            line = [one for one in cells if (one.domain, one.arm) == (domain, arm)]
            if not (line := [one for one in line if one.facts["run"]]):
                continue
            value, high, low = 100 * np.maximum(
                1 - np.array([one.accuracy for one in line]).T, LEAST
            )
            axes.errorbar(
                [*map(place, line)], value, [value - low, high - value], color=color, lw=1.2,
                marker=marker, ms=5, elinewidth=0.8, ls="--" if line[0].scratch else "-",
                label=line[0].label(say),
            )  # fmt: skip
    for axes, domain in zip(panels, domains, strict=True):
        axes.set(xscale="log", yscale="log", title=domain, xlabel=say(below))
        for axis, subs in ((axes.xaxis, (1,)), (axes.yaxis, (1, 2, 5))):
            axis.set_major_locator(LogLocator(subs=subs, numticks=12))
            axis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(say.tick)
    panels[0].set_ylabel(say("map_error"))
    handles = {one.get_label(): one for axes in panels for one in axes.containers}
    figure.legend(handles=[*handles.values()], loc="outside lower center", ncols=2)
    return figure
