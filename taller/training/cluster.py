"""Fits on a Dask cluster instead of this machine's cores.

joblib's own backend hands out the fits. A scheduler only passes things on, and needs nothing of
this project; a worker has to compute as this process does, bit for bit, or is refused.
"""

import logging
import operator
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import joblib
import numpy as np
import torch
from joblib.parallel import ParallelBackendBase, get_active_backend

from taller.program.errors import Problem, refuse
from taller.training import forked, same_bits

if TYPE_CHECKING:  # loaded where a scheduler is named, and nowhere else
    from distributed import Client, Future, Worker

Each = TypeVar("Each")
Result = TypeVar("Result")

SCHEDULER = "TALLER_SCHEDULER"  # the environment variable with its address
PATIENCE = 30  # seconds for a scheduler to answer, and again for a first worker
REMEDY = "start workers with: make worker SCHEDULER={}"


@contextmanager
def fits_at_once(device: torch.device) -> Iterator[None]:
    """Have joblib run the fits of the block at once: here, or where the environment says.

    Here it is a process per core, and a single one on a GPU. With ``TALLER_SCHEDULER`` it is the
    workers of that Dask scheduler. What comes out is the same.

    Raises
    ------
    Problem
        Where there is no such scheduler, no worker, one that would compute other bits, or all of
        them are lost.
    """
    if address := os.environ.get(SCHEDULER):
        with _connected(address) as client, joblib.parallel_config("dask", client=client):
            yield
    else:
        jobs = 1 if device.type == "cuda" else joblib.cpu_count()
        with joblib.parallel_config(forked.backend(jobs), n_jobs=jobs):
            yield


def active() -> "Client | None":
    """The cluster on which joblib's context would have fits run, or None."""
    return getattr(get_active_backend()[0], "client", None)


def run(
    client: "Client",
    call: Callable[..., Result],
    each: Iterable[Each],
    arrays: Iterable[np.ndarray],
) -> Iterator[Result]:
    """Call ``call(one, *arrays)`` for each one, on the workers.

    All but `each` goes to every worker once, however many calls it makes; an array that was
    in the last run of this client is there already. A call whose worker is lost is made again
    on another.

    Yields
    ------
    object
        What each call gives, as they come.

    Raises
    ------
    Problem
        Where the scheduler, all workers, or four in a row that made the same call, were lost.
    """
    from distributed import KilledWorker

    if not (each := list(each)):
        return
    placed = _placed(client, arrays)
    guarded = partial(_guarded, same_bits.settings(), call)
    (sent,) = client.scatter([guarded], broadcast=True, hash=False)
    with joblib.parallel_config(_backend(client)):
        parallel = joblib.Parallel(
            batch_size=1, pre_dispatch="all", return_as="generator_unordered"
        )
    # The scheduler opens what is submitted: nothing in it may be of this project.
    try:
        yield from parallel(joblib.delayed(operator.call)(sent, one, *placed) for one in each)
    except (CancelledError, KilledWorker) as error:
        raise Problem(
            f"{SCHEDULER}: expected its workers to last, found: {error}; fits that ended are kept"
        ) from None


def _backend(client: "Client") -> ParallelBackendBase:
    """joblib's, but where there is a single worker, too: joblib would make its calls here."""

    class Backend(type(get_active_backend()[0])):
        def effective_n_jobs(self, n_jobs: int | None) -> int:
            return max(2, super().effective_n_jobs(n_jobs))

    return Backend(client=client)


_HELD: "weakref.WeakKeyDictionary[Client, list[tuple[weakref.ref, Future]]]" = (
    weakref.WeakKeyDictionary()
)


def _placed(client: "Client", arrays: Iterable[np.ndarray]) -> "list[Future]":
    """The arrays on every worker; those of the run before that are in this one stay there."""
    arrays = list(arrays)
    before = {id(ref()): future for ref, future in _HELD.pop(client, [])}
    placed = [before.get(id(array)) for array in arrays]
    del before  # the workers let go of what this run does not need, before there is more
    for place, array in enumerate(arrays):
        if placed[place] is None:
            # As a plain array: of a memory map Dask would look at the file's name.
            futures = client.scatter([np.asarray(array)], broadcast=True, hash=False)
            placed[place] = futures[0]
    _HELD[client] = [(weakref.ref(a), future) for a, future in zip(arrays, placed, strict=True)]
    return placed


def _guarded(
    expected: dict[str, str], call: Callable[..., Result], one: Each, *arrays: np.ndarray
) -> Result:
    """In a worker, which may have come after all others were looked at."""
    from distributed import get_worker

    worker = get_worker()
    if told := same_bits.unlike(expected, worker.state.nthreads):
        raise Problem(f"{worker.address}: {told}; {REMEDY.format(worker.scheduler.address)}")
    return call(one, *arrays)


@contextmanager
def relayed(client: "Client", tick: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """`tick` for calls in workers: they give messages, and `tick` gets each one once, here.

    A fit that is run again, because its worker was lost, says what it said before.
    """
    topic, told = f"taller-{client.id}", set()

    def hand_on(event: tuple[float, str]) -> None:
        if event[1] not in told:
            told.add(event[1])
            tick(event[1])

    client.subscribe_topic(topic, hand_on)
    try:
        yield partial(_tell, topic)
    finally:
        client.unsubscribe_topic(topic)


def _tell(topic: str, message: str) -> None:
    """In a worker: hand on what a call has to say, or end it when nobody waits for it any more."""
    from distributed import get_worker

    worker = get_worker()
    if worker.state.tasks[worker.get_current_task()].state == "cancelled":
        raise CancelledError
    worker.log_event(topic, message)


@contextmanager
def _connected(address: str) -> "Iterator[Client]":
    try:
        import distributed
    except ModuleNotFoundError:
        raise Problem(
            f"{SCHEDULER}: expected Dask for {address}, found none; install it with: "
            "pip install --constraint constraints.txt --editable '.[cluster]'"
        ) from None
    for name in ("distributed", "distributed.client"):  # what is wrong is told in one line, below
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Problem(
            f"{SCHEDULER}: expected a Dask scheduler at {address}, found none: {error}"
        ) from None
    with client:
        _wait(client, address)
        _refuse_unlike(client, address)
        print(f"fits on the {len(client.nthreads())} workers of {address}", flush=True)
        with _lasting(client):
            yield client


@contextmanager
def _lasting(client: "Client") -> Iterator[None]:
    """Keep the scheduler from taking copies of data away from workers, which will want them again.

    Every two seconds it would look for workers that need theirs for nothing at that moment.
    """
    if not client.amm.running():
        yield
        return
    client.amm.stop()
    try:
        yield
    finally:
        if client.status == "running":  # else the scheduler is lost
            client.amm.start()


def _wait(client: "Client", address: str) -> None:
    if not client.nthreads():
        print(f"{address} has no workers yet: waiting {PATIENCE} s for a first one", flush=True)
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise Problem(
            f"{SCHEDULER}: expected workers at {address}, found none; {REMEDY.format(address)}"
        ) from None


def _refuse_unlike(client: "Client", address: str) -> None:
    found = client.run(_unlike, same_bits.settings(), on_error="return")
    # One without this project cannot even be asked.
    lines = (f"{worker}: {told}" for worker, told in found.items() if told)
    refuse(f"{' '.join(line.split())}; {REMEDY.format(address)}" for line in lines)


def _unlike(expected: dict[str, str], dask_worker: "Worker") -> str:
    return same_bits.unlike(expected, dask_worker.state.nthreads)
