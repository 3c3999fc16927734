"""groups.csv: what each picture comes from, in a table that a spreadsheet can write."""

import csv
import io
import unicodedata
from collections.abc import Collection
from pathlib import Path

from taller.program import reading
from taller.program.errors import Problem, refuse

HEADER = ["file", "group"]


def read(path: Path, pictures: Collection[str]) -> dict[str, str]:
    """The origin of each picture.

    Parameters
    ----------
    path : Path
        Text in UTF-8 with commas, below the header ``file,group``.
    pictures : collection of str
        Their files, as they must stand in the table, each once.

    Raises
    ------
    Problems
        A line for each row, or picture, that is not so.
    Problem
        Where it is no such table.
    """
    # Excel begins a file in UTF-8 with a mark, which is no part of the header.
    rows = csv.reader(io.StringIO(reading.text(path).removeprefix("\ufeff")), strict=True)
    found, problems, lines = {}, [], {}
    try:
        if (header := next(rows, [])) != HEADER:
            raise Problem(
                f"{path.name}: expected the header {','.join(HEADER)}, "
                f"found {reading.shown(','.join(header))}"
            )
        for row in rows:
            if row and (problem := _problem(row, pictures, lines)):
                problems.append(f"{path.name}: line {rows.line_num}: {problem}")
            elif row:
                lines[row[0]] = rows.line_num
                found[row[0]] = unicodedata.normalize("NFC", row[1].strip())
    except csv.Error as error:
        raise Problem(f"{path.name}: line {rows.line_num}: expected CSV, found: {error}") from None
    refuse(problems)  # which may be why pictures have no line
    refuse(f"{one}: expected a line in {path.name}, found none" for one in {*pictures} - {*found})
    return found


def _problem(row: list[str], pictures: Collection[str], lines: dict[str, int]) -> str | None:
    if len(row) != len(HEADER):
        return f"expected a file and a group, found {len(row)} fields"
    file, group = row
    if file in lines:
        return f"expected each picture once, found {reading.shown(file)} also in line {lines[file]}"
    if file not in pictures:
        return f"expected the file of a picture, CLASS/FILE, found {reading.shown(file)}"
    if not group.strip():
        return "expected a group, found none"
    return None
