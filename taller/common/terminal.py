"""What a user sees on the terminal: mistakes, which one line explains, and how far a stage is.

Bars are for a terminal; a log, which has none, gets a line now and then.
"""

import sys
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from tqdm import tqdm

LINES = 5  # of many mistakes that a message has

SECONDS = 10.0  # between two lines of one `bar`


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one line: the parameter or file, what was expected, what was found.
    """


def refuse(lines: Iterable[str]) -> None:
    """Raise a `UserError` of several lines, in alphabetical order, if there are any."""
    if lines := sorted(lines):
        more = len(lines) - LINES
        raise UserError("\n".join(lines[:LINES] + [f"... and {more} more"] * (more > 0)))


def printable(value: object) -> str:
    """A value for a message: in one line, of at most 100 letters."""
    text = " ".join(value.split()) if isinstance(value, str) else repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."


def bar(total: int, label: str, unit: str) -> AbstractContextManager:
    """Progress of `total` units of work (0 if nobody knows); its ``update(n)`` counts `n` more.

    On a terminal it is a bar that vanishes at the end; elsewhere a line like
    ``letters: 18000 of 60000`` every ten seconds, so that short work prints nothing.
    """
    if sys.stderr.isatty():
        return tqdm(total=total, desc=label, unit=unit, unit_scale=True, leave=False)
    return _Lines(total, label)


class _Lines(nullcontext):
    def __init__(self, total: int, label: str) -> None:
        super().__init__(self)
        self._total, self._label = total, label
        self._done, self._printed = 0, time.monotonic()

    def update(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._printed >= SECONDS:
            self._printed = time.monotonic()
            print(f"{self._label}: {self._done} of {self._total or 'unknown'}", flush=True)
