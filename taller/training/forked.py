"""Calls in copies of this process, in which all is imported, and every array at hand.

joblib's own processes start Python anew and import PyTorch, each for itself: on two cores as long
as SimpleNN trains.
"""

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import torch
from joblib.parallel import ParallelBackendBase, ThreadingBackend, get_active_backend

from taller.program.errors import Problem


def possible() -> bool:
    """Whether a copy of this process can train.

    Not where the system's own libraries do not stand it (macOS), and, where there is a GPU, not
    once this process has computed gradients: PyTorch's threads for them are not in a copy. It
    does not tell whether it has, so that a copy has to try.
    """
    if sys.platform != "linux":
        return False
    if not (child := os.fork()):
        _try_gradients()
    return os.waitpid(child, 0)[1] == 0


def _try_gradients() -> NoReturn:
    try:
        torch.ones(1, requires_grad=True).backward()
        os._exit(0)
    finally:
        os._exit(1)


def backend(jobs: int) -> ParallelBackendBase | str:
    """For joblib, to make `jobs` calls at once: copies where they can train, else its own."""
    return Forked() if jobs > 1 and possible() else "loky"


def active() -> bool:
    """Whether joblib's context has calls made in copies of this process."""
    return isinstance(get_active_backend()[0], Forked)


class Forked(ThreadingBackend):
    """A backend of joblib: a copy of the process for each call, `n_jobs` at a time.

    A thread waits for each of them. What a call gives comes back through a pipe.
    """

    uses_threads = supports_sharedmem = False  # what a call changes stays in its copy

    def configure(self, *arguments: object, **settings: object) -> int:
        self._copies = _Copies()
        return super().configure(*arguments, **settings)

    def submit(self, func: Callable, callback: Callable | None = None) -> object:
        return super().submit(partial(self._copies.make, func), callback)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        self._copies.end()
        super().abort_everything(ensure_ready)


class _Copies:
    """Those of one call of `joblib.Parallel`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._ended = False

    def make(self, call: Callable) -> object:
        """Make the call in a copy, and wait for what it gives."""
        with self._lock:  # else another copy would hold this one's pipe open
            if self._ended:
                raise InterruptedError
            receiver, sender = os.pipe()
            if not (copy := os.fork()):
                _answer(call, sender)
            os.close(sender)
            self._running.add(copy)
        with open(receiver, "rb") as pipe:
            answer = pipe.read()
        with self._lock:
            if self._ended:
                raise InterruptedError
            self._running.remove(copy)
            code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        if code:
            how = signal.Signals(-code).name if code < 0 else f"status {code}"
            raise Problem(f"expected the process of a fit to last, found it ended by {how}")
        result, error = pickle.loads(answer)
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        """Kill those that run, and make no more."""
        with self._lock:
            self._ended = True
            for copy in self._running:
                os.kill(copy, signal.SIGKILL)
                os.waitpid(copy, 0)


def _answer(call: Callable, sender: int) -> NoReturn:
    """In the copy: make the call, send what it gives or raises, and end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the first one ends them
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # A thread that was printing when the copy was made holds the old ones' locks for ever.
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        try:
            result, error = call(), None
        except Exception as raised:
            raised.add_note(traceback.format_exc())
            result, error = None, raised
        with open(sender, "wb") as pipe:
            pickle.dump((result, error), pipe)
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
