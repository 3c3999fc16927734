"""Where fits run: in processes of this machine, or on the workers of a Dask cluster.

A cluster's worker has to compute as this process does, bit for bit, or is refused.
"""

import functools
import logging
import multiprocessing
import operator
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import joblib
import numpy as np
import torch
from joblib.parallel import ParallelBackendBase
from tqdm import tqdm

from taller.common.stage import end_with_parent
from taller.common.terminal import UserError, refuse
from taller.training import checkpoint

if TYPE_CHECKING:  # loaded where a scheduler is named, and nowhere else
    from distributed import Client, Worker

SIGNALS = signal.SIGINT, signal.SIGTERM
# Called with the name of a fit, the epochs that are new in its history, and a line about the last.
Report = Callable[[str, list[dict], str], None]
_shared: tuple = ()  # in a worker
VARIABLE = "TALLER_SCHEDULER"
PATIENCE = 30  # seconds for a scheduler to answer, and again for a first worker
REMEDY = "start workers with: make worker SCHEDULER={}"
# A worker lives longer than a run: of its code counts what it was when it was first asked.
_environment = functools.cache(checkpoint.environment)


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
            checkpoint.log_live(f"{label}/{fit}", rows)

        yield report


def scheduler() -> str:
    """The address of the scheduler that the environment names, or nothing."""
    return os.environ.get(VARIABLE, "")


def run_on_cluster(
    function: Callable, fits: Sequence[tuple], shared: tuple, *, report: Report
) -> list:
    """Call ``function(*shared, *fit, report)`` for each fit (repeat, fold, checkpoint), on workers.

    A fit that ends is saved here, in its checkpoint; one whose worker is lost runs on another.
    `report` is called when a fit has ended.

    Raises
    ------
    UserError
        Without scheduler or workers, where one would compute other bits, or where all are lost.
    """
    (training, *arrays), outcomes, calls = shared, {}, []
    with _connect(scheduler()) as client:
        call = functools.partial(_fit, checkpoint.environment(), function, training)
        # To every worker once. Neither joblib nor the scheduler opens objects of this project.
        call, *arrays = client.scatter([call, *map(np.asarray, arrays)], broadcast=True, hash=False)
        for number, (*fit, saved) in enumerate(fits):
            reached = saved and saved.load()
            if reached and len(reached["history"]) == training.config.epochs:
                outcomes[number] = function(*shared, *fit, _memory(reached), report)
            else:
                calls.append(joblib.delayed(operator.call)(call, number, *fit, *arrays))
        with joblib.parallel_config(_backend(client)):
            job = joblib.Parallel(batch_size=1, pre_dispatch="all", return_as="generator_unordered")
        for number, outcome, reached, last in job(calls) if calls else ():
            if saved := fits[number][-1]:
                saved.save(reached)
            outcomes[number] = outcome
            report(*last)
    return [outcomes[number] for number in range(len(fits))]


def _fit(
    expected: dict[str, str], function: Callable, training: object, number: int, *fit_and_arrays
) -> tuple:
    """In a worker, which may have come after all others were looked at."""
    from distributed import get_worker

    worker, memory, epochs, last = get_worker(), _memory(None), [], []
    if difference := _difference(expected, worker):
        remedy = REMEDY.format(worker.scheduler.address)
        raise UserError(f"{worker.address}: {difference}; {remedy}")

    def report(fit: str, rows: list[dict], line: str) -> None:
        if worker.state.tasks[worker.get_current_task()].state == "cancelled":
            raise CancelledError  # nobody waits for it any more
        epochs.extend(rows)
        last[:] = fit, epochs, line

    fit, arrays = fit_and_arrays[:2], fit_and_arrays[2:]
    outcome = function(training, *arrays, *fit, memory, report)
    return number, outcome, memory.reached, last


def _memory(reached: dict | None) -> SimpleNamespace:
    """A checkpoint of a fit that runs where there are no files."""
    memory = SimpleNamespace(reached=reached, load=lambda: reached)
    memory.save = functools.partial(setattr, memory, "reached")
    return memory


def _difference(expected: dict[str, str], dask_worker: "Worker") -> str:
    """In what this process, a worker, differs from the one that asks, or nothing."""
    actual = {**_environment(), "threads": str(dask_worker.state.nthreads)}
    for name, value in {**expected, "threads": "1"}.items():
        if actual[name] != value:
            return f"expected {name} {value or 'not set'}, found {actual[name] or 'not set'}"
    return ""


def _backend(client: "Client") -> ParallelBackendBase:
    """joblib's, but where there is a single worker, too: joblib would make its calls here."""
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs: int | None) -> int:
            return max(2, super().effective_n_jobs(n_jobs))

    return Backend(client=client)


@contextmanager
def _connect(address: str) -> "Iterator[Client]":
    """A client, all of whose workers would compute the same bits."""
    try:
        from distributed import Client, KilledWorker
    except ModuleNotFoundError:
        raise UserError(
            f"{VARIABLE}: expected Dask, found none; run make repro SCHEDULER={address}"
        ) from None
    for name in ("distributed", "distributed.client"):  # what is wrong is one line, below
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        try:
            client = Client(address, timeout=PATIENCE, set_as_default=False)
            stack.enter_context(client).wait_for_workers(1, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{VARIABLE}: expected a Dask scheduler with workers at {address}, found: "
                f"{error}; {REMEDY.format(address)}"
            ) from None
        # One without this project cannot even be asked.
        answers = client.run(_difference, checkpoint.environment(), on_error="return").items()
        lines = (f"{worker}: {' '.join(str(one).split())}" for worker, one in answers if one)
        refuse(f"{line}; {REMEDY.format(address)}" for line in lines)
        print(f"fits on the {len(client.nthreads())} workers of {address}", flush=True)
        try:
            yield client
        except (CancelledError, KilledWorker) as error:
            raise UserError(
                f"{VARIABLE}: expected the workers to last, found: {error}; "
                "what has ended is not trained again"
            ) from None
