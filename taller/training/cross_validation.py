"""Train a network on every fold, and once on all images, at the same time."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from taller.common import files, seeds
from taller.evaluation import metrics
from taller.training import cluster, engine, workers
from taller.training.batches import Batches, Prepare, Standardizer, identity, tensor
from taller.training.checkpoint import Checkpoints, FitCheckpoint
from taller.training.engine import TrainingConfig
from taller.training.workers import Report

# Inputs that prepared have fewer bytes are prepared once, rather than in every epoch of every fit.
PREPARED_LIMIT = 2**28
# Large batches: validation holds no activations. Of large inputs fewer: each process has a batch.
VALIDATION_BATCH, VALIDATION_BYTES = 1000, 32 * 2**20
# Inputs of fewer bytes go to the GPU once; larger ones batch by batch.
GPU_LIMIT = 8 * 2**30


@dataclass(frozen=True)
class Training:
    """How every fit is made."""

    config: TrainingConfig
    build: Callable[[], nn.Module]  # gives a fresh network; called under each fit's own seed
    seed: int  # of the run
    device: torch.device
    # From the network to what its optimizer gets: parameters, or groups with an ``lr`` each.
    groups: Callable[[nn.Module], Iterable] = nn.Module.parameters
    prepare: Prepare = identity  # from stored inputs to the network's, batch by batch
    # The linear layer whose inputs get the same scale in every feature, instead of `prepare`, by
    # what each fit's own training images say of it.
    standardize: str = ""


@dataclass(frozen=True)
class CrossValidation:
    """What fits gave: one, or those of K folds and one on all images, or those of all repeats.

    Attributes
    ----------
    history : list of dict
        Per epoch of a fold: ``repeat`` and ``fold`` from 1, and what `engine.Fit.history` has.
    scores : list of dict
        In long form: ``repeat``, ``fold``, ``metric``, ``value``. After the last epoch, on the
        validation images: ``accuracy``, ``precision``, ``recall``, ``f1`` (macro; fractions),
        ``log_loss`` (nats), ``train_images`` and ``val_images``.
    """

    trained_parameters: int  # numbers that the optimizer could change
    history: list[dict] = field(default_factory=list)
    scores: list[dict] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)  # of the fit on all images

    def __str__(self) -> str:
        accuracy = pd.DataFrame(self.scores).query("metric == 'accuracy'")["value"]
        losses = pd.DataFrame(self.history).groupby("epoch")[["train_loss", "val_loss"]].mean()
        train, val = (", ".join(f"{loss:.4f}" for loss in losses[one].tail(3)) for one in losses)
        return (
            f"accuracy {accuracy.mean():.4f} ± {accuracy.std():.4f} over {len(accuracy)} folds; "
            f"has it converged? mean loss of the last epochs: train {train}; val {val}"
        )

    def save(self, folder: Path) -> None:
        """Write ``history.csv`` and ``scores.csv``."""
        with files.atomic_write(folder / "history.csv") as file:
            pd.DataFrame(self.history).to_csv(file, index=False, float_format="%.6f")
        with files.atomic_write(folder / "scores.csv") as file:
            pd.DataFrame(self.scores).to_csv(file, index=False, float_format="%.8g")


def join(parts: Sequence[CrossValidation]) -> CrossValidation:
    """The history and scores of all; the weights are the first one's."""
    history = [row for part in parts for row in part.history]
    scores = [row for part in parts for row in part.scores]
    return replace(parts[0], history=history, scores=scores)


def cross_validate(
    training: Training,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    repeat: int = 0,
    label: str = "folds",
    checkpoints: Checkpoints | None = None,
) -> CrossValidation:
    """Fit a network once without each fold and, in the first repeat, once on all images.

    Each fit has one thread and a seed of its own (`seeds.of_fit`), so that neither the number
    of processes nor the order in which fits happen to run changes a bit of the outcome. They run
    on the cores of this machine, or on the cluster that the environment names (`cluster`).

    Parameters
    ----------
    inputs : ndarray, shape (n, ...)
        Images or activations; a memory map stays one in processes of this machine.
    labels : ndarray of int64, shape (n,)
    folds : ndarray of int, shape (n,)
        The fold, 0 to K - 1, in which each image validates; one of -1 never does.
    repeat : int
        From 0.
    label : str
        Whose folds they are, for whoever watches.
    checkpoints : Checkpoints, optional
        Where each fit saves its epochs, and goes on from. On a cluster, fits that have ended.
    """
    epochs, fits, outcomes = training.config.epochs, [], []
    # The fit on all images is the longest: it starts first.
    for fold in [*([None] if repeat == 0 else []), *range(int(folds.max()) + 1)]:
        name = f"repeat {repeat + 1}, {_name(fold)}"
        saved = checkpoints and checkpoints.of_fit(name, f"{label}: {_name(fold)}", epochs)
        fits.append((repeat, fold, saved))
    if not cluster.scheduler():
        inputs, training = _prepared(inputs, training)
    shared, processes = (training, inputs, labels, folds), workers.count(training.device)
    with workers.progress(epochs * len(fits), label) as report:
        if cluster.scheduler():
            outcomes = cluster.run(fit_fold, fits, shared, report=report)
        elif processes > 1:
            outcomes = workers.run(fit_fold, fits, shared, processes=processes, report=report)
        else:
            for fit in fits:
                outcomes.append(fit_fold(*shared, *fit, report))
    return join(outcomes)


def fit_fold(
    training: Training,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    repeat: int,
    fold: int | None,
    checkpoint: FitCheckpoint | None,
    report: Report,
) -> CrossValidation:
    """Fit without a fold, or on all images where it is None, in one thread.

    `inputs`, `labels` and `folds` are as `cross_validate` takes them.
    """
    config, device, images = training.config, training.device, tensor(inputs)
    validates = np.zeros(len(folds), bool) if fold is None else folds == fold
    train_rows, val_rows = np.flatnonzero(~validates), np.flatnonzero(validates)
    if device.type == "cuda" and images.nbytes < GPU_LIMIT:
        images = images.to(device)
    prepare = training.prepare
    with engine.threads(1):
        if training.standardize:
            prepare = Standardizer.of(images[train_rows].to(device))
        batches = partial(Batches, images, tensor(labels), device=device, prepare=prepare)
        val_batch = max(2, min(VALIDATION_BATCH, VALIDATION_BYTES // max(1, images[0].nbytes)))
        outcome = engine.fit(
            training.build,
            lambda network: config.optimizer(training.groups(network)),
            [batches(torch.from_numpy(train_rows), config.batch_size)] * config.epochs,
            schedule=config.schedule,
            seed=seeds.of_fit(training.seed, repeat, fold),
            device=device,
            validation=None if fold is None else batches(torch.from_numpy(val_rows), val_batch),
            on_epoch=lambda row: report(_name(fold), row["epoch"], _line(row, config.epochs)),
            checkpoint=checkpoint,
        )
        trained = sum(p.numel() for p in outcome.model.parameters() if p.requires_grad)
        if fold is None:
            state = {name: one.cpu() for name, one in outcome.model.state_dict().items()}
            if training.standardize:
                prepare.absorb_into(state, training.standardize)
            state = {name: one.contiguous() for name, one in state.items()}
            return CrossValidation(trained, state=state)
    place = {"repeat": repeat + 1, "fold": fold + 1}
    scores = _scores(outcome.logits, labels[val_rows]) | {
        "train_images": len(train_rows),
        "val_images": len(val_rows),
    }
    return CrossValidation(
        trained,
        [place | row for row in outcome.history],
        [place | {"metric": name, "value": value} for name, value in scores.items()],
    )


def _name(fold: int | None) -> str:
    return "all images" if fold is None else f"fold {fold + 1}"


def _line(row: dict[str, float], epochs: int) -> str:
    part = "val" if "val_loss" in row else "train"
    return (
        f"epoch {row['epoch']} of {epochs}: {part} loss {row[f'{part}_loss']:.4f}, "
        f"accuracy {row[f'{part}_accuracy']:.4f}"
    )


def _prepared(inputs: np.ndarray, training: Training) -> tuple[np.ndarray, Training]:
    """The same inputs, prepared where that is small; each by itself, so no batch is an input."""
    prepare = training.prepare
    size = prepare(tensor(inputs[:1])).nbytes * len(inputs)
    if prepare is identity or size > PREPARED_LIMIT:
        return inputs, training
    return prepare(tensor(inputs)).numpy(), replace(training, prepare=identity)


def _scores(logits: Tensor, labels: np.ndarray) -> dict[str, float]:
    counts = metrics.confusion(labels, logits.argmax(1).numpy(), classes=logits.shape[1])
    log_probabilities = logits.double().log_softmax(1).numpy()
    return metrics.scores(counts) | {"log_loss": metrics.log_loss(log_probabilities, labels)}
