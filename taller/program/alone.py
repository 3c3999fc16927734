"""One run of a stage at a time in a folder, and none that outlives the DVC that started it.

DVC's own locks keep two `dvc repro` apart. They know nothing of a stage that is started by hand,
nor of one that goes on after its DVC was killed: two of them would write the same files, and what
the last one wrote, with the params that it was started with, would stay.
"""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from taller.program.errors import Problem

FOLDER = Path(".cache/running")
PATIENCE = 10.0  # seconds: one that was told to end needs a moment
BLINK = 0.2  # seconds between two looks


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Keep other runs of the stage `name` out of the current folder while the block lasts.

    The system lets go of the lock when the process ends, however it ends.

    Raises
    ------
    Problem
        Naming the process that runs it and does not end.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / name, "a+", encoding="utf-8") as file:
        until = time.monotonic() + PATIENCE
        while not _locked(file.fileno()):
            if time.monotonic() > until:
                file.seek(0)
                other = file.read()
                raise Problem(
                    f"expected no other run of it in this folder, found process {other}; "
                    f"wait for it, or end it with: kill {other}"
                )
            time.sleep(BLINK)
        _tell(file)
        if "DVC_STAGE" in os.environ:  # DVC sets it; a stage started by hand may go on alone
            threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        yield


def _tell(file: TextIO) -> None:
    """Write whose lock it is, for whoever finds it; a full disk keeps no stage from its work."""
    with suppress(OSError):
        file.truncate(0)
        os.pwrite(file.fileno(), str(os.getpid()).encode(), 0)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _end_with(parent: int) -> None:
    """End this process as Ctrl-C does, once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(BLINK)
    os.kill(os.getpid(), signal.SIGTERM)
