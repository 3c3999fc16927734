"""The engine: fit a network on batches. It knows no files, no plots and no architecture."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from taller.program.errors import Problem

Batch = tuple[Tensor, Tensor]
Prepare = Callable[[Tensor], Tensor]


def identity(inputs: Tensor) -> Tensor:
    """Inputs that are stored as the network wants them."""
    return inputs


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, whatever the data.

    Attributes
    ----------
    make_model : callable
        Gives a fresh network; called under the run's seed.
    make_optimizer : callable
        From the network to its optimizer, whose groups carry the (peak) learning rates.
    epochs, batch_size : int
        Passes over the training images, and images per step.
    schedule : {"constant", "one_cycle"}
        What becomes of the learning rates over the steps.
    prepare : callable
        From stored inputs to the network's, batch by batch.
    label_smoothing : float
        Share of the target, 0 to 1, spread over all classes.
    """

    make_model: Callable[[], nn.Module]
    make_optimizer: Callable[[nn.Module], Optimizer]
    epochs: int
    batch_size: int
    schedule: str = "constant"
    prepare: Prepare = identity
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


def choose_device(wanted: str) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises
    ------
    Problem
        When `wanted` is ``cuda`` and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise Problem(
            "params.yaml: device: expected cpu or auto (no GPU is usable here), found cuda"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with `count` threads inside the block.

    The order in which partial sums are added depends on their number, so it decides the last
    bits of the weights: it is a constant of the run, never the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def batches(
    inputs: Tensor,
    labels: Tensor,
    rows: Tensor,
    batch_size: int,
    *,
    device: torch.device,
    prepare: Prepare,
    generator: torch.Generator | None = None,
) -> Iterator[Batch]:
    """Cut the images at `rows` into batches on `device`.

    Parameters
    ----------
    inputs : Tensor, shape (n, ...)
    labels : Tensor of int64, shape (n,)
    rows : Tensor of int64, shape (m,)
        Which of the n images take part.
    generator : torch.Generator, optional
        Shuffles them; without it they come in order.
    """
    if generator is not None:
        rows = rows[torch.randperm(len(rows), generator=generator)]
    for chosen in split(rows, batch_size):
        yield prepare(inputs[chosen].to(device)), labels[chosen].to(device)


def split(rows: Tensor, batch_size: int) -> list[Tensor]:
    """Cut `rows` into batches; none has a single one, if there are more."""
    parts = list(rows.split(batch_size))
    # Batch normalisation cannot be trained on a single image: a last one joins its neighbours.
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def fit(
    recipe: Recipe,
    batches: Callable[[], Iterable[Batch]],
    steps: int,
    *,
    seed: int,
    device: torch.device,
    validation: Callable[[], Iterable[Batch]] | None = None,
    on_epoch: Callable[[], None] = lambda: None,
) -> Fit:
    """Train a fresh network.

    Parameters
    ----------
    batches : callable
        Gives the batches of one more epoch.
    steps : int
        How many batches an epoch has, at most; sets the pace of the schedule.
    seed : int
        Decides the initial weights and the dropout; the order of images is up to `batches`.
    validation : callable, optional
        Gives the batches on which every epoch is evaluated.
    on_epoch : callable
        Told after each epoch.
    """
    torch.manual_seed(seed)
    # In the memory layout that convolutions are fastest in; other layers are indifferent.
    model = recipe.make_model().to(device, memory_format=torch.channels_last)
    optimizer = recipe.make_optimizer(model)
    scheduler = _scheduler(optimizer, recipe.schedule, recipe.epochs * steps)
    history, logits = [], None
    for epoch in range(1, recipe.epochs + 1):
        train = _train_epoch(model, batches(), optimizer, scheduler, recipe.label_smoothing)
        row = {"epoch": epoch, "train_loss": train.loss, "train_accuracy": train.accuracy}
        if validation is not None:
            val, logits = evaluate(model, validation())
            row |= {"val_loss": val.loss, "val_accuracy": val.accuracy}
        history.append(row)
        on_epoch()
    return Fit(model, history, logits)


def _scheduler(optimizer: Optimizer, schedule: str, steps: int) -> LRScheduler | None:
    """The learning rate's course over `steps` steps; None leaves it constant."""
    if schedule == "constant":
        return None
    peaks = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, max_lr=peaks, total_steps=steps, cycle_momentum=False)


def _train_epoch(
    model: nn.Module,
    data: Iterable[Batch],
    optimizer: Optimizer,
    scheduler: LRScheduler | None,
    label_smoothing: float,
) -> Epoch:
    """One pass with a step per batch; loss and accuracy are those met on the way."""
    model.train()
    loss_sum, hits, count = 0.0, 0, 0
    for inputs, labels in data:
        logits = model(inputs)
        loss = cross_entropy(logits, labels, label_smoothing=label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        # Sums stay on the device: reading them in each step would stall a GPU.
        loss_sum = loss_sum + loss.detach().double() * len(labels)
        hits = hits + (logits.detach().argmax(1) == labels).sum()
        count += len(labels)
    return Epoch(float(loss_sum) / count, int(hits) / count)


@torch.inference_mode()
def predict(model: nn.Module, data: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Run the network in evaluation mode.

    Returns
    -------
    logits : Tensor of float32, shape (n, classes), on the CPU
    labels : Tensor of int64, shape (n,), on the CPU
    """
    model.eval()
    pairs = [(model(inputs).cpu(), labels.cpu()) for inputs, labels in data]
    logits, labels = zip(*pairs, strict=True)
    return torch.cat(logits), torch.cat(labels)


def evaluate(model: nn.Module, data: Iterable[Batch]) -> tuple[Epoch, Tensor]:
    """Loss and accuracy in evaluation mode, and the logits they come from."""
    logits, labels = predict(model, data)
    loss = cross_entropy(logits.double(), labels)
    return Epoch(float(loss), float((logits.argmax(1) == labels).double().mean())), logits
