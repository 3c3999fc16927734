"""Train a network on every fold, and once on all images, at the same time."""

import os
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from taller.program import files
from taller.program.progress import shared_bar
from taller.scores import metrics
from taller.training import engine
from taller.training.engine import Recipe

# Large batches: validation keeps no activations.
VALIDATION_BATCH = 1000
# Inputs of fewer bytes go to the GPU once; larger ones batch by batch.
GPU_LIMIT = 8 * 2**30


@dataclass(frozen=True)
class CrossValidation:
    """What K fits on K folds, and one on everything, gave.

    Attributes
    ----------
    history : DataFrame
        A row per fold and epoch: ``fold`` from 1, and what `engine.Fit.history` has.
    scores : DataFrame
        A row per fold, after the last epoch, on its validation images: ``fold``,
        ``accuracy``, ``precision``, ``recall``, ``f1`` (macro; fractions), ``log_loss``
        (nats), ``train_images`` and ``val_images``.
    state : dict of Tensor
        Weights of the fit on all images.
    trained_parameters : int
        How many numbers the optimizer could change.
    """

    history: pd.DataFrame
    scores: pd.DataFrame
    state: dict[str, Tensor]
    trained_parameters: int

    def __str__(self) -> str:
        accuracy = self.scores["accuracy"]
        spread = f"{accuracy.mean():.4f} ± {accuracy.std():.4f}"
        return f"accuracy {spread} over {len(accuracy)} folds"

    def save(self, folder: Path) -> None:
        """Write ``history.csv``, ``scores.csv`` and ``fit.json`` (trained parameters)."""
        folder.mkdir(parents=True, exist_ok=True)
        self.history.to_csv(folder / "history.csv", index=False, float_format="%.6f")
        self.scores.to_csv(folder / "scores.csv", index=False, float_format="%.8f")
        files.write_json(folder / "fit.json", {"trained_parameters": self.trained_parameters})


def cross_validate(
    recipe: Recipe,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    jobs: int | None = None,
    label: str = "folds",
) -> CrossValidation:
    """Fit `recipe` once without each fold, and once on all images.

    Each fit has one thread and a seed of its own, so that neither the number of cores nor
    the order in which fits happen to run changes a bit of the outcome.

    Parameters
    ----------
    inputs : ndarray, shape (n, ...)
        Images or activations; a memory map stays one in the worker processes.
    labels : ndarray of int64, shape (n,)
    folds : ndarray of int, shape (n,)
        The fold, 0 to K - 1, in which each image validates.
    seed : int
        Of the first fold; fold k has ``seed + k``, and the fit on all ``seed + K``.
    jobs : int, optional
        Processes; by default one per core, and one in all on a GPU.
    """
    count = int(folds.max()) + 1
    if jobs is None:
        jobs = 1 if device.type == "cuda" else min(joblib.cpu_count(), count + 1)
    # The fit on all images is the longest: it starts first.
    held_out = [None, *range(count)]
    with shared_bar(recipe.epochs * len(held_out), label, "epoch") as tick:
        fits = joblib.Parallel(n_jobs=jobs)(
            joblib.delayed(_fit)(
                recipe,
                inputs,
                labels,
                folds,
                fold,
                seed + (count if fold is None else fold),
                device,
                tick,
                os.getpid(),
            )
            for fold in held_out
        )
    final, *validated = fits
    return CrossValidation(
        history=pd.DataFrame([row for fit in validated for row in fit.history]),
        scores=pd.DataFrame([fit.scores for fit in validated]),
        state=final.state,
        trained_parameters=final.trained_parameters,
    )


@dataclass(frozen=True)
class _FoldFit:
    """What one fit sends back: on a fold, history and scores; on all images, the rest."""

    history: list[dict] = field(default_factory=list)
    scores: dict = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)
    trained_parameters: int = 0


def _fit(
    recipe: Recipe,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    fold: int | None,
    seed: int,
    device: torch.device,
    tick: Callable[[], None],
    parent: int,
) -> _FoldFit:
    _leave_with(parent)
    images = _tensor(inputs)
    if device.type == "cuda" and images.nbytes < GPU_LIMIT:
        images = images.to(device)
    cut = partial(engine.batches, images, _tensor(labels), device=device, prepare=recipe.prepare)
    everything = fold is None
    train_rows = torch.from_numpy(np.flatnonzero(folds != (-1 if everything else fold)))
    val_rows = torch.from_numpy(np.flatnonzero(folds == fold))
    shuffle = torch.Generator().manual_seed(seed)
    with engine.threads(1):
        fit = engine.fit(
            recipe,
            batches=lambda: cut(train_rows, recipe.batch_size, generator=shuffle),
            steps=len(engine.split(train_rows, recipe.batch_size)),
            seed=seed,
            device=device,
            validation=None if everything else lambda: cut(val_rows, VALIDATION_BATCH),
            on_epoch=lambda: tick("epoch"),
        )
    if everything:
        return _FoldFit(
            state={
                name: tensor.cpu().contiguous() for name, tensor in fit.model.state_dict().items()
            },
            trained_parameters=sum(p.numel() for p in fit.model.parameters() if p.requires_grad),
        )
    return _FoldFit(
        history=[{"fold": fold + 1, **row} for row in fit.history],
        scores=_scores(fold, fit.logits, labels[val_rows.numpy()], len(train_rows)),
    )


@cache
def _leave_with(parent: int) -> None:
    """End this process when `parent` is gone, if that is what started it.

    A process that is killed cannot stop its workers, which would keep a core and a gigabyte.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    if os.getppid() == parent:
        threading.Thread(target=watch, daemon=True).start()


def _scores(fold: int, logits: Tensor, labels: np.ndarray, train_images: int) -> dict:
    counts = metrics.confusion(labels, logits.argmax(1).numpy())
    return {
        "fold": fold + 1,
        **metrics.scores(counts),
        "log_loss": metrics.log_loss(logits.double().log_softmax(1).numpy(), labels),
        "train_images": train_images,
        "val_images": len(labels),
    }


def _tensor(array: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        # Arrays shared between processes are read-only, and nothing here writes to inputs.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
