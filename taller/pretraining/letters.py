"""Pretrain a network on drawn letters, and test it on those of fonts that it has not seen."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType

import torch
from pydantic import Field
from torch import nn

from taller.common import numerics
from taller.common.params import Section
from taller.common.terminal import bar
from taller.datasets.dataset import Dataset
from taller.pretraining import glyphs
from taller.training import checkpoint, engine
from taller.training.batches import Batch, Scaling, split
from taller.training.checkpoint import Checkpoints

# Black stays 0: the zeros that convolutions pad with then look like more of the empty page.
SCALING = Scaling(mean=(0.0,), std=(1.0,), size=(glyphs.SIDE, glyphs.SIDE))
SHAPE = (1, *SCALING.size)
UNSEEN = 4000  # letters of unseen fonts, for the accuracy
DIGITS = "0123456789"
CHUNKS = 10  # of the letters; a checkpoint follows each


class LettersConfig(Section):
    """How a network learns letters; each is drawn for it alone and seen once."""

    # From 8,000 of the default batches letters are learnt; from half as many, hardly one in 100.
    images: int = Field(ge=8000, le=10_000_000)
    batch_size: int = Field(ge=2, le=8192)
    learning_rate: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1)
    label_smoothing: float = Field(ge=0, lt=1)

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """SGD with momentum; only convolutions and matrices decay."""
        weights = [one for one in network.parameters() if one.ndim > 1]
        others = [one for one in network.parameters() if one.ndim == 1]
        return torch.optim.SGD(
            [{"params": weights, "weight_decay": self.weight_decay}, {"params": others}],
            self.learning_rate, momentum=0.9, nesterov=True, fused=True,
        )  # fmt: skip


@dataclass(frozen=True)
class Letters:
    """Batches of letters, drawn as they are needed: of some fonts, labelled by their shapes."""

    fonts: tuple[str, ...]
    sizes: list[int]  # letters of each batch
    device: torch.device
    label: str  # of the progress bar
    scaling: Scaling

    def __len__(self) -> int:
        return len(self.sizes)

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """The batches, which `seed` alone decides."""
        paths, letters = glyphs.trace(self.fonts)
        classes = glyphs.shapes()[letters]
        known = classes >= 0
        paths, classes = paths[known].to(self.device), classes[known].to(self.device)
        pen = torch.Generator(self.device).manual_seed(seed)
        with bar(sum(self.sizes), self.label, "letter") as progress:
            for size in self.sizes:
                images, labels = glyphs.draw(paths, classes, size, pen)
                yield self.scaling(images), labels
                progress.update(size)


def pretrain(
    build: Callable[[], nn.Module],
    config: LettersConfig,
    seed: int,
    device: torch.device,
    checkpoints: Checkpoints | None = None,
    label: str = "letters",
    scaling: Scaling = SCALING,
) -> tuple[nn.Module, float]:
    """Train a fresh network on letters: one pass, of which each part is an epoch of the engine.

    Returns it, and the share of letters of unseen fonts that it recognises.

    Parameters
    ----------
    build : callable
        Gives a network of as many classes as there are `names`, for images of `SHAPE`.
    checkpoints : Checkpoints, optional
        Where each part is saved, under `label`, to go on from.
    """
    batches = split(config.images, config.batch_size)
    count = min(CHUNKS, len(batches))
    ends = [len(batches) * part // count for part in range(count + 1)]
    parts = [
        Letters(
            glyphs.FONTS, batches[start:end], device, f"letters, part {part} of {count}", scaling
        )
        for part, (start, end) in enumerate(pairwise(ends), start=1)
    ]
    fit = engine.fit(
        build, config.optimizer, parts, schedule="one_cycle", seed=seed, device=device,
        label_smoothing=config.label_smoothing,
        on_epochs=lambda rows: checkpoint.log_live(f"letters, {label}", rows),
        checkpoint=checkpoints and checkpoints.of_fit(label, f"letters, {label}", count, "part"),
    )  # fmt: skip
    sizes = split(UNSEEN, config.batch_size)
    unseen = Letters(glyphs.UNSEEN_FONTS, sizes, device, "unseen fonts", scaling)
    _, accuracy, _ = engine.validate(fit.model, unseen.shuffled(numerics.order_seed(seed, 0)))
    return fit.model, accuracy


def scaling_for(module: ModuleType) -> Scaling:
    """The scaling for a network that learns letters: its module's own, if it is for any channels.

    A network of that kind sees what it is tuned on later in the same scaling.
    """
    one = len(getattr(module, "MEAN", ())) == 1
    return Scaling(module.MEAN, module.STD, SCALING.size) if one else SCALING


def names() -> list[str]:
    """The names of the classes, which are shapes: the first letter of each."""
    shapes, alphabet = glyphs.shapes().tolist(), glyphs.alphabet()
    return [alphabet[shapes.index(shape)] for shape in range(max(shapes) + 1)]


def describe() -> dict[str, object]:
    """What the letters are, and which of them look like digits, whoever learns them."""
    return {
        "letters": int((glyphs.shapes() >= 0).sum()),
        "shapes": len(names()),
        "alphabets": list(glyphs.ALPHABETS),
        "alike": glyphs.ALIKE,
        "look_alikes": glyphs.look_alikes(DIGITS),
    }


def sample(seed: int, count: int = 100) -> Dataset:
    """Letters to look at, labelled as such: first those most like the digits, then any."""
    (paths, letters), alphabet = glyphs.trace(glyphs.FONTS), glyphs.alphabet()
    pen = torch.Generator().manual_seed(seed)
    first = [alphabet.index(row["letters"][0]) for row in glyphs.look_alikes(DIGITS)]
    draws = [glyphs.draw(paths[letters == one], letters[letters == one], 1, pen) for one in first]
    draws.append(glyphs.draw(paths, letters, count - len(draws), pen))
    images, labels = (torch.cat(parts).numpy() for parts in zip(*draws, strict=True))
    return Dataset(images, labels, tuple(alphabet))
