"""Train a network on every fold, and once on all images, at the same time."""

import copy
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from taller.program import files, seeds
from taller.program.progress import shared_bar
from taller.scores import metrics
from taller.training import cluster, engine, numerics, workers
from taller.training.batches import Batches, Prepare, identity, tensor
from taller.training.engine import Kept, Recipe
from taller.training.journal import FitJournal, InMemory, Journal
from taller.training.standardizer import Standardizer

# Large batches: validation keeps no activations. Of large inputs fewer: each process has a batch.
VALIDATION_BATCH, VALIDATION_BYTES = 1000, 32 * 2**20
# Inputs of fewer bytes go to the GPU once; larger ones batch by batch.
GPU_LIMIT = 8 * 2**30
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
    task = _Task(recipe, batch_size, prepare, standardize, seed, repeat, device)
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


@dataclass(frozen=True)
class _Task:
    """What all fits share, beside the images."""

    recipe: Recipe
    batch_size: int
    prepare: Prepare
    standardize: bool
    seed: int
    repeat: int
    device: torch.device


@dataclass(frozen=True)
class _FoldFit:
    """What one fit sends back: on a fold, history and scores; on all images, the weights."""

    trained_parameters: int
    history: list[dict] = field(default_factory=list)
    scores: list[dict] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    standardizer: Standardizer | None = None


def _prepared(inputs: np.ndarray, prepare: Prepare) -> tuple[np.ndarray, Prepare]:
    """The same inputs, prepared where that is small; each by itself, so no batch is an input."""
    size = prepare(tensor(inputs[:1])).nbytes * len(inputs)
    if prepare is identity or size > PREPARED_LIMIT:
        return inputs, prepare
    return prepare(tensor(inputs)).numpy(), identity


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]  # inputs, labels, folds
Tick = Callable[[str], None]


def _here(
    task: _Task, kept: dict[int | None, FitJournal | None], tick: Tick, arrays: Arrays
) -> list[_FoldFit]:
    """The fits in processes of this machine, which read and write its files."""
    inputs, prepare = _prepared(arrays[0], task.prepare)
    arrays, task = (inputs, *arrays[1:]), replace(task, prepare=prepare)
    jobs = min(joblib.effective_n_jobs(None), len(kept))
    with ExitStack() as stack:
        if jobs > 1:
            workers.sweep()
            stack.enter_context(workers.room())
            arrays = [stack.enter_context(workers.shared(one)) for one in arrays]
        return joblib.Parallel(n_jobs=jobs)(
            joblib.delayed(_fit_here)(os.getpid(), task, tick, fold, one, *arrays)
            for fold, one in kept.items()
        )


def _fit_here(parent: int, *arguments: object) -> _FoldFit:
    workers.leave_with(parent)
    return _fit(*arguments)


def _on_cluster(
    client: "cluster.Client",
    task: _Task,
    kept: dict[int | None, FitJournal | None],
    tick: Tick,
    arrays: Arrays,
) -> list[_FoldFit]:
    """The fits in processes of any machine: the journal is here, and so are their files."""
    reached = {fold: None if one is None else InMemory(one.load()) for fold, one in kept.items()}
    ended = {fold for fold, one in reached.items() if one and one.epochs() == task.recipe.epochs}
    fits = {fold: _fit(task, tick, fold, reached.pop(fold), *arrays) for fold in ended}
    with cluster.relayed(client, tick) as told:
        call = partial(_fit_there, task, told, reached)
        for fold, fit, one in cluster.run(client, call, reached, arrays):
            if one is not None:
                kept[fold].save(one.reached)
            fits[fold] = fit
    return [fits[fold] for fold in kept]


def _fit_there(
    task: _Task,
    tick: Tick,
    reached: dict[int | None, InMemory | None],
    fold: int | None,
    *arrays: np.ndarray,
) -> tuple[int | None, _FoldFit, InMemory | None]:
    kept = copy.copy(reached[fold])  # a fit that is run again begins where the first one did
    return fold, _fit(task, tick, fold, kept, *arrays), kept


def _fit(
    task: _Task,
    tick: Tick,
    fold: int | None,
    kept: Kept | None,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
) -> _FoldFit:
    everything = fold is None
    held_out = np.zeros(len(folds), bool) if everything else folds == fold
    train_rows, val_rows = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    images = tensor(inputs)
    if task.device.type == "cuda" and images.nbytes < GPU_LIMIT:
        images = images.to(task.device)
    standardizer = None
    if task.standardize:
        with numerics.threads(1):
            standardizer = Standardizer.of(images[train_rows].to(task.device))
    batches = partial(
        Batches, images, tensor(labels), device=task.device,
        prepare=standardizer or task.prepare,
    )  # fmt: skip
    with numerics.threads(1):
        fit = engine.fit(
            task.recipe,
            batches(torch.from_numpy(train_rows), task.batch_size),
            seed=seeds.of_fit(task.seed, task.repeat, fold),
            device=task.device,
            validation=None
            if everything
            else batches(torch.from_numpy(val_rows), _validation_batch(images)),
            on_epoch=lambda row: tick(_told(fold, row, task.recipe.epochs)),
            kept=kept,
        )
    trained = sum(p.numel() for p in fit.model.parameters() if p.requires_grad)
    if everything:
        state = {name: tensor.cpu().contiguous() for name, tensor in fit.model.state_dict().items()}
        return _FoldFit(trained, state=state, standardizer=standardizer)
    place = {"repeat": task.repeat + 1, "fold": fold + 1}
    scores = _scores(fit.logits, labels[val_rows]) | {
        "train_images": len(train_rows),
        "val_images": len(val_rows),
    }
    return _FoldFit(
        trained,
        history=[place | row for row in fit.history],
        scores=[place | {"metric": name, "value": value} for name, value in scores.items()],
    )


def _validation_batch(inputs: Tensor) -> int:
    return max(2, min(VALIDATION_BATCH, VALIDATION_BYTES // max(1, inputs[0].nbytes)))


def _kept(journal: Journal | None, label: str, task: _Task, fold: int | None) -> FitJournal | None:
    if journal is None:
        return None
    name = f"repeat {task.repeat + 1}, {_which(fold)}".replace(", ", ".").replace(" ", "-")
    return journal.of_fit(name, f"{label}: {_which(fold)}", task.recipe.epochs)


def _which(fold: int | None) -> str:
    return "all images" if fold is None else f"fold {fold + 1}"


def _told(fold: int | None, row: dict[str, float], epochs: int) -> str:
    """One epoch in a line, for whoever watches."""
    part = "train" if fold is None else "val"
    return (
        f"{_which(fold)}, epoch {row['epoch']} of {epochs}: {part} loss {row[f'{part}_loss']:.4f}, "
        f"accuracy {row[f'{part}_accuracy']:.4f}"
    )


def _scores(logits: Tensor, labels: np.ndarray) -> dict[str, float]:
    counts = metrics.confusion(labels, logits.argmax(1).numpy(), classes=logits.shape[1])
    log_probabilities = logits.double().log_softmax(1).numpy()
    return metrics.scores(counts) | {"log_loss": metrics.log_loss(log_probabilities, labels)}
