"""How far a stage is: bars on a terminal, now and then a line in a log, which has no bars."""

import sys
import time
from contextlib import AbstractContextManager, nullcontext

from tqdm import tqdm

SECONDS = 10.0  # between two lines of one `bar`


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
