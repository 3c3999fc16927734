"""benchmarks/results.csv, a line for each measurement, and what is shown of it."""

import csv
from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("results.csv")
# x is what grows; seconds are of the training, without imports; megabytes of all processes.
NUMBERS = ("images", "seconds", "memory_mb", "accuracy")
COLUMNS = ("machine", "part", "row", "round", "x", *NUMBERS, "note")
OURS, SAME = "ours, portable", "ours, portable, 1,000 images"  # as many as the others are given
REFERENCE = {
    "simple_nn": OURS, "last_layer": SAME, "photographs": OURS, "repro": "dvc repro of empty stages"
}  # fmt: skip


def forget(part: str) -> None:
    """Drop what was measured of a part before; that of other parts stays."""
    frame = pd.DataFrame(columns=COLUMNS)
    if FILE.exists() and (*(old := read()).columns,) == COLUMNS:  # another version's is of no use
        frame = old[old["part"] != part]
    frame.to_csv(FILE, index=False)


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

    ``ratio``, ``least`` and ``most``: how many times as fast the reference row is, in images per
    second, over the rounds. Where nothing is trained, a run is one image.
    """
    keys = ["row", *(["x"] if part["x"].notna().any() else [])]
    part = part.assign(rate=part["images"].fillna(1) / part["seconds"])
    grouped = part.groupby(keys, sort=False)
    lines = grouped[[*NUMBERS, "rate"]].median().assign(note=grouped["note"].last())
    if (reference := REFERENCE.get(part["part"].iloc[0])) in part["row"].unique():
        rates = part.pivot(index="round", columns="row", values="rate")
        ratios = rates.rdiv(rates[reference], axis=0)
        lines = lines.assign(ratio=ratios.median(), least=ratios.min(), most=ratios.max())
    return lines


def markdown(frame: pd.DataFrame) -> str:
    """A table for each part that was measured."""
    text = []
    for name, part in frame.groupby("part", sort=False):
        lines, cells = medians(part), {}
        if name in ("simple_nn", "last_layer"):
            cells["images/s"] = lines["rate"].map("{:,.0f}".format)
        cells["seconds"] = lines["seconds"].map("{:.3g}".format)
        if "ratio" in lines:
            forms = lines.apply("{0.ratio:.2g} × ({0.least:.2g} to {0.most:.2g})".format, axis=1)
            cells["times as long as the first" if name == "repro" else "ours is faster"] = forms
        for key, form in {"memory_mb": "{:,.0f}", "accuracy": "{:.4f}"}.items():
            if lines[key].notna().any():
                cells[key] = lines[key].map(form.format, na_action="ignore")
        table = pd.DataFrame(cells | {"note": lines["note"]}).reset_index()
        machines = ", ".join(part["machine"].unique())
        text += [f"### {name}\n", f"On {machines}; medians of {part['round'].max()}.\n"]
        text += [table.to_markdown(index=False, disable_numparse=True), ""]
    return "\n".join(text)
