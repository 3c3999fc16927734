"""What was measured, as Markdown: python -m benchmarks.table [PART ...]."""

import sys
from collections.abc import Iterator

import pandas as pd

from benchmarks import results
from benchmarks.parts import PARTS
from taller.program import cli
from taller.program.errors import Problem

HEADS = {
    "images_per_second": ("images/s", "{:,.0f}"),
    "ratio": ("ours is faster by", "{:.2g} ×"),
    "seconds": ("seconds", "{:.3g}"),
    "process_seconds": ("with imports", "{:.3g}"),
    "largest_mb": ("largest process, MB", "{:,.0f}"),
    "sum_mb": ("all together, MB", "{:,.0f}"),
    "accuracy": ("accuracy, fold 1", "{:.4f}"),
    "share": ("share", "{:.3f}"),
}
SHOWN = {
    **dict.fromkeys(("simple_nn", "last_layer"), [*HEADS][:-1]),
    "pretraining": [*HEADS][:-1],
    "limit": ["images_per_second", "share"],
    "whole": ["seconds"],
    "cold": ["seconds", "share"],
    "growth": ["seconds", "images_per_second"],
    "pictures": ["seconds", "images_per_second"],
}


def markdown(frame: pd.DataFrame, parts: list[str]) -> str:
    """A table for each part that was measured, medians over its rounds.

    Parameters
    ----------
    frame : DataFrame
        As `results.read` gives it.
    """
    lines = []
    for name in parts:
        part = frame[frame["part"] == name]
        if len(part):
            found = results.medians(part, PARTS[name].ours)
            machines = ", ".join(part["machine"].unique())
            lines += [f"### {name}", "", f"On {machines}; medians of {found['rounds'].max()}.", ""]
            lines += [*_table(found, SHOWN[name]), "", *_slopes(found), *_beside(name, part)]
    return "\n".join(lines)


def _table(found: pd.DataFrame, shown: list[str]) -> Iterator[str]:
    heads = [*found.index.names, *(HEADS[name][0] for name in shown), "note"]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for key, row in found.iterrows():
        keys = [f"{one:g}" if isinstance(one, float) else one for one in _keys(key)]
        cells = [_cell(row, name) for name in shown]
        yield f"| {' | '.join([*keys, *cells, row['note']])} |"


def _keys(key: object) -> tuple:
    return key if isinstance(key, tuple) else (key,)


def _cell(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return ""
    worse = " (worse)" if name == "accuracy" and row.get("worse") else ""
    return HEADS[name][1].format(row[name]) + worse


def _slopes(found: pd.DataFrame) -> Iterator[str]:
    """Of each axis: what twice as much does to the seconds."""
    if "x" not in found.index.names:
        return
    for row in found.index.unique("row"):
        seconds = found.loc[row, "seconds"].dropna()
        if len(seconds) > 1:
            yield f"- {row}: seconds grow as x to the {results.slope(seconds.index, seconds):.2f}"
    yield ""


def _beside(name: str, part: pd.DataFrame) -> Iterator[str]:
    """Ratios within rounds of what has no images per second, or another limit."""
    seconds = part.pivot_table(index=["round"], columns=["row"], values="seconds")
    if name == "whole":
        for told in ("nothing to do", "old params"):
            ours, floor = f"dvc repro {told}", f"dvc repro {told} floor"
            if {ours, floor} <= {*seconds}:
                ratio = (seconds[ours] / seconds[floor]).median()
                yield f"- {told}: {ratio:.2f} × DVC's floor"
    if name == "limit":
        for row in [one for one in seconds if one.endswith(", portable")]:
            native = f"{row.removesuffix('portable')}native limit"
            if native in seconds:
                ratio = (seconds[native] / seconds[row]).median()
                yield f"- {row}: {ratio:.3f} of what native operations reach"
    if name == "growth" and "by folds" in {*part["row"]}:
        folds = part[part["row"] == "by folds"]
        each = folds.pivot_table(index="round", columns="x", values="seconds")
        yield f"- folds, 10 against 5: {(each[10] / each[5]).median():.2f} ×"
    yield ""


def main() -> None:
    with cli.one_line("table"):
        if not results.FILE.exists():
            raise Problem(f"{results.FILE}: expected measurements, found nothing; run: make bench")
        print(markdown(results.read(), sys.argv[1:] or [*PARTS]))


if __name__ == "__main__":
    main()
