"""benchmarks/results.csv: a line for each measurement, and what follows from several of them."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression

import pandas as pd

FILE = Path(__file__).with_name("results.csv")
# Seconds are of the training, without imports, those of the process with all; megabytes; x is what
# grows; share is of the limit, or of the whole.
COLUMNS = (
    "machine", "part", "row", "round", "x", "images", "seconds", "images_per_second",
    "process_seconds", "largest_mb", "sum_mb", "accuracy", "share", "note",
)  # fmt: skip
WORSE = 0.005  # accuracy: a row that is worse by more has not done the same work


def start(part: str, path: Path = FILE) -> None:
    """Forget what was measured of a part before; that of other parts stays."""
    kept = []
    if path.exists():
        with open(path, newline="", encoding="utf-8") as file:
            kept = [line for line in csv.DictReader(file) if line["part"] != part]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)


def add(record: dict, path: Path = FILE) -> None:
    """Append a measurement at once, so that Ctrl-C loses none."""
    if "images" in record and "seconds" in record:
        record = record | {"images_per_second": record["images"] / record["seconds"]}
    line = {
        name: f"{value:.6g}" if isinstance(value, float) else value
        for name, value in record.items()
    }
    with open(path, "a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, COLUMNS, lineterminator="\n").writerow(line)


def read(path: Path = FILE) -> pd.DataFrame:
    """All measurements, a column for each of `COLUMNS`."""
    return pd.read_csv(path, dtype={"note": str, "row": str}).fillna({"note": ""})


def medians(part: pd.DataFrame, ours: str | None = None) -> pd.DataFrame:
    """A line for each row of a part, in their order.

    Parameters
    ----------
    part : DataFrame
        Of `read`, the measurements of one part.
    ours : str, optional
        The row that others are compared with.

    Returns
    -------
    DataFrame
        Indexed by row (and x, where anything grows). Medians over the rounds; ``rounds``; with
        `ours`, ``ratio``, the median over the rounds of how many times as fast that row was, and
        ``worse``, whether accuracy is lower than its by more than `WORSE`.
    """
    keys = ["row", *(["x"] if part["x"].notna().any() else [])]
    numbers = [*COLUMNS[5:-1]]
    grouped = part.groupby(keys, sort=False, dropna=False)
    found = grouped[numbers].median()
    found["rounds"] = grouped["round"].nunique()
    found["note"] = grouped["note"].last()
    if ours is not None:
        theirs = part.pivot_table(
            index="round", columns="row", values="images_per_second", dropna=False
        )
        found["ratio"] = theirs.rdiv(theirs[ours], axis=0).median()
        found["worse"] = found["accuracy"] < found["accuracy"][ours] - WORSE
    return found


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The exponent of ``y = a x ** slope`` that fits best: 1 where twice as much takes twice."""
    return linear_regression([math.log(one) for one in x], [math.log(one) for one in y]).slope
