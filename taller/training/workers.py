"""Processes of this machine that fits run in, and what is seen of their progress."""

import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import joblib
import torch
from tqdm import tqdm

from taller.common.errors import UserError
from taller.common.stage import end_with_parent
from taller.training import live

SIGNALS = signal.SIGINT, signal.SIGTERM
# Called with the name of a fit, the epochs that are new in its history, and a line about the last.
Report = Callable[[str, list[dict], str], None]
_shared: tuple = ()  # in a worker


def count(device: torch.device) -> int:
    """How many processes fits run in: one for each core, and a single one for a GPU."""
    return 1 if device.type == "cuda" else joblib.cpu_count()


def start_method() -> str:
    """``fork`` where it is safe: workers then have all modules and arrays from the start.

    It is not on macOS, nor where there is a GPU, for which PyTorch starts threads that are
    missing in a fork.
    """
    return "fork" if sys.platform == "linux" and not torch.cuda.is_available() else "spawn"


def run(
    function: Callable, items: Sequence[tuple], shared: tuple, *, processes: int, report: Report
) -> list:
    """Call ``function(*shared, *item, report)`` for each item, in workers of one thread each.

    Forks have what is shared as it is; elsewhere it is pickled for each worker. All workers end
    when this process does, however it ends.

    Raises
    ------
    UserError
        When a worker is lost. What a call raises is raised here, and ends the others.
    """
    context = multiprocessing.get_context(start_method())
    messages = context.SimpleQueue()
    initial = messages, os.getpid(), function, shared
    others = {*multiprocessing.active_children()}
    workers: set[multiprocessing.Process] = set()
    sys.stdout.flush()  # or each fork would print what is in the buffer
    try:
        with ProcessPoolExecutor(min(processes, len(items)), context, _begin, initial) as executor:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # until `_begin` is ready
            try:
                futures = [executor.submit(_call, item) for item in items]
                workers = {*multiprocessing.active_children()} - others
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                pending = {*futures}
                while pending:
                    done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                    while not messages.empty():
                        report(*messages.get())
                    for future in done:
                        future.result()
            except BrokenProcessPool:
                raise  # the pool ends the others itself
            except BaseException:
                for worker in workers:
                    worker.kill()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
    except BrokenProcessPool:
        how = _end_of(workers)
        raise UserError(f"expected the process of a fit to last, found it ended by {how}") from None
    return [pickle.loads(future.result()) for future in futures]


def _end_of(workers: set[multiprocessing.Process]) -> str:
    codes = {worker.exitcode for worker in workers} - {0, -signal.SIGTERM}  # SIGTERM: the pool's
    code = next(iter(codes), -signal.SIGTERM)
    if code == -signal.SIGKILL:
        return "SIGKILL (out of memory?)"
    return signal.Signals(-code).name if code < 0 else f"status {code}"


def _begin(messages, parent: int, function: Callable, shared: tuple) -> None:
    global _shared
    _shared = messages, function, shared
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the parent ends the others
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    end_with_parent(parent, signal.SIGKILL)
    torch.set_num_threads(1)  # threads that share a computation are missing in a fork


def _call(item: tuple) -> bytes:
    """In a worker: the result pickled here, or PyTorch would share its tensors as open files."""
    messages, function, shared = _shared
    return pickle.dumps(function(*shared, *item, lambda *message: messages.put(message)))


@contextmanager
def progress(total: int, label: str) -> Iterator[Report]:
    """One bar over the epochs of all fits; where there is no terminal, a line for each epoch."""
    shown, reached = sys.stderr.isatty(), {}
    with tqdm(total=total, desc=label, unit="epoch", leave=False, disable=not shown) as bar:

        def report(fit: str, rows: list[dict], line: str) -> None:
            if not shown:
                print(f"{label}: {fit}, {line}", flush=True)
            reached[fit] = rows[-1]["epoch"]  # an interrupted fit begins in the middle
            bar.update(sum(reached.values()) - bar.n)
            live.log(f"{label}/{fit}", rows)

        yield report
