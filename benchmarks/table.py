"""benchmarks/results.csv, a line for each measurement, and what is shown of it."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import linear_regression

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

FILE, PICTURE = (Path(__file__).with_name(name) for name in ("results.csv", "benchmark.png"))
# Seconds are of the training, without imports; megabytes are of the process with all that it
# started; x is what grows; share is of what bare matrix products would take.
NUMBERS = ("images", "seconds", "memory_mb", "accuracy", "share")
COLUMNS = ("machine", "part", "row", "round", "x", *NUMBERS, "note")
OURS = "ours, portable"
SAME = "ours, portable, 1,000 images"  # as many as the others are given
REFERENCE = {"simple_nn": OURS, "last_layer": SAME, "repro": "dvc repro of empty stages"}
TITLES = {"simple_nn": "SimpleNN, 5 folds", "last_layer": "ResNet-18, last layer, 5 folds"}


def forget(part: str) -> None:
    """Drop what was measured of a part before; that of other parts stays."""
    lines = []
    if FILE.exists():
        with FILE.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            lines = [line for line in reader if line["part"] != part]
            lines *= tuple(reader.fieldnames or ()) == COLUMNS  # another version's are of no use
    with FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def add(record: dict) -> None:
    """Append a measurement at once, so that Ctrl-C loses none."""
    line = {
        key: f"{value:.6g}" if isinstance(value, float) else value for key, value in record.items()
    }
    with FILE.open("a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(line)


def read() -> pd.DataFrame:
    return pd.read_csv(FILE, dtype={"note": str, "row": str}).fillna({"note": ""})


def medians(part: pd.DataFrame) -> pd.DataFrame:
    """A line for each row (and x) of a part: medians over the rounds, and ratios within them.

    ``ratio``, ``least`` and ``most`` are of the reference row's images per second (where nothing
    is trained, the other way round of its seconds), over all rounds: above 1 it is faster.
    """
    keys = ["row", *(["x"] if part["x"].notna().any() else [])]
    part = part.assign(rate=part["images"].fillna(1) / part["seconds"])
    grouped = part.groupby(keys, sort=False, dropna=False)
    lines = grouped[[*NUMBERS, "rate"]].median().assign(note=grouped["note"].last())
    if (reference := REFERENCE.get(part["part"].iloc[0])) in part["row"].unique():
        rates = part.pivot(index="round", columns="row", values="rate")
        ratios = rates.rdiv(rates[reference], axis=0)
        lines = lines.assign(ratio=ratios.median(), least=ratios.min(), most=ratios.max())
    return lines


def markdown(frame: pd.DataFrame) -> str:
    """A table for each part that was measured."""
    lines = []
    for name, part in frame.groupby("part", sort=False):
        machines = ", ".join(part["machine"].unique())
        lines += [f"### {name}", "", f"On {machines}; medians of {part['round'].max()}.", ""]
        lines += [*_table(medians(part)), ""]
    return "\n".join(lines)


def _table(lines: pd.DataFrame) -> Iterator[str]:
    forms = {
        "images per second": lambda one: f"{one.rate:,.0f}" if one.images > 0 else "",
        "seconds": lambda one: f"{one.seconds:.3g}",
        "ours is faster by": lambda one: (
            f"{one.ratio:.2g} × ({one.least:.2g} to {one.most:.2g})" if "ratio" in one else ""
        ),
        "memory, MB": lambda one: f"{one.memory_mb:,.0f}",
        "accuracy, fold 1": lambda one: f"{one.accuracy:.4f}" if one.accuracy > 0 else "",
        "share of products": lambda one: f"{one.share:.3f}" if one.share > 0 else "",
        "note": lambda one: one.note,
    }
    cells = pd.DataFrame(
        {head: [form(one) for _, one in lines.iterrows()] for head, form in forms.items()}
    )
    cells = cells.loc[:, (cells != "").any()]
    yield f"| {' | '.join([*lines.index.names, *cells])} |"
    yield "|---" * (lines.index.nlevels + cells.shape[1]) + "|"
    for key, row in zip(lines.index, cells.to_numpy(), strict=True):
        keys = [str(one) for one in (key if isinstance(key, tuple) else (key,))]
        yield f"| {' | '.join([*keys, *row])} |"


def draw(frame: pd.DataFrame) -> None:
    """Images per second of each row, and how seconds grow; what was not measured is empty."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots(3, 1, height_ratios=[9, 5, 6])
    for one, (name, title) in zip(axes, TITLES.items(), strict=False):
        one.set_title(title, loc="left", fontsize=10)
        if len(part := frame[frame["part"] == name]):
            _rates(one, medians(part))
    axes[-1].set_title("Seconds, as one thing grows (at its least: 1)", loc="left", fontsize=10)
    if len(part := frame[frame["part"] == "growth"]):
        _growth(axes[-1], medians(part)["seconds"])
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    machines = "; ".join(frame["machine"].unique())
    figure.suptitle(f"Images trained on per second (medians)\n{machines}", fontsize=10)
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})


def _rates(axes: Axes, lines: pd.DataFrame) -> None:
    """A point for each row: bars would have no length on an axis without a zero."""
    colours = ["#0072b2" if row.startswith("ours") else "#707070" for row in lines.index]
    names = [f"{row}, {note}" if note[:2] == "of" else row for row, note in lines["note"].items()]
    axes.scatter(lines["rate"], names, color=colours, zorder=2)
    axes.grid(axis="y", color="#e0e0e0")
    for place, (rate, ratio) in enumerate(zip(lines["rate"], lines["ratio"], strict=True)):
        text = f"{rate:,.0f}" + (f"  {ratio:.2g} × slower" if ratio > 1 else "")
        axes.annotate(
            text, (rate, place), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=8, bbox={"color": "white", "pad": 1},
        )  # fmt: skip
    axes.set(ylim=(len(lines) - 0.4, -0.6), xscale="log", xlim=(None, lines["rate"].max() * 5))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _growth(axes: Axes, seconds: pd.Series) -> None:
    for row, line in seconds.groupby("row", sort=False):
        x, y = line.index.get_level_values("x") / line.index[0][1], line / line.iloc[0]
        slope = linear_regression([*map(math.log, x)], [*map(math.log, y)]).slope
        axes.loglog(x, y, marker="o", label=f"{row}: slope {slope:.2f}")
    axes.set_xlabel("times as much")
    for axis, ticks in ((axes.xaxis, [1, 2, 5, 10, 20, 50]), (axes.yaxis, [0.5, 1, 2, 5, 10])):
        axis.set_ticks(ticks, [f"{one:g}" for one in ticks])
        axis.set_minor_formatter("")
    axes.legend(fontsize=8, frameon=False)
