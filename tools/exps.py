"""Print `dvc exp show` narrow enough to read: every metric, and the params that differ.

DVC gives each column its whole name's width, and cuts what does not fit. Here names are folded
at their dots, and what neighbours share stands once. Arguments go to
`dvc exp show` (--all-branches, -n 3, --rev main, ...).
"""

import subprocess
import sys
from io import StringIO

import pandas as pd

from taller.program import params

ABOUT = ["rev", "typ", "Created", "parent", "State", "Executor"]


def folded(shown: pd.DataFrame, sections: set[str]) -> str:
    """The table of `dvc exp show --csv` as text.

    Parameters
    ----------
    shown : DataFrame of str
        A row per experiment; columns of metrics, params and dependencies, by their full names.
    sections : set of str
        Top-level keys of params.yaml: what is not theirs and no file is a metric.
    """
    name = shown["Experiment"].where(shown["Experiment"] != "", shown["rev"])
    if "State" in shown:
        # Until it has succeeded, DVC shows an experiment the metrics of where it began.
        undone = ~shown["State"].isin(["", "Success"])
        metrics = [c for c in shown if _is_metric(c, sections)]
        shown = shown.mask(undone, shown.assign(**dict.fromkeys(metrics, "-")))
        name = name.where(~undone, name + " (" + shown["State"].str.lower() + ")")
    table = shown.drop(columns=["Experiment", *(set(ABOUT) & set(shown))])
    kept = [
        column
        for column in table
        if _is_metric(column, sections) or ("/" not in column and table[column].nunique() > 1)
    ]
    heads = [["Experiment"], *(column.split(".") for column in kept)]
    cells = [list(name), *(list(table[column]) for column in kept)]
    widths = [max(map(len, [head[-1], *column])) for head, column in zip(heads, cells, strict=True)]
    lines = [_spanned(heads, level, widths) for level in range(max(map(len, heads)))]
    # The levels first: a name that is wider than its columns widens them.
    lines = [_spanned(heads, level, widths) for level in range(len(lines))]
    for row in zip(*cells, strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append(line.rstrip())
    return "\n".join(lines)


def _is_metric(column: str, sections: set[str]) -> bool:
    about = column in ("Experiment", *ABOUT)
    return "/" not in column and not about and column.partition(".")[0] not in sections


def _spanned(heads: list[list[str]], level: int, widths: list[int]) -> str:
    """One line of the head: each name once, over the columns that share it; widens `widths`."""
    line, column = "", 0
    while column < len(heads):
        group = heads[column][: level + 1]
        end = column + 1
        while end < len(heads) and heads[end][: level + 1] == group:
            end += 1
        text = group[level] if len(group) > level else ""
        span = sum(widths[column:end]) + 2 * (end - column - 1)
        widths[end - 1] += max(0, len(text) - span)
        line += text.ljust(max(span, len(text)) + 2)
        column = end
    return line.rstrip()


def main() -> None:
    command = [sys.executable, "-m", "dvc", "exp", "show", "--csv", *sys.argv[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8")
    if done.returncode:
        sys.exit(done.returncode)
    shown = pd.read_csv(StringIO(done.stdout), dtype=str, keep_default_na=False)
    print(folded(shown, set(params.load())))


if __name__ == "__main__":
    main()
