"""Train a network on every fold, and once on all images, at the same time."""

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
from taller.training import engine, numerics, workers
from taller.training.batches import Batches, Prepare, identity, tensor
from taller.training.engine import Recipe
from taller.training.journal import FitJournal, Journal
from taller.training.standardizer import Standardizer

# Large batches: validation keeps no activations. Of large inputs fewer: each process has a batch.
VALIDATION_BATCH, VALIDATION_BYTES = 1000, 32 * 2**20
# Inputs of fewer bytes go to the GPU once; larger ones batch by batch.
GPU_LIMIT = 8 * 2**30


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
    jobs: int | None = None,
    label: str = "folds",
    journal: Journal | None = None,
) -> CrossValidation:
    """Fit `recipe` once without each fold and, in the first repeat, once on all images.

    Each fit has one thread and a seed of its own (`seeds.of_fit`), so that neither the number
    of cores nor the order in which fits happen to run changes a bit of the outcome.

    Parameters
    ----------
    inputs : ndarray, shape (n, ...)
        Images or activations; a memory map stays one in the worker processes.
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
    jobs : int, optional
        Processes; by default one per core, and one in all on a GPU.
    label : str
        Whose folds they are, for whoever watches.
    journal : Journal, optional
        Keeps what each fit has reached, and from it each goes on.
    """
    count = int(folds.max()) + 1
    if jobs is None:
        jobs = 1 if device.type == "cuda" else min(joblib.cpu_count(), count + 1)
    # The fit on all images is the longest: it starts first.
    held_out = [*([None] if repeat == 0 else []), *range(count)]
    with ExitStack() as stack:
        if jobs > 1:
            workers.sweep()
            stack.enter_context(workers.room())
            shared = (workers.shared(one) for one in (inputs, labels, folds))
            inputs, labels, folds = map(stack.enter_context, shared)
        tick = stack.enter_context(shared_bar(recipe.epochs * len(held_out), label, "epoch"))
        task = _Task(
            recipe, inputs, labels, folds, batch_size, prepare, standardize, seed, repeat, device,
            tick, label, journal,
        )  # fmt: skip
        fits = joblib.Parallel(n_jobs=jobs)(
            joblib.delayed(_fit)(task, fold, os.getpid()) for fold in held_out
        )
    return CrossValidation(
        history=pd.DataFrame([row for fit in fits for row in fit.history]),
        scores=pd.DataFrame([row for fit in fits for row in fit.scores]),
        state=fits[0].state,
        trained_parameters=fits[0].trained_parameters,
        standardizer=fits[0].standardizer,
    )


@dataclass(frozen=True)
class _Task:
    """What all fits share."""

    recipe: Recipe
    inputs: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    batch_size: int
    prepare: Prepare
    standardize: bool
    seed: int
    repeat: int
    device: torch.device
    tick: Callable[[str], None]
    label: str
    journal: Journal | None


@dataclass(frozen=True)
class _FoldFit:
    """What one fit sends back: on a fold, history and scores; on all images, the weights."""

    trained_parameters: int
    history: list[dict] = field(default_factory=list)
    scores: list[dict] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    standardizer: Standardizer | None = None


def _fit(task: _Task, fold: int | None, parent: int) -> _FoldFit:
    workers.leave_with(parent)
    everything = fold is None
    held_out = np.zeros(len(task.folds), bool) if everything else task.folds == fold
    train_rows, val_rows = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    images = tensor(task.inputs)
    if task.device.type == "cuda" and images.nbytes < GPU_LIMIT:
        images = images.to(task.device)
    standardizer = None
    if task.standardize:
        with numerics.threads(1):
            standardizer = Standardizer.of(images[train_rows].to(task.device))
    batches = partial(
        Batches, images, tensor(task.labels), device=task.device,
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
            on_epoch=lambda row: task.tick(_told(fold, row, task.recipe.epochs)),
            kept=_kept(task, fold),
        )
    trained = sum(p.numel() for p in fit.model.parameters() if p.requires_grad)
    if everything:
        state = {name: tensor.cpu().contiguous() for name, tensor in fit.model.state_dict().items()}
        return _FoldFit(trained, state=state, standardizer=standardizer)
    place = {"repeat": task.repeat + 1, "fold": fold + 1}
    scores = _scores(fit.logits, task.labels[val_rows]) | {
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


def _kept(task: _Task, fold: int | None) -> FitJournal | None:
    if task.journal is None:
        return None
    name = f"repeat {task.repeat + 1}, {_which(fold)}".replace(", ", ".").replace(" ", "-")
    label = f"{task.label}: {_which(fold)}"
    return task.journal.of_fit(name, label, task.recipe.epochs)


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
