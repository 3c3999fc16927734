"""Progress bars on a terminal; silence where the output is not one."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm


def bar(total: int, label: str, unit: str) -> tqdm:
    """A bar that vanishes when done and never shows in a log file.

    Parameters
    ----------
    total : int
        How many `unit` there are to do.
    """
    return tqdm(total=total, desc=label, unit=unit, unit_scale=True, leave=False, disable=None)


@contextmanager
def shared_bar(total: int, label: str, unit: str) -> Iterator[Callable[[], None]]:
    """A bar that several processes move: gives a picklable function that adds one.

    Every tick is a byte at the end of a temporary file, which is the one thing that
    processes started in any way can share without a server between them.
    """
    with tempfile.TemporaryDirectory() as folder, bar(total, label, unit) as shown:
        ticks = Path(folder) / "ticks"
        ticks.touch()
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.2):
                shown.update(ticks.stat().st_size - shown.n)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield partial(_tick, os.fspath(ticks))
        finally:
            done.set()
            watcher.join()


def _tick(path: str, message: str = "") -> None:
    # O_APPEND makes the write of one byte atomic.
    with open(path, "ab", buffering=0) as file:
        file.write(b".")
