"""Calls in copies of this process, in which all is imported, and every array at hand.

joblib's own processes start Python anew and import PyTorch, each for itself: on two cores as long
as SimpleNN trains.
"""

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import NoReturn

import torch
from joblib.parallel import ParallelBackendBase, get_active_backend

from taller.program.errors import Problem

ENDING = signal.SIGINT, signal.SIGTERM


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


class Forked(ParallelBackendBase):
    """A backend of joblib: a copy of the process for each call, `n_jobs` at a time.

    All is done by the thread that waits for what the calls give, none by others: if one of them
    imported just when a copy is made, the copy would wait for the end of that import for ever.
    """

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        return n_jobs or 1

    def configure(self, n_jobs: int = 1, parallel: object = None, **settings: object) -> int:
        self.parallel, self._at_once = parallel, n_jobs
        self._waiting: list[_Copy] = []
        self._running: dict[Connection, _Copy] = {}
        return n_jobs

    def submit(self, func: Callable, callback: Callable) -> "_Copy":
        copy = _Copy(func, callback)
        self._waiting.append(copy)
        self._start()
        return copy

    def retrieve_result(self, out: "_Copy", timeout: float | None = None) -> object:
        while out.answer is None:
            for pipe in wait([*self._running]):
                copy = self._running.pop(pipe)  # first: it ends by itself, and is not to be killed
                copy.hear(pipe)
                _, error = copy.answer
                if error is not None:  # at once, though others may be asked for before
                    raise error
                copy.callback()  # joblib submits another call, where there are any
                self._start()
        return out.answer[0]

    def abort_everything(self, ensure_ready: bool = True) -> None:
        for pipe, copy in self._running.items():
            os.kill(copy.process, signal.SIGKILL)
            copy.hear(pipe)
        self._running.clear()
        self._waiting.clear()

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # or a copy might be lost
            try:
                copy = self._waiting.pop(0)
                self._running[copy.make(before)] = copy
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Copy:
    """One call.

    Attributes
    ----------
    callback : callable
        joblib's, when it has ended.
    answer : tuple or None
        Its result and the error that it raised, one of them None.
    """

    def __init__(self, call: Callable, callback: Callable) -> None:
        self.callback, self.answer, self._call = callback, None, call

    def make(self, signals: set[signal.Signals]) -> Connection:
        """Begin the call in a copy, which lets in all but these; the pipe with what it gives."""
        receiver, sender = Pipe(duplex=False)
        self.process = os.fork()
        if not self.process:
            _answer(self._call, sender, signals)
        sender.close()
        return receiver

    def hear(self, pipe: Connection) -> None:
        """Take the answer, and wait for the copy to end."""
        with pipe:
            try:
                self.answer = pickle.loads(pipe.recv_bytes())
            except (EOFError, OSError):  # it ended before
                self.answer = None, None
        code = os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])
        if code:
            how = signal.Signals(-code).name if code < 0 else f"status {code}"
            told = f"expected the process of a fit to last, found it ended by {how}"
            self.answer = None, Problem(told)


def _answer(call: Callable, sender: Connection, signals: set[signal.Signals]) -> NoReturn:
    """In the copy: make the call, send what it gives or raises, and end."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the first one ends them
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        # A thread that was printing when the copy was made holds the old ones' locks for ever.
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        torch.set_num_threads(1)  # the threads that share a computation are not in a copy
        try:
            result, error = call(), None
        except Exception as raised:
            raised.add_note(traceback.format_exc())
            result, error = None, raised
        sender.send_bytes(pickle.dumps((result, error)))
        sys.stdout.flush()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)
