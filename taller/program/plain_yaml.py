"""YAML that every reader understands alike: what DVC reads (YAML 1.2), or a refusal with its line.

A key that stands twice, ``0x10``, ``1_000``, ``1:30``, ``yes`` or a date mean one thing to DVC and
another to PyYAML, and anchors and tags let a small file mean a huge or a strange one. Nobody needs
any of them for params.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from taller.program.errors import Problem
from taller.program.reading import shown

DEEPEST = 20  # levels
LARGEST = 2**20  # letters of a file
LONGEST = 40  # letters of a number
CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
REAL = re.compile(
    r"[-+]?(0|[1-9][0-9]*)((\.[0-9]*)([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)"
    r"|[-+]?\.[0-9]+([eE][-+][0-9]+)?"
)
# What looks like a number, or what YAML 1.1 took for something else than text.
DOUBTFUL = re.compile(
    r"[-+.]*[0-9].*|[-+.]+_.*|[-+]?\.(inf|nan)|yes|no|on|off|=|<<", re.IGNORECASE | re.DOTALL
)


def parse(text: str, path: Path) -> object:
    """The one document in `text`; None where it is empty.

    Parameters
    ----------
    path : Path
        Named in what is told.

    Raises
    ------
    Problem
        Naming the line and the key, what was expected and what was found.
    """
    if len(text) > LARGEST:
        raise Problem(f"{path}: expected at most {LARGEST} letters, found {len(text)}")
    if odd := re.search("[\ufeff\x85\u2028\u2029]", text):
        line = text.count("\n", 0, odd.start()) + 1
        found = f"the character {ord(odd[0]):#06x}"
        raise Problem(f"{path}: line {line}: expected plain text in UTF-8, found {found}")
    try:
        return _Document(text, path).value
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1
        raise Problem(f"{path}: line {line}: expected YAML, found: {error.problem}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise Problem(f"{path}: expected YAML, found: {shown(error, quoted=False)}") from None


class _Document:
    def __init__(self, text: str, path: Path) -> None:
        self._path = path
        # Events come one by one: what is too deep is refused before the rest is looked at.
        events = yaml.parse(text, yaml.SafeLoader)
        next(events)
        self.value, event = None, next(events)
        if isinstance(event, yaml.DocumentStartEvent):
            if event.version or event.tags:
                self._refuse(event, (), "no directives", "one that begins with %")
            self.value = self._read(events, next(events), ())
            next(events)
            event = next(events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, (), "one document", "another one behind ---")

    def _read(self, events: Iterator, event: yaml.Event, place: tuple[str, ...]) -> object:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            self._refuse(event, place, "values in full", f"the anchor or alias {event.anchor}")
        if event.tag:
            self._refuse(event, place, "values without tags", event.tag)
        if len(place) >= DEEPEST:
            self._refuse(event, place[:3], f"at most {DEEPEST} levels", "more")
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else self._scalar(event, place)
        if isinstance(event, yaml.SequenceStartEvent):
            values = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                values.append(self._read(events, event, (*place, str(len(values)))))
            return values
        return self._mapping(events, place)

    def _mapping(self, events: Iterator, place: tuple[str, ...]) -> dict[str, object]:
        values: dict[str, object] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key, line = self._read(events, event, (*place, "a key")), event.start_mark.line + 1
            if not isinstance(key, str):
                self._refuse(event, place, "a name as key", shown(key))
            inside = (*place, key)
            if key in values:
                told = f"it on lines {lines[key]} and {line}"
                self._refuse(event, inside, "the key once", told)
            values[key], lines[key] = self._read(events, next(events), inside), line
        return values

    def _scalar(self, event: yaml.ScalarEvent, place: tuple[str, ...]) -> object:
        told = event.value
        if told in CONSTANTS:
            return CONSTANTS[told]
        if len(told) <= LONGEST:
            if WHOLE.fullmatch(told):
                return int(told)
            if REAL.fullmatch(told) and math.isfinite(float(told)):
                return float(told)
        if DOUBTFUL.fullmatch(told):
            expected = "a decimal number, true or false, or text in quotes"
            self._refuse(event, place, expected, shown(told, quoted=False))
        return told

    def _refuse(self, event: yaml.Event, place: tuple[str, ...], expected: str, found: str) -> None:
        where = "".join(f"{shown(part, quoted=False)}." for part in place).rstrip(".")
        where = f"{where}: " if where else ""
        line = event.start_mark.line + 1
        raise Problem(f"{self._path}: line {line}: {where}expected {expected}, found {found}")
