"""One fit of a cross-validation, and what it sends back.

By itself, as this is all that the processes which fits run in have to import.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from taller.program import seeds
from taller.scores import metrics
from taller.training import engine, numerics, workers
from taller.training.batches import Batches, Prepare, tensor
from taller.training.engine import Kept, Recipe
from taller.training.standardizer import Standardizer

# Large batches: validation keeps no activations. Of large inputs fewer: each process has a batch.
VALIDATION_BATCH, VALIDATION_BYTES = 1000, 32 * 2**20
# Inputs of fewer bytes go to the GPU once; larger ones batch by batch.
GPU_LIMIT = 8 * 2**30
Tick = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """What all fits share, beside the images."""

    recipe: Recipe
    batch_size: int
    prepare: Prepare
    standardize: bool
    seed: int
    repeat: int
    device: torch.device


@dataclass(frozen=True)
class FoldFit:
    """What one fit sends back: on a fold, history and scores; on all images, the weights."""

    trained_parameters: int
    history: list[dict] = field(default_factory=list)
    scores: list[dict] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    standardizer: Standardizer | None = None


def fit_here(parent: int, *arguments: object) -> FoldFit:
    """`fit_fold` in a process that ends with `parent`, the one that started it."""
    workers.leave_with(parent)
    return fit_fold(*arguments)


def fit_fold(
    task: Task,
    tick: Tick,
    fold: int | None,
    kept: Kept | None,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
) -> FoldFit:
    """Fit without a fold, or on all images where it is None, in one thread.

    Parameters
    ----------
    tick : callable
        Told each epoch in a line.
    kept : Kept, optional
        What the fit has reached.
    inputs, labels, folds : ndarray
        As `cross_validation.cross_validate` takes them.
    """
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
        return FoldFit(trained, state=state, standardizer=standardizer)
    place = {"repeat": task.repeat + 1, "fold": fold + 1}
    scores = _scores(fit.logits, labels[val_rows]) | {
        "train_images": len(train_rows),
        "val_images": len(val_rows),
    }
    return FoldFit(
        trained,
        history=[place | row for row in fit.history],
        scores=[place | {"metric": name, "value": value} for name, value in scores.items()],
    )


def _validation_batch(inputs: Tensor) -> int:
    return max(2, min(VALIDATION_BATCH, VALIDATION_BYTES // max(1, inputs[0].nbytes)))


def which(fold: int | None) -> str:
    return "all images" if fold is None else f"fold {fold + 1}"


def _told(fold: int | None, row: dict[str, float], epochs: int) -> str:
    """One epoch in a line, for whoever watches."""
    part = "train" if fold is None else "val"
    return (
        f"{which(fold)}, epoch {row['epoch']} of {epochs}: {part} loss {row[f'{part}_loss']:.4f}, "
        f"accuracy {row[f'{part}_accuracy']:.4f}"
    )


def _scores(logits: Tensor, labels: np.ndarray) -> dict[str, float]:
    counts = metrics.confusion(labels, logits.argmax(1).numpy(), classes=logits.shape[1])
    log_probabilities = logits.double().log_softmax(1).numpy()
    return metrics.scores(counts) | {"log_loss": metrics.log_loss(log_probabilities, labels)}
