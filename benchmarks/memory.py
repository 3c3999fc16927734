"""How much memory a process and all that it starts take, looked at while they run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

INTERVAL = 0.5  # seconds; to look takes some milliseconds for each process


@dataclass
class Peak:
    """Bytes.

    Attributes
    ----------
    largest : int
        Of the process that had most at any time, with what it shares with others.
    together : int
        Of all at one time, what several share counted once (where the system tells; else as often
        as it is shared).
    """

    largest: int = 0
    together: int = 0

    def look(self, process: psutil.Process) -> None:
        """Take the present into account."""
        total = 0
        try:
            everybody = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for one in everybody:
            try:
                found = one.memory_full_info()
            except psutil.Error:  # it has just ended
                continue
            self.largest = max(self.largest, found.rss)
            total += getattr(found, "pss", found.rss)
        self.together = max(self.together, total)


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """The peak so far, while the block lasts."""
    peak, done, process = Peak(), threading.Event(), psutil.Process(pid)

    def watch() -> None:
        while not done.wait(INTERVAL):
            peak.look(process)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def end(pid: int) -> None:
    """Kill a process and all that it started, if they still run."""
    try:
        process = psutil.Process(pid)
        everybody = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for one in everybody:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
