"""Pretrain a network on drawn letters, and see how many of other fonts it reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from taller.data import glyphs
from taller.data.dataset import Dataset
from taller.models.scaling import Scaling
from taller.program import seeds
from taller.program.progress import bar
from taller.training import engine
from taller.training.batches import Batch, split
from taller.training.engine import Recipe
from taller.training.journal import Journal

# Black stays 0: the zeros that convolutions pad with then look like more of the empty page.
SCALING = Scaling(mean=(0.0,), std=(1.0,), size=(glyphs.SIDE, glyphs.SIDE))
HELD_OUT = 4000  # letters of other fonts, for the accuracy
PARTS = 10  # of the letters, after each of which training can be taken up again


@dataclass(frozen=True)
class Letters:
    """Batches of letters that are drawn as they are needed.

    Attributes
    ----------
    paths, classes : Tensor
        Of the glyphs to draw from, as `glyphs.draw` takes them.
    count, size : int
        Letters in all, and of a batch.
    label : str
        What the progress bar says.
    """

    paths: Tensor
    classes: Tensor
    count: int
    size: int
    label: str

    def __len__(self) -> int:
        """How many batches there are."""
        return len(split(self.count, self.size))

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """The letters that `seed` decides."""
        pen = torch.Generator(self.paths.device).manual_seed(seed)
        with bar(self.count, self.label, "letter") as shown:
            for count in split(self.count, self.size):
                images, labels = glyphs.draw(self.paths, self.classes, count, pen)
                yield SCALING(images), labels
                shown.update(count)


def parts(letters: Letters, count: int) -> list[Letters]:
    """Cut letters into `count` parts, or fewer, with the same batches.

    Parts of as many batches as fit: the sizes differ by one batch at most.
    """
    sizes = split(letters.count, letters.size)
    count = min(count, len(sizes))
    ends = [len(sizes) * part // count for part in range(count + 1)]
    return [
        replace(
            letters, count=sum(sizes[start:end]), label=f"{letters.label}, part {part} of {count}"
        )
        for part, (start, end) in enumerate(pairwise(ends), start=1)
    ]


@dataclass(frozen=True)
class Pretraining:
    """A network that knows letters.

    Attributes
    ----------
    network : Module
    names : list of str
        Of its classes, the shapes of letters: the first letter of each shape.
    accuracy : float
        Share of letters of other fonts that it recognises.
    """

    network: nn.Module
    names: list[str]
    accuracy: float


def pretrain(
    build: Callable[..., nn.Module],
    *,
    images: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    label_smoothing: float,
    seed: int,
    device: torch.device,
    journal: Journal | None = None,
    name: str = "letters",
) -> Pretraining:
    """Train a fresh network on letters, each drawn for it alone and seen once.

    It is one pass over them, in ten parts: an epoch of the engine each.

    Parameters
    ----------
    build : callable
        From the number of classes and the shape of an image to the network.
    images, batch_size : int
        Letters in all, and per step.
    learning_rate : float
        Peak of the one-cycle schedule; SGD with momentum 0.9.
    weight_decay, label_smoothing : float
        As in `torch.optim.SGD` (convolutions and matrices only) and `engine.Recipe`.
    journal : Journal, optional
        Keeps what each part has reached, under `name`, and from it training goes on.
    """
    paths, letters = glyphs.trace()
    shapes = glyphs.shapes(paths, letters)
    names = _names(shapes)
    drawn = Letters(paths.to(device), shapes[letters].to(device), images, batch_size, "letters")
    data = parts(drawn, PARTS)

    def optimizer(network: nn.Module) -> torch.optim.Optimizer:
        weights = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim == 1]
        return torch.optim.SGD(
            [{"params": weights, "weight_decay": weight_decay}, {"params": others}],
            learning_rate, momentum=0.9, nesterov=True, fused=True,
        )  # fmt: skip

    recipe = Recipe(
        make_model=lambda: build(classes=len(names), shape=(1, *SCALING.size)),
        make_optimizer=optimizer,
        epochs=len(data),
        schedule="one_cycle",
        label_smoothing=label_smoothing,
    )
    kept = journal and journal.of_fit(name, f"letters, {name}", len(data), "part")
    fit = engine.fit(recipe, data, seed=seed, device=device, kept=kept)

    paths, letters = glyphs.trace(glyphs.HELD_OUT_FONTS)
    known = shapes[letters] >= 0
    paths, classes = paths[known].to(device), shapes[letters[known]].to(device)
    others = Letters(paths, classes, HELD_OUT, batch_size, "other fonts")
    held_out, _ = engine.evaluate(fit.model, others.shuffled(seeds.of_order(seed, 0)))
    return Pretraining(fit.model, names, held_out.accuracy)


def sample(count: int, seed: int, first: str = "") -> Dataset:
    """Letters to look at, each as often as any other: its class is the letter itself.

    Parameters
    ----------
    first : str
        Letters to begin with; the others are drawn by chance.
    """
    paths, letters = glyphs.trace()
    pen, alphabet = torch.Generator().manual_seed(seed), glyphs.alphabet()
    wanted = [letters == alphabet.index(letter) for letter in first]
    drawn = [glyphs.draw(paths[one], letters[one], 1, pen) for one in wanted]
    drawn.append(glyphs.draw(paths, letters, count - len(drawn), pen))
    images, labels = (torch.cat(parts).numpy() for parts in zip(*drawn, strict=True))
    return Dataset(images, labels, tuple(alphabet))


def _names(shapes: Tensor) -> list[str]:
    """The first letter of each class that `glyphs.shapes` gave."""
    alphabet = glyphs.alphabet()
    return [alphabet[int((shapes == one).nonzero()[0])] for one in range(int(shapes.max()) + 1)]
