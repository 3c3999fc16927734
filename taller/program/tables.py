"""Tables that enter a stage: CSV of known columns, types and ranges, each row once."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pandas as pd

from taller.program import reading
from taller.program.errors import Problem

WHOLE = re.compile(r"[0-9]{1,18}")
REAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Column:
    """What is expected of a column: text, or numbers from `low` to `high`, both included."""

    kind: type[str] | type[int] | type[float]
    low: float = -math.inf
    high: float = math.inf

    @property
    def told(self) -> str:
        """In an error message."""
        if self.kind is str:
            return "text"
        kind = "a whole number" if self.kind is int else "a number"
        low = f" from {self.low:g}" if self.low > -math.inf else ""
        return kind + low + (f" to {self.high:g}" if self.high < math.inf else "")

    def parsed(self, value: str) -> str | int | float:
        """The value, or a ValueError."""
        if self.kind is str:
            return value
        if not (WHOLE if self.kind is int else REAL).fullmatch(value):
            raise ValueError(value)
        number = self.kind(value)
        # A number that is too large for a float is infinite.
        if not (self.low <= number <= self.high and math.isfinite(number)):
            raise ValueError(value)
        return number


TEXT = Column(str)
COUNT, ORDINAL = Column(int, 0), Column(int, 1)
FRACTION, AT_LEAST_0 = Column(float, 0, 1), Column(float, 0)


def read(path: Path, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Read a CSV file.

    Parameters
    ----------
    columns : mapping of str to Column
        All of them, in their order.

    Raises
    ------
    Problem
        Naming the file, the line and the column, what was expected and what was found; and as
        `reading.opened`.
    """
    lines = _lines(path)
    header = lines[0][1] if lines else []
    if header != list(columns):
        found = reading.shown(header) if header else "nothing"
        raise Problem(f"{path}: expected the columns {list(columns)}, found {found}")
    values: dict[str, list] = {name: [] for name in columns}
    for line, row in lines[1:]:
        if len(row) != len(columns):
            raise Problem(f"{path}: line {line}: expected {len(columns)} values, found {len(row)}")
        for (name, column), value in zip(columns.items(), row, strict=True):
            values[name].append(_parsed(f"{path}: line {line}: {name}", column, value))
    if len(lines) == 1:
        raise Problem(f"{path}: expected rows below the header, found none")
    return pd.DataFrame(values)


def counts(path: Path, rows: int, columns: int) -> list[list[int]]:
    """Read a CSV file of whole numbers without a header; raises as `read` does."""
    lines = _lines(path)
    lengths = {len(row) for _, row in lines}
    if len(lines) != rows or lengths != {columns}:
        found = f"{len(lines)} rows of {' or '.join(map(str, sorted(lengths))) or 'no'} values"
        raise Problem(f"{path}: expected {rows} x {columns} counts, found {found}")
    return [[_parsed(f"{path}: line {line}", COUNT, one) for one in row] for line, row in lines]


def check_each_once(path: Path, table: pd.DataFrame, wanted: Mapping[str, Sequence]) -> None:
    """Raise a `Problem` unless the table has each combination of these values in one row."""
    found = Counter(zip(*(table[name].tolist() for name in wanted), strict=True))
    for place in product(*wanted.values()):
        if (times := found.pop(place, 0)) != 1:
            raise Problem(f"{path}: expected {_told(wanted, place)} once, found {times} times")
    if found:
        raise Problem(f"{path}: expected no {_told(wanted, next(iter(found)))}, found a row of it")


def _told(names: Mapping[str, Sequence], place: tuple) -> str:
    pairs = zip(names, place, strict=True)
    return ", ".join(f"{name} {reading.shown(value, quoted=False)}" for name, value in pairs)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Each row that is not empty, behind the number of the line that it ends in."""
    rows = csv.reader(io.StringIO(reading.text(path), newline=""), strict=True)
    try:
        return [(rows.line_num, row) for row in rows if row]
    except csv.Error as error:
        raise Problem(f"{path}: line {rows.line_num}: expected CSV, found: {error}") from None


def _parsed(place: str, column: Column, value: str) -> str | int | float:
    try:
        return column.parsed(value)
    except ValueError:
        raise Problem(f"{place}: expected {column.told}, found {reading.shown(value)}") from None
