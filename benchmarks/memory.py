"""How much memory a process and all that it starts need, looked at while they run.

That is anonymous memory, and files that are in memory alone. What a system keeps of files on the
disk, such as libraries, is not counted: every process of the machine shares it.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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

    def look(self, pid: int) -> None:
        """Take the present of a process and its children into account."""
        found = [needed(one) for one in family(pid)]
        self.largest = max([self.largest, *(alone for alone, _ in found)])
        self.together = max(self.together, sum(in_parts for _, in_parts in found))


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started, as long as they run."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def needed(process: psutil.Process) -> tuple[int, int]:
    """Bytes that a process needs, in full, and with what several share in equal parts.

    Elsewhere than on Linux both are what it has in memory, with files.
    """
    try:
        if not psutil.LINUX:
            return (process.memory_info().rss,) * 2
        full, in_parts = (told(process.pid, name) for name in ("status", "smaps_rollup"))
    except (OSError, psutil.Error):  # it has just ended
        return 0, 0
    return (
        full.get("RssAnon", 0) + full.get("RssShmem", 0),
        in_parts.get("Pss_Anon", 0) + in_parts.get("Pss_Shmem", 0),
    )


def told(pid: int, name: str) -> dict[str, int]:
    """All sizes in a file of a process's folder in /proc, in bytes; none if it is ending."""
    text = Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    return {one: int(size) * 1024 for one, size in re.findall(r"(\w+):\s+(\d+) kB", text)}


@contextmanager
def watched(pid: int) -> Iterator[Peak]:
    """The peak so far, while the block lasts."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(INTERVAL):
            peak.look(pid)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
