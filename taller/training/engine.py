"""The engine: fit a network on batches. It knows no files, no plots and no architecture."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from taller.program import seeds
from taller.training import schedules
from taller.training.batches import Batch


class Optimizer(Protocol):
    """What moves the weights: any of `torch.optim`'s, or `adamw.AdamW`."""

    param_groups: list[dict]

    def step(self) -> None:
        """Move the parameters by their gradients, at the ``lr`` of each group."""

    def state_dict(self) -> dict:
        """What it has to know to go on."""

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on from there."""


class TrainingData(Protocol):
    """What `fit` trains on: a number of batches, and those of an epoch."""

    def __len__(self) -> int:
        """How many batches an epoch has."""

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """The batches of one epoch, which `seed` alone decides."""


class Kept(Protocol):
    """What `fit` has reached, kept by somebody in case that it is stopped."""

    def load(self) -> dict | None:
        """What was saved last for this very fit, or None."""

    def save(self, reached: dict) -> None:
        """Keep what has been reached: tensors, numbers and words in dicts and lists."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, whatever the data.

    Attributes
    ----------
    make_model : callable
        Gives a fresh network; called under the run's seed.
    make_optimizer : callable
        From the network to its optimizer, whose groups carry the (peak) learning rates.
    epochs : int
        Passes over the training images.
    schedule : {"constant", "one_cycle"}
        What becomes of the learning rates over the steps.
    label_smoothing : float
        Share of the target, 0 to 1, spread over all classes.
    """

    make_model: Callable[[], nn.Module]
    make_optimizer: Callable[[nn.Module], Optimizer]
    epochs: int
    schedule: str = "constant"
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Epoch:
    """Mean cross-entropy (nats) and accuracy (fraction) of one pass over the images."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Fit:
    """A trained network and how it got there.

    Attributes
    ----------
    model : Module
    history : list of dict
        Per epoch: ``epoch`` from 1, ``train_loss`` and ``train_accuracy`` as met on the way
        (dropout on), and after it, where there is validation, ``val_loss`` and
        ``val_accuracy``.
    logits : Tensor of float32, shape (m, classes), or None
        Of the validation images, after the last epoch.
    """

    model: nn.Module
    history: list[dict[str, float]]
    logits: Tensor | None


def fit(
    recipe: Recipe,
    data: TrainingData | list[TrainingData],
    *,
    seed: int,
    device: torch.device,
    validation: Iterable[Batch] | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    kept: Kept | None = None,
) -> Fit:
    """Train a fresh network, or go on with one that was stopped on the way.

    Parameters
    ----------
    data : TrainingData or list of them
        The same for all epochs, or one for each.
    seed : int
        Decides the initial weights and, with the number of the epoch alone, the order of the
        images and the dropout: no epoch hangs on the generators' state after another.
    validation : iterable of batches, optional
        Gone through after every epoch.
    on_epoch : callable
        Told the row of the history after each epoch.
    kept : Kept, optional
        Saves what each epoch has reached, and gives back the last of it. Going on from there
        ends in the very bits of a fit that was never stopped.
    """
    parts = data if isinstance(data, list) else [data] * recipe.epochs
    torch.manual_seed(seeds.of_weights(seed))
    # In the memory layout that convolutions are fastest in; other layers are indifferent.
    model = recipe.make_model().to(device, memory_format=torch.channels_last)
    optimizer = recipe.make_optimizer(model)
    peaks = [group["lr"] for group in optimizer.param_groups]
    shares = iter(schedules.shares(recipe.schedule, sum(map(len, parts))))
    stateful = {"model": model, "optimizer": optimizer}
    history, logits = [], None
    if kept is not None and (reached := kept.load()) is not None:
        for name, one in stateful.items():
            one.load_state_dict(reached[name])
        history, logits = reached["history"], reached["logits"]
        shares = islice(shares, sum(map(len, parts[: len(history)])), None)
    for epoch, part in list(enumerate(parts, start=1))[len(history) :]:
        torch.manual_seed(seeds.of_noise(seed, epoch))
        batches = part.shuffled(seeds.of_order(seed, epoch))
        rates = ([peak * share for peak in peaks] for share in shares)
        train = _train_epoch(model, batches, optimizer, rates, recipe.label_smoothing)
        row = {"epoch": epoch, "train_loss": train.loss, "train_accuracy": train.accuracy}
        if validation is not None:
            val, logits = evaluate(model, validation)
            row |= {"val_loss": val.loss, "val_accuracy": val.accuracy}
        history.append(row)
        if kept is not None:
            states = {name: one.state_dict() for name, one in stateful.items()}
            kept.save({**states, "history": history, "logits": logits})
        on_epoch(row)
    return Fit(model, history, logits)


def _train_epoch(
    model: nn.Module,
    data: Iterable[Batch],
    optimizer: Optimizer,
    rates: Iterator[list[float]],
    label_smoothing: float,
) -> Epoch:
    """One pass with a step per batch; loss and accuracy are those met on the way."""
    model.train()
    parameters, met = list(model.parameters()), []
    # In this order, as what ends first takes none of the other: rates are left for other epochs.
    for (inputs, labels), of_groups in zip(data, rates, strict=False):
        for group, rate in zip(optimizer.param_groups, of_groups, strict=True):
            group["lr"] = rate
        logits = model(inputs)
        for parameter in parameters:  # as `zero_grad` does, at a tenth of its time
            parameter.grad = None
        cross_entropy(logits, labels, label_smoothing=label_smoothing).backward()
        optimizer.step()
        met.append((logits.detach(), labels))
    # Read once, at the end: in each step that would stall a GPU, and takes time of its own.
    return _epoch(*map(torch.cat, zip(*met, strict=True)), label_smoothing)


def _epoch(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Epoch:
    loss = cross_entropy(logits.double(), labels, label_smoothing=label_smoothing)
    return Epoch(float(loss), float((logits.argmax(1) == labels).double().mean()))


@torch.inference_mode()
def predict(model: nn.Module, inputs: Iterable[Tensor]) -> Tensor:
    """Run the network in evaluation mode: logits, float32, shape (n, classes), on the CPU."""
    model.eval()
    return torch.cat([model(part).cpu() for part in inputs])


def evaluate(model: nn.Module, batches: Iterable[Batch]) -> tuple[Epoch, Tensor]:
    """Loss and accuracy in evaluation mode, and the logits they come from."""
    truth = []

    def inputs() -> Iterator[Tensor]:
        for part, labels in batches:
            truth.append(labels.cpu())
            yield part

    logits = predict(model, inputs())
    return _epoch(logits, torch.cat(truth)), logits
