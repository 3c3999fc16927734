"""Train a network on every fold, and once on all images, at the same time."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import resample
from torch import Tensor, nn

from taller.common import files, numerics
from taller.datasets import dataset
from taller.evaluation import metrics
from taller.training import engine, workers
from taller.training.batches import Batches, Prepare, Standardizer, Views, identity, tensor
from taller.training.checkpoint import Checkpoints, FitCheckpoint
from taller.training.engine import TrainingConfig
from taller.training.workers import Report

# Inputs that prepared have fewer bytes are prepared once, rather than in every epoch of every fit:
# MNIST's are, 188 MB; of 2,000 photographs at 96 pixels they would be in memory beside the views.
PREPARED_LIMIT = 200_000_000
# Large batches: validation holds no activations. Of large inputs fewer: each process has a batch.
VALIDATION_BATCH, VALIDATION_BYTES = 1000, 8 * 2**20
# Inputs of fewer bytes go to the GPU once; larger ones batch by batch.
GPU_LIMIT = 8 * 2**30
# Settings are chosen on an inner part of the training images; of fewer images that says nothing.
INNER_PARTS, LEAST_TO_CHOOSE = 5, 500
OUT = -2  # in `folds`: takes no part at all


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
    views: Views | None = None  # what training sees in place of the inputs, row by row
    # Of these settings, the strongest first, each fit chooses inside its own training images;
    # `config` has those of a data set that is too small for it.
    options: Sequence[TrainingConfig] = ()
    image_groups: np.ndarray | None = None  # int64, shape (n,): that choice leaves them whole
    # On so many images, drawn by class for each fit; there is no fit on all then. None: on all.
    images: int | None = None
    every_epoch: bool = True  # validates after each; or after the last one alone


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
        ``balanced_accuracy``, ``log_loss`` (nats), ``train_images`` and ``val_images``;
        ``largest_class`` and ``largest_class_balanced``, the two accuracies of whoever always names
        the largest class of the training images.
    chosen : list of dict
        Of each fit that had a choice: ``repeat``, ``fold`` (None on all images),
        ``weight_decay``, ``epochs``, and ``fixed`` where there were too few images to choose.
    """

    trained_parameters: int  # numbers that the optimizer could change
    history: list[dict] = field(default_factory=list)
    scores: list[dict] = field(default_factory=list)
    chosen: list[dict] = field(default_factory=list)
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
    """The history, scores and choices of all; the weights are the first one's."""
    rows = {
        name: [row for part in parts for row in getattr(part, name)]
        for name in ("history", "scores", "chosen")
    }
    return replace(parts[0], **rows)


def cross_validate(
    training: Training,
    inputs: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    repeat: int = 0,
    limit: int | None = None,
    label: str = "folds",
    checkpoints: Checkpoints | None = None,
) -> CrossValidation:
    """Fit a network once without each fold and, in the first repeat, once on all images.

    With `Training.images` each fit without a fold is on so many of the others, and there is none on
    all.

    Each fit has one thread and a seed of its own (`numerics.fit_seed`), so that neither the number
    of processes nor the order in which fits happen to run changes a bit of the outcome. They run
    on the cores of this machine, or on the cluster that the environment names (`workers`).

    Parameters
    ----------
    inputs : ndarray, shape (n, ...)
        Images or activations; a memory map stays one in processes of this machine.
    labels : ndarray of int64, shape (n,)
    folds : ndarray of int, shape (n,)
        The fold, 0 to K - 1, in which each image validates; one of -1 never does.
    repeat : int
        From 0.
    limit : int, optional
        Fits of folds: those of the first ones alone, though the others' images train.
    label : str
        Whose folds they are, for whoever watches.
    checkpoints : Checkpoints, optional
        Where each fit saves its epochs, and goes on from. On a cluster, fits that have ended.
    """
    epochs, fits, outcomes = training.config.epochs, [], []
    label += f", repeat {repeat + 1}" if repeat else ""
    # The fit on all images is the longest: it starts first.
    on_all = [None] if repeat == 0 and training.images is None else []
    for fold in [*on_all, *[*range(int(folds.max()) + 1)][:limit]]:
        name = f"repeat {repeat + 1}, {_name(fold)}"
        saved = checkpoints and checkpoints.of_fit(name, f"{label}: {_name(fold)}", epochs)
        fits.append((repeat, fold, saved))
    if not workers.scheduler():
        inputs, training = _prepare(inputs, training)
    shared, processes = (training, inputs, labels, folds), workers.count(training.device)
    with workers.progress(epochs * len(fits), label) as report:
        if workers.scheduler():
            outcomes = workers.run_on_cluster(fit_fold, fits, shared, report=report)
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

    `inputs`, `labels` and `folds` are as `cross_validate` takes them; those of `OUT` are left out.
    """
    config, device, images = training.config, training.device, _near(inputs, training.device)
    validates = np.zeros(len(folds), bool) if fold is None else folds == fold
    trains = ~validates & (folds != OUT)
    if training.images is not None:
        trains = _draw(trains, labels, training, numerics.fit_seed(training.seed, repeat, fold))
    train_rows, val_rows = np.flatnonzero(trains), np.flatnonzero(validates)
    place, chosen = {"repeat": repeat + 1, "fold": None if fold is None else fold + 1}, []
    if training.options:
        inner = _inner_fold(training, labels, trains, repeat, fold)
        if inner is not None:
            config = _choose(training, inputs, labels, inner, repeat)
        settings = {"weight_decay": config.weight_decay, "epochs": config.epochs}
        chosen = [place | settings | {"fixed": inner is None}]
    prepare = training.prepare
    with engine.threads(1):
        if training.standardize:
            prepare = Standardizer.of(images[train_rows].to(device))
        batches = partial(Batches, images, tensor(labels), device=device, prepare=prepare)
        train = batches(torch.from_numpy(train_rows), config.batch_size)
        if views := training.views:
            train = replace(train, inputs=_near(views.images, device), prepare=views)
        classes = int(labels.max()) + 1  # each has images on both sides of a fold
        weights = config.weights(tensor(labels[train_rows]), classes)
        one = prepare(images[:1].to(device)).nbytes
        val_batch = max(2, min(VALIDATION_BATCH, VALIDATION_BYTES // max(1, one)))
        outcome = engine.fit(
            training.build,
            lambda network: config.optimizer(training.groups(network)),
            [train] * config.epochs,
            schedule=config.schedule,
            seed=numerics.fit_seed(training.seed, repeat, fold),
            device=device,
            label_smoothing=config.label_smoothing,
            class_weights=None if weights is None else weights.to(device),
            validation=None if fold is None else batches(torch.from_numpy(val_rows), val_batch),
            every_epoch=training.every_epoch,
            on_epochs=lambda rows: report(_name(fold), rows, _line(rows[-1], config.epochs)),
            checkpoint=checkpoint,
        )
        trained = sum(p.numel() for p in outcome.model.parameters() if p.requires_grad)
        if fold is None:
            state = {name: one.cpu() for name, one in outcome.model.state_dict().items()}
            if training.standardize:
                prepare.absorb_into(state, training.standardize)
            state = {name: one.contiguous() for name, one in state.items()}
            return CrossValidation(trained, chosen=chosen, state=state)
    largest = np.full(len(val_rows), np.bincount(labels[train_rows]).argmax())
    always = metrics.scores(metrics.confusion(labels[val_rows], largest, classes))
    scores = _scores(outcome.logits, labels[val_rows]) | {
        "largest_class": always["accuracy"],
        "largest_class_balanced": always["balanced_accuracy"],
        "train_images": len(train_rows),
        "val_images": len(val_rows),
    }
    return CrossValidation(
        trained,
        [place | row for row in outcome.history],
        [place | {"metric": name, "value": value} for name, value in scores.items()],
        chosen,
    )


def _near(inputs: np.ndarray, device: torch.device) -> Tensor:
    images = tensor(inputs)
    return images.to(device) if device.type == "cuda" and images.nbytes < GPU_LIMIT else images


def _draw(trains: np.ndarray, labels: np.ndarray, training: Training, seed: int) -> np.ndarray:
    """Draw `training.images` of those that train, with the same shares of the classes: bool."""
    rows, drawn = np.flatnonzero(trains), np.zeros_like(trains)
    options = {"n_samples": training.images, "random_state": numerics.draw_seed(seed)}
    drawn[resample(rows, replace=False, stratify=labels[rows], **options)] = True
    return drawn


def _inner_fold(
    training: Training, labels: np.ndarray, trains: np.ndarray, repeat: int, fold: int | None
) -> np.ndarray | None:
    """A fifth of a fit's training images as fold 0, the others -1, images of no part `OUT`.

    By class, and of whole groups where there are any. None where there are too few to choose by.
    """
    rows, seed = np.flatnonzero(trains), numerics.fit_seed(training.seed, repeat, fold) % 2**32
    groups, parts, splitter = None, INNER_PARTS, StratifiedKFold
    if training.image_groups is not None:
        groups, splitter = training.image_groups[rows], StratifiedGroupKFold
        parts = min(parts, len(np.unique(groups)))
    few = (training.images or len(labels)) < LEAST_TO_CHOOSE
    if few or parts < 2 or np.bincount(labels[rows]).max() < parts:
        return None
    splits = splitter(parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class with fewer images than parts
        _, validates = next(splits.split(labels[rows], labels[rows], groups))
    inner = np.where(trains, -1, OUT)
    inner[rows[validates]] = 0
    return inner


def _choose(
    training: Training, inputs: np.ndarray, labels: np.ndarray, inner: np.ndarray, repeat: int
) -> TrainingConfig:
    """The option with the least log loss on the inner fold; of equal ones the first."""
    losses = []
    for option in training.options:
        alone = replace(training, config=option, options=(), images=None, every_epoch=False)
        outcome = fit_fold(alone, inputs, labels, inner, repeat, 0, None, lambda *_: None)
        losses += [row["value"] for row in outcome.scores if row["metric"] == "log_loss"]
    return training.options[int(np.argmin(losses))]


def _name(fold: int | None) -> str:
    return "all images" if fold is None else f"fold {fold + 1}"


def _line(row: dict[str, float], epochs: int) -> str:
    part = "val" if "val_loss" in row else "train"
    return (
        f"epoch {row['epoch']} of {epochs}: {part} loss {row[f'{part}_loss']:.4f}, "
        f"accuracy {row[f'{part}_accuracy']:.4f}"
    )


def _prepare(inputs: np.ndarray, training: Training) -> tuple[np.ndarray, Training]:
    """The same inputs, prepared where that is small; each by itself, so no batch is an input."""
    prepare = training.prepare
    one = prepare(tensor(inputs[:1]))
    if prepare is identity or one.nbytes * len(inputs) > PREPARED_LIMIT:
        return inputs, training
    prepared = np.empty((len(inputs), *one.shape[1:]), np.float32)
    for part in dataset.chunks(inputs):  # before a resize floats are four times what is stored
        prepared[part] = prepare(tensor(inputs[part])).numpy()
    return prepared, replace(training, prepare=identity)


def _scores(logits: Tensor, labels: np.ndarray) -> dict[str, float]:
    counts = metrics.confusion(labels, logits.argmax(1).numpy(), classes=logits.shape[1])
    log_probabilities = logits.double().log_softmax(1).numpy()
    return metrics.scores(counts) | {"log_loss": metrics.log_loss(log_probabilities, labels)}
