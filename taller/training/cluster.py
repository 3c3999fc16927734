"""Fits on the workers of a Dask cluster instead of this machine's cores.

joblib's backend hands out the fits. A worker has to compute as this process does, bit for bit, or
is refused.
"""

import functools
import logging
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import joblib
import numpy as np
from joblib.parallel import ParallelBackendBase

from taller.common.errors import UserError, refuse
from taller.training import checkpoint
from taller.training.workers import Report

if TYPE_CHECKING:  # loaded where a scheduler is named, and nowhere else
    from distributed import Client, Worker

VARIABLE = "TALLER_SCHEDULER"
PATIENCE = 30  # seconds for a scheduler to answer, and again for a first worker
REMEDY = "start workers with: make worker SCHEDULER={}"
# A worker lives longer than a run: of its code counts what it was when it was first asked.
_environment = functools.cache(checkpoint.environment)


def scheduler() -> str:
    """The address of the scheduler that the environment names, or nothing."""
    return os.environ.get(VARIABLE, "")


def run(function: Callable, fits: Sequence[tuple], shared: tuple, *, report: Report) -> list:
    """Call ``function(*shared, *fit, report)`` for each fit (repeat, fold, checkpoint), on workers.

    A fit that ends is saved here, in its checkpoint; one whose worker is lost runs on another.
    `report` is called when a fit has ended.

    Raises
    ------
    UserError
        Without scheduler or workers, where one would compute other bits, or where all are lost.
    """
    (training, *arrays), outcomes, calls = shared, {}, []
    with _connected(scheduler()) as client:
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
def _connected(address: str) -> "Iterator[Client]":
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
