"""The engine: fit a network on batches. It knows no files, no plots and no architecture."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer, lr_scheduler

from taller.common import numerics
from taller.common.params import Section
from taller.common.terminal import UserError
from taller.training.batches import Batch, Batches
from taller.training.checkpoint import FitCheckpoint

Schedule = Literal["constant", "one_cycle"]


def integer_or(word: str, low: int, high: int) -> object:
    """The type of an integer from `low` to `high`, or of a word in its place."""

    def check(value: object) -> object:
        if value != word and not (type(value) is int and low <= value <= high):
            raise ValueError(f"{word}, or an integer from {low} to {high}")
        return value

    return Annotated[int | str, BeforeValidator(check)]


# Pixels of the longer side of a network's inputs: images are resized on the fly.
ImageSize = integer_or("auto", 16, 512)
WeightDecay = Annotated[float, Field(ge=0, le=100)]
Epochs = Annotated[int, Field(ge=1, le=1000)]


class TrainingConfig(Section):
    """How a network is trained on labelled images, whatever the network."""

    learning_rate: float = Field(gt=0, le=1)
    weight_decay: WeightDecay
    schedule: Schedule
    batch_size: int = Field(ge=2, le=8192)
    epochs: Epochs
    min_steps: int = Field(ge=0, le=1_000_000)
    augment: Literal["none", "photographs"]
    label_smoothing: float = Field(ge=0, lt=1)
    class_weights: Literal["none", "balanced"]

    def with_min_steps(self, images: int, label: str) -> Self:
        """The same, with the epochs that `min_steps` takes if they are more, which it prints.

        Of 1,000 images four epochs are sixty steps: enough for a last layer, not from scratch.
        """
        steps = -(-images // self.batch_size)
        epochs = max(self.epochs, -(-self.min_steps // steps))
        if epochs > self.epochs:
            print(
                f"{label}: {epochs} epochs instead of {self.epochs}: with {images} images "
                f"min_steps, {self.min_steps}, takes so many",
                flush=True,
            )
        return self.model_copy(update={"epochs": epochs})

    def optimizer(self, groups: Iterable) -> Optimizer:
        """AdamW (Loshchilov and Hutter, ICLR 2019, algorithm 2) of parameters, or groups of them.

        A group may have an ``lr`` of its own.
        """
        return torch.optim.AdamW(
            groups, self.learning_rate, weight_decay=self.weight_decay, fused=True
        )

    def weights(self, labels: Tensor, classes: int) -> Tensor | None:
        """How much each class counts in the loss: float32, shape (classes,), or None for all alike.

        n / (classes * images of the class), of `labels`, those of the images that it trains on.
        """
        if self.class_weights == "none":
            return None
        return len(labels) / (classes * torch.bincount(labels, minlength=classes).clamp(min=1))


@dataclass(frozen=True)
class Fit:
    """A trained network and how it got there.

    Attributes
    ----------
    history : list of dict
        Per epoch: ``epoch`` from 1, ``train_loss`` (mean cross-entropy, nats, with the label
        smoothing and class weights that are trained with) and ``train_accuracy`` (a fraction) over
        the batches as they were trained on (dropout on), and, where there is validation after the
        epoch, ``val_loss`` (without either) and ``val_accuracy``.
    """

    model: nn.Module
    history: list[dict[str, float]]
    logits: Tensor | None  # of the validation images after the last epoch, (m, classes)


def fit(
    build: Callable[[], nn.Module],
    make_optimizer: Callable[[nn.Module], Optimizer],
    data: Sequence[Batches],
    *,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
    validation: Iterable[Batch] | None = None,
    every_epoch: bool = True,
    on_epochs: Callable[[list[dict[str, float]]], None] = lambda rows: None,
    checkpoint: FitCheckpoint | None = None,
) -> Fit:
    """Train a fresh network, or go on with one that was interrupted.

    Parameters
    ----------
    build : callable
        Gives a fresh network; called under the fit's seed.
    make_optimizer : callable
        From the network to its optimizer, whose groups carry the (peak) learning rates.
    data : sequence of Batches
        Of each epoch: its ``len()`` is the number of batches, ``shuffled(seed)`` gives them.
    schedule : {"constant", "one_cycle"}
        Of the learning rates over the steps. One cycle: Smith and Topin (2018),
        Super-convergence, section 4, with the defaults of PyTorch's `OneCycleLR`.
    seed : int
        Decides the initial weights and, with the epoch's number alone, order and dropout.
    label_smoothing : float
        Share of the target, 0 to 1, spread over all classes.
    class_weights : Tensor of float32, shape (classes,), optional
        Of each image in a batch's mean loss, by its class.
    validation : iterable of batches, optional
        Gone through after every epoch, or after the last one alone.
    every_epoch : bool
        Which of the two.
    on_epochs : callable
        Called with the rows of the history that are new: of all epochs that it goes on from, then
        after each epoch.
    checkpoint : FitCheckpoint, optional
        Its ``save`` gets what each epoch has reached, its ``load`` gives it back: going on from
        there, the weights come out the same, bit for bit.
    """
    torch.manual_seed(numerics.weights_seed(seed))
    # In the memory layout that convolutions are fastest in; other layers are indifferent.
    model = build().to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(model)
    scheduler = _scheduler(schedule, optimizer, steps=sum(map(len, data)))
    resumable = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    history, logits, parameters = [], None, list(model.parameters())
    if checkpoint is not None and (reached := checkpoint.load()) is not None:
        for name, one in resumable.items():
            one.load_state_dict(reached[name])
        history, logits = reached["history"], reached["logits"]
        on_epochs([*history])
    for epoch in range(len(history) + 1, len(data) + 1):
        torch.manual_seed(numerics.noise_seed(seed, epoch))
        model.train()
        outputs = []
        for inputs, labels in data[epoch - 1].shuffled(numerics.order_seed(seed, epoch)):
            predicted = model(inputs)
            for parameter in parameters:  # as `zero_grad` does, in a tenth of its time
                parameter.grad = None
            loss = cross_entropy(predicted, labels, class_weights, label_smoothing=label_smoothing)
            loss.backward()
            optimizer.step()
            scheduler.step()
            outputs.append((predicted.detach(), labels))
        # Measured at the end: in each step that would stall a GPU, and takes time of its own.
        seen = map(torch.cat, zip(*outputs, strict=True))
        loss, accuracy = _measure(*seen, label_smoothing, class_weights)
        row = {"epoch": epoch, "train_loss": loss, "train_accuracy": accuracy}
        if validation is not None and (every_epoch or epoch == len(data)):
            loss, accuracy, logits = validate(model, validation)
            row |= {"val_loss": loss, "val_accuracy": accuracy}
        history.append(row)
        if checkpoint is not None:
            states = {name: one.state_dict() for name, one in resumable.items()}
            checkpoint.save({**states, "history": history, "logits": logits})
        on_epochs([row])
    return Fit(model, history, logits)


def _scheduler(schedule: Schedule, optimizer: Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    if schedule == "constant":
        return lr_scheduler.ConstantLR(optimizer, factor=1.0)
    peaks = [group["lr"] for group in optimizer.param_groups]
    return lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=steps, cycle_momentum=False)


def _measure(
    logits: Tensor, labels: Tensor, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> tuple[float, float]:
    weights = weights if weights is None else weights.double()
    loss = cross_entropy(logits.double(), labels, weights, label_smoothing=label_smoothing)
    return float(loss), float((logits.argmax(1) == labels).double().mean())


@torch.inference_mode()
def predict(model: nn.Module, inputs: Iterable[Tensor]) -> Tensor:
    """Run the network in evaluation mode: logits, float32, shape (n, classes), on the CPU."""
    model.eval()
    return torch.cat([model(part).cpu() for part in inputs])


@torch.inference_mode()
def validate(model: nn.Module, batches: Iterable[Batch]) -> tuple[float, float, Tensor]:
    """Loss and accuracy in evaluation mode, and the logits they come from."""
    model.eval()
    outputs = [(model(inputs).cpu(), labels.cpu()) for inputs, labels in batches]
    logits, labels = map(torch.cat, zip(*outputs, strict=True))
    return *_measure(logits, labels), logits


def choose_device(wanted: str) -> torch.device:
    """The device that ``device`` of params.yaml names; a `UserError` where there is none."""
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError(
            "params.yaml: device: expected cpu or auto (no GPU is usable here), found cuda"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with `count` threads inside the block: they decide the last bits of the weights.

    The order in which partial sums are added depends on their number, so it is a constant of the
    run, never the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
