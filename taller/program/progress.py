"""How far a stage is: bars on a terminal, now and then a plain line where there is none.

Lines are what a log keeps, so that `dvc queue logs` of a stage that takes long is not silent.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import TracebackType

from tqdm import tqdm

from taller.program.unnamed import unnamed

SECONDS = 10.0  # of work between two lines of one `bar`
LONGEST = 4000  # bytes of a message between processes, below a page: appended in one go


def bar(total: int, label: str, unit: str) -> AbstractContextManager:
    """What is told of `total` units of work, by calling its ``update(n)``.

    On a terminal it is a bar that vanishes when done; elsewhere a line like
    ``letters: 18000 of 60000`` every ten seconds, so that short work tells nothing.

    Parameters
    ----------
    total : int
        How many `unit` there are to do; 0 when nobody knows.
    """
    if sys.stderr.isatty():
        return tqdm(total=total, desc=label, unit=unit, unit_scale=True, leave=False)
    return _Lines(total, label)


class _Lines:
    def __init__(self, total: int, label: str) -> None:
        self._total, self._label = total, label
        self._done, self._told = 0, time.monotonic()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def update(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told >= SECONDS:
            self._told = now
            print(f"{self._label}: {self._done} of {self._total or 'unknown'}", flush=True)


@contextmanager
def shared_bar(total: int, label: str, unit: str) -> Iterator[Callable[[str], None]]:
    """Progress of several processes: gives a picklable function ``tick(message)``.

    On a terminal each call moves a bar by one; elsewhere this process prints
    ``label: message``, each message once, and all of them before the block ends.

    Every tick is a line at the end of a file without a name, which is the one thing that
    processes started in any way can share without a server between them.
    """
    shown = tqdm(total=total, desc=label, unit=unit, leave=False) if sys.stderr.isatty() else None

    def tell(line: bytes) -> None:
        if shown is not None:
            shown.update(1)
        else:
            print(f"{label}: {line.decode('utf-8', 'replace')}", flush=True)

    with unnamed() as ticks:
        done = threading.Event()
        watcher = threading.Thread(target=_follow, args=(ticks, done, tell), daemon=True)
        watcher.start()
        try:
            yield partial(_tick, ticks)
        finally:
            done.set()
            watcher.join()
            if shown is not None:
                shown.close()


def _follow(ticks: str, done: threading.Event, tell: Callable[[bytes], None]) -> None:
    """Hand on each line of a growing file once, the last ones when `done` is set."""
    with open(ticks, "rb") as file:
        rest, ending = b"", False
        while not ending:
            ending = done.wait(0.2)
            # What is read while it is being written may end within a line.
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                tell(line)


def _tick(path: str, message: str) -> None:
    line = " ".join(message.split()).encode("utf-8", "replace")[:LONGEST]
    # O_APPEND puts each write behind the others' as a whole.
    with open(path, "ab", buffering=0) as file:
        file.write(line + b"\n")
