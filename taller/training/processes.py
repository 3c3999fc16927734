"""One stage in several processes, started by ``torchrun``: the fits in turn, each by all of them.

Every process runs the stage, on the same data, and computes its share of every batch; the first one
alone holds the stage's lock, keeps the journal, writes the files and says how far it is. Without
torchrun, or in one process of it, all is as without this module.
"""

import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn

from taller.program import cli
from taller.program.alone import alone
from taller.program.errors import Problem
from taller.training import activations, cluster, cross_validation, numerics
from taller.training.batches import Prepare, identity, split
from taller.training.cross_validation import CrossValidation
from taller.training.engine import Kept, Recipe
from taller.training.journal import Journal
from taller.training.shared_network import SharedNetwork, shared

TOLD = ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
PATIENCE = 5.0  # seconds: torchrun ends all processes soon after the first one that fails


def count() -> int:
    """How many processes there are, on all machines."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this process is the one that writes and speaks."""
    return count() == 1 or os.environ.get("RANK") == "0"


def main(stage: Callable) -> None:
    """`cli.main` in each process; what all of them would tell, the first one is given time to."""
    if count() == 1:
        return cli.main(stage)
    try:
        cli.main(stage, _together)
    except SystemExit as ended:
        # The first one ends by itself, and has a line to tell.
        signal.signal(signal.SIGTERM, signal.SIG_IGN if is_first() else signal.SIG_DFL)
        if ended.code and not is_first():
            time.sleep(PATIENCE)
        raise


@contextmanager
def _together(name: str) -> Iterator[None]:
    """What `alone.alone` is, with the processes joined while the block lasts.

    Raises
    ------
    Problem
        As `alone.alone`; when it was not torchrun that started them; when one of them is lost.
    """
    if missing := [variable for variable in TOLD if variable not in os.environ]:
        raise Problem(
            f"expected {missing[0]} beside WORLD_SIZE={count()}, found nothing; start it with: "
            f"torchrun --nproc-per-node {count()} -m stages.{name}"
        )
    with alone(name) if is_first() else _silent(), _lost():
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        )
        yield
        distributed.destroy_process_group()


@contextmanager
def _lost() -> Iterator[None]:
    """Say in one line that another process ended in the midst of an exchange."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error).lower():
            raise
        raise Problem(
            f"expected {count()} processes, found that another one has ended: {error}"
        ) from None


@contextmanager
def _silent() -> Iterator[None]:
    # It has nothing to clean up, and waiting for the others it would not hear Python's handler.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_DFL)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def choose_device(wanted: str) -> torch.device:
    """`numerics.choose_device`, where each process of a machine has a GPU of its own.

    Raises
    ------
    Problem
        When there are fewer GPUs than processes.
    """
    device = numerics.choose_device(wanted)
    if count() > 1 and device.type == "cuda":
        here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
        if here > gpus:
            raise Problem(
                f"expected a GPU for each of this machine's {here} processes, found {gpus}"
            )
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return device


def check(key: str, folds: np.ndarray, batch_size: int) -> None:
    """Hold what is to be trained against the number of processes, and theirs against each other.

    Parameters
    ----------
    key : str
        Of the journal: of all that decides what this process trains.
    folds : ndarray of int, shape (repeats, n)
        As `cross_validate` takes each row.

    Raises
    ------
    Problem
        Where a batch has fewer images than there are processes; where another one's key differs.
    """
    if count() == 1:
        return
    images = folds.shape[1]
    held_out = (int(size) for row in folds for size in np.bincount(row[row >= 0]))
    fits = {images, *(images - size for size in held_out)}
    least, images = min((min(split(images, batch_size)), images) for images in fits)
    if least < count():
        raise Problem(
            f"expected an image of every batch for each of {count()} processes, found a batch of "
            f"{least}, the last of {images} images in batches of {batch_size}; start fewer "
            "processes, or change finetune.batch_size"
        )
    keys = [""] * count()
    distributed.all_gather_object(keys, key)
    if others := [process for process, other in enumerate(keys) if other != keys[0]]:
        raise Problem(
            "expected the same params, inputs, code and libraries on all machines, found others "
            f"in process {others[0]} than in process 0"
        )


def fits_at_once(device: torch.device) -> AbstractContextManager[None]:
    """`cluster.fits_at_once`; of several processes each is in every fit, one after the other."""
    return cluster.fits_at_once(device) if count() == 1 else nullcontext()


def cached(
    frozen: nn.Sequential, images: np.ndarray, prepare: Prepare, *, folder: Path, **others: object
) -> AbstractContextManager[np.ndarray]:
    """`activations.cached`: each process computes its share, and has, in its own folder, all."""
    if count() > 1:
        if len(frozen):
            frozen, prepare = nn.Sequential(SharedNetwork(frozen, prepare)), identity
        folder = folder / f"process-{os.environ['RANK']}"
    return activations.cached(frozen, images, prepare, folder=folder, **others)


def cross_validate(
    recipe: Recipe, *data: np.ndarray, prepare: Prepare, journal: Journal, **others: object
) -> CrossValidation:
    """`cross_validation.cross_validate`: one fit after the other, by all processes together."""
    if count() > 1:
        recipe, prepare = shared(recipe, prepare), identity
        journal = _FirstsJournal(journal)
    return cross_validation.cross_validate(
        recipe, *data, prepare=prepare, journal=journal, **others
    )


@dataclass(frozen=True)
class _FirstsJournal:
    """A journal that the first process keeps for all."""

    journal: Journal

    def of_fit(self, *arguments: object) -> Kept:
        """As `Journal.of_fit`."""
        return _FirstsFit(self.journal.of_fit(*arguments))


@dataclass(frozen=True)
class _FirstsFit:
    """What one fit has reached, which is the same in all processes."""

    kept: Kept

    def load(self) -> dict | None:
        """What the first process has kept, in every one."""
        reached = [self.kept.load() if is_first() else None]
        distributed.broadcast_object_list(reached)
        return reached[0]

    def save(self, reached: dict) -> None:
        """Keep it, in the first one."""
        if is_first():
            self.kept.save(reached)
