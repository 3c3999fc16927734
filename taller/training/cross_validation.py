"""Train a network on every fold, and once on all images, at the same time."""

import copy
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from taller.program import files
from taller.program.progress import shared_bar
from taller.training import cluster, forked, workers
from taller.training.batches import Prepare, identity, tensor
from taller.training.engine import Recipe
from taller.training.fold_fit import FoldFit, Task, Tick, fit_fold, fit_here, which
from taller.training.journal import FitJournal, InMemory, Journal
from taller.training.standardizer import Standardizer

# Inputs that prepared have fewer bytes are prepared once, rather than in every epoch of every fit.
PREPARED_LIMIT = 2**28


@dataclass(frozen=True)
class CrossValidation:
    """What K fits on K folds, and one on everything, gave.

    Attributes
    ----------
    history : DataFrame
        A row per epoch: ``repeat`` and ``fold`` from 1, and what `engine.Fit.history` has.
    scores : DataFrame
        Records in long form: ``repeat``, ``fold``, ``metric``, ``value``. After the last epoch, on
        the validation images: ``accuracy``, ``precision``, ``recall``, ``f1`` (macro;
        fractions), ``log_loss`` (nats), ``train_images`` and ``val_images``.
    state : dict of Tensor
        Weights of the fit on all images.
    trained_parameters : int
        How many numbers the optimizer could change.
    standardizer : Standardizer or None
        Of the inputs of the fit on all images, where they were standardized.
    """

    history: pd.DataFrame
    scores: pd.DataFrame
    state: dict[str, Tensor]
    trained_parameters: int
    standardizer: Standardizer | None = None

    def __str__(self) -> str:
        accuracy = self.scores.query("metric == 'accuracy'")["value"]
        spread = f"{accuracy.mean():.4f} ± {accuracy.std():.4f}"
        losses = self.history.groupby("epoch")[["train_loss", "val_loss"]].mean().tail(3)
        train, val = (", ".join(f"{loss:.4f}" for loss in losses[one]) for one in losses)
        return (
            f"accuracy {spread} over {len(accuracy)} folds; has it converged? "
            f"mean loss of the last epochs: train {train}; val {val}"
        )

    def raw_state(self, head: str) -> dict[str, Tensor]:
        """The weights, those of `head` such that it takes inputs that were not standardized."""
        if self.standardizer is None:
            return self.state
        keys = [f"{head}.{name}" for name in ("weight", "bias")]
        absorbed = self.standardizer.absorbed(*(self.state[key] for key in keys))
        return self.state | dict(zip(keys, absorbed, strict=True))

    def save(self, folder: Path) -> None:
        """Write ``history.csv`` and ``scores.csv``; the folder's name is the model's in them."""
        with files.whole(folder / "history.csv") as file:
            self.history.to_csv(file, index=False, float_format="%.6f")
        records = self.scores.copy()
        records.insert(0, "model", folder.name)
        with files.whole(folder / "scores.csv") as file:
            records.to_csv(file, index=False, float_format="%.8g")


def joined(repeats: Sequence[CrossValidation]) -> CrossValidation:
    """The history and scores of all repeats; the fit on all images is the first one's."""
    return replace(
        repeats[0],
        history=pd.concat([one.history for one in repeats], ignore_index=True),
        scores=pd.concat([one.scores for one in repeats], ignore_index=True),
    )


def cross_validate(
    recipe: Recipe,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    batch_size: int,
    prepare: Prepare = identity,
    standardize: bool = False,
    seed: int,
    repeat: int = 0,
    device: torch.device,
    label: str = "folds",
    journal: Journal | None = None,
) -> CrossValidation:
    """Fit `recipe` once without each fold and, in the first repeat, once on all images.

    Each fit has one thread and a seed of its own (`seeds.of_fit`), so that neither the number
    of cores nor the order in which fits happen to run changes a bit of the outcome. joblib's
    context says where and how many at once they run; without one, one after the other.

    Parameters
    ----------
    inputs : ndarray, shape (n, ...)
        Images or activations; a memory map stays one in processes of this machine.
    labels : ndarray of int64, shape (n,)
    folds : ndarray of int, shape (n,)
        The fold, 0 to K - 1, in which each image validates; one of -1 never does.
    batch_size : int
        Images per step.
    prepare : callable
        From stored inputs to the network's, batch by batch.
    standardize : bool
        Whether each feature of the inputs is given the same scale instead, by what each fit's
        own training images say of it.
    repeat : int
        From 0; of the later ones `state` is empty.
    label : str
        Whose folds they are, for whoever watches.
    journal : Journal, optional
        Keeps what each fit has reached, and from it each goes on. Of fits on a cluster it keeps
        those that have ended.
    """
    # The fit on all images is the longest: it starts first.
    held_out = [*([None] if repeat == 0 else []), *range(int(folds.max()) + 1)]
    task = Task(recipe, batch_size, prepare, standardize, seed, repeat, device)
    kept = {fold: _kept(journal, label, task, fold) for fold in held_out}
    run = _here if (client := cluster.active()) is None else partial(_on_cluster, client)
    with shared_bar(recipe.epochs * len(held_out), label, "epoch") as tick:
        fits = run(task, kept, tick, (inputs, labels, folds))
    return CrossValidation(
        history=pd.DataFrame([row for fit in fits for row in fit.history]),
        scores=pd.DataFrame([row for fit in fits for row in fit.scores]),
        state=fits[0].state,
        trained_parameters=fits[0].trained_parameters,
        standardizer=fits[0].standardizer,
    )


def _prepared(inputs: np.ndarray, prepare: Prepare) -> tuple[np.ndarray, Prepare]:
    """The same inputs, prepared where that is small; each by itself, so no batch is an input."""
    size = prepare(tensor(inputs[:1])).nbytes * len(inputs)
    if prepare is identity or size > PREPARED_LIMIT:
        return inputs, prepare
    return prepare(tensor(inputs)).numpy(), identity


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # inputs, labels, folds


def _here(
    task: Task, kept: dict[int | None, FitJournal | None], tick: Tick, arrays: Arrays
) -> list[FoldFit]:
    """The fits in processes of this machine, which read and write its files."""
    inputs, prepare = _prepared(arrays[0], task.prepare)
    arrays, task = (inputs, *arrays[1:]), replace(task, prepare=prepare)
    jobs = min(joblib.effective_n_jobs(None), len(kept))
    with ExitStack() as stack:
        if jobs > 1 and not forked.active():
            workers.sweep()
            stack.enter_context(workers.room())
            arrays = [stack.enter_context(workers.shared(one)) for one in arrays]
        return joblib.Parallel(n_jobs=jobs)(
            joblib.delayed(fit_here)(os.getpid(), task, tick, fold, one, *arrays)
            for fold, one in kept.items()
        )


def _on_cluster(
    client: "cluster.Client",
    task: Task,
    kept: dict[int | None, FitJournal | None],
    tick: Tick,
    arrays: Arrays,
) -> list[FoldFit]:
    """The fits in processes of any machine: the journal is here, and so are their files."""
    reached = {fold: None if one is None else InMemory(one.load()) for fold, one in kept.items()}
    ended = {fold for fold, one in reached.items() if one and one.epochs() == task.recipe.epochs}
    fits = {fold: fit_fold(task, tick, fold, reached.pop(fold), *arrays) for fold in ended}
    with cluster.relayed(client, tick) as told:
        call = partial(_fit_there, task, told, reached)
        for fold, fit, one in cluster.run(client, call, reached, arrays):
            if one is not None:
                kept[fold].save(one.reached)
            fits[fold] = fit
    return [fits[fold] for fold in kept]


def _fit_there(
    task: Task,
    tick: Tick,
    reached: dict[int | None, InMemory | None],
    fold: int | None,
    *arrays: np.ndarray,
) -> tuple[int | None, FoldFit, InMemory | None]:
    kept = copy.copy(reached[fold])  # a fit that is run again begins where the first one did
    return fold, fit_fold(task, tick, fold, kept, *arrays), kept


def _kept(journal: Journal | None, label: str, task: Task, fold: int | None) -> FitJournal | None:
    if journal is None:
        return None
    name = f"repeat {task.repeat + 1}, {which(fold)}".replace(", ", ".").replace(" ", "-")
    return journal.of_fit(name, f"{label}: {which(fold)}", task.recipe.epochs)
