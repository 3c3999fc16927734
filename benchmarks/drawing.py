"""benchmarks/benchmark.png: images per second of each row, and how time grows."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import results
from benchmarks.parts import PARTS

FILE = Path(__file__).with_name("benchmark.png")
OURS, OTHERS = "#0072b2", "#707070"
TITLES = {
    "simple_nn": "SimpleNN, 5 folds",
    "last_layer": "ResNet-18, last layer, 5 folds",
}


def draw(frame: pd.DataFrame, path: Path = FILE) -> None:
    """Draw what was measured of `results.read`; what was not is left empty."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots(3, 1, height_ratios=[9, 5, 6])
    for one, (name, title) in zip(axes, TITLES.items(), strict=False):
        _rates(one, frame[frame["part"] == name], name, title)
    growth = frame[frame["part"] == "growth"]
    _lines(axes[-1], results.medians(growth) if len(growth) else None)
    machines = "; ".join(frame["machine"].unique())
    figure.suptitle(f"Images trained on per second (medians)\n{machines}", fontsize=10)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _rates(axes: Axes, part: pd.DataFrame, name: str, title: str) -> None:
    """A point for each row: bars would have no length on an axis without a zero."""
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if not len(part):
        axes.set_yticks([])
        return
    found = results.medians(part, PARTS[name].ours)
    found = found[found["images_per_second"].notna()]
    rates = found["images_per_second"]
    notes = [f", {one}" if one.startswith("of ") else "" for one in found["note"]]
    names = [f"{row}{note}" for row, note in zip(rates.index, notes, strict=True)]
    colours = [OURS if one.startswith("ours") else OTHERS for one in names]
    axes.scatter(rates, names, color=colours, zorder=2)
    axes.grid(axis="y", color="#e0e0e0")
    for place, (rate, ratio) in enumerate(zip(rates, found["ratio"], strict=True)):
        told = f"{rate:,.0f}" + (f"  {ratio:.2g} × slower" if ratio > 1 else "")
        axes.annotate(
            told, (rate, place), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=8, bbox={"color": "white", "pad": 1},
        )  # fmt: skip
    axes.set_ylim(len(rates) - 0.4, -0.6)  # from the top
    axes.set_xscale("log")
    axes.set_xlim(right=rates.max() * 5)
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _lines(axes: Axes, found: pd.DataFrame | None) -> None:
    axes.set_title("Seconds, as one thing grows (at its least: 1)", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if found is None:
        axes.set_yticks([])
        return
    for row in found.index.unique("row"):
        seconds = found.loc[row, "seconds"].dropna()
        slope = results.slope(seconds.index, seconds)
        x, y = seconds.index / seconds.index[0], seconds / seconds.iloc[0]
        axes.loglog(x, y, marker="o", label=f"{row}: slope {slope:.2f}")
    axes.set_xlabel("times as much")
    for axis, ticks in ((axes.xaxis, [1, 2, 5, 10, 20, 50]), (axes.yaxis, [0.5, 1, 2, 5, 10])):
        axis.set_ticks(ticks, [f"{one:g}" for one in ticks])
        axis.set_minor_formatter("")
    axes.legend(fontsize=8, frameon=False)
