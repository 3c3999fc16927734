"""Fine-tune the pretrained network on the folds of the other networks, and once on all images.

Reads the training images, their folds and a pretrained network for each repeat. The layers in front
of the first trainable one are frozen: they run once per image, and only the rest is trained. Writes
the whole model, fitted on all images, and the same history, scores and facts as `kfold_train`.
"""

from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import nn

from taller.data import dataset, splits
from taller.data.dataset import Dataset
from taller.data.origin import Network
from taller.models import backbones, bases, store, surgery
from taller.models.scaling import Scaling
from taller.models.store import Classifier
from taller.program import files, params, reading, seeds
from taller.program.errors import Problem
from taller.program.params import Device, Seed, Threads
from taller.training import cost, facts, journal, length, numerics, processes
from taller.training.adamw import AdamW
from taller.training.batches import identity
from taller.training.cross_validation import CrossValidation, joined
from taller.training.engine import Recipe

# Activations beyond this many bytes are kept in a file rather than in memory.
MEMORY_LIMIT = 256 * 2**20
# ImageNet's networks see next to nothing in the 28 pixels of MNIST, and were not made for more
# than 224.
IMAGENET_PIXELS, MOST_PIXELS = 112, 224


def trainable_parts(names: object) -> tuple[str, ...] | Literal["all"]:
    """What one of the networks has; of the one that is used, `of_network` makes sure."""
    parts = dict.fromkeys(part for module in backbones.ALL.values() for part in module.PARTS)
    heads = {module.HEAD for module in backbones.ALL.values()}
    ordered = sorted(parts, key=lambda part: part in heads)
    return "all" if names == "all" else surgery.chosen_parts(names, ordered, ordered[-1])


def pixels(size: object) -> int | Literal["auto"]:
    if size != "auto" and not (type(size) is int and 16 <= size <= 512):
        raise ValueError("auto, or an integer from 16 to 512")
    return size


class Params(params.Section):
    trainable: Annotated[tuple[str, ...] | Literal["all"], BeforeValidator(trainable_parts)]
    stem: Literal["sum_rgb", "random"]
    image_size: Annotated[int | Literal["auto"], BeforeValidator(pixels)]
    learning_rate: float = Field(gt=0, le=1)
    body_lr_factor: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1)
    schedule: Literal["constant", "one_cycle"]
    batch_size: int = Field(ge=2, le=8192)
    epochs: int = Field(ge=1, le=1000)
    min_steps: int = Field(ge=0, le=1_000_000)


def finetune(
    params: Params,
    network: Network,
    seed: Seed,
    threads: Threads,
    device: Device,
    train: Path = Path("data/processed/train.npz"),
    folds: Path = Path("data/processed/folds.npy"),
    models: Path = Path("modelos"),
    results: Path = Path("resultados"),
    cache: Path = Path(".cache"),
) -> None:
    place = processes.choose_device(device)
    data = dataset.load(train)
    assigned = splits.load(folds, len(data))
    base, others = bases.places(models, network)
    starts = bases.load(base, others, len(assigned))
    module = backbones.ARCHITECTURES[starts[0].architecture]
    params = length.enough(params, len(data), module.NAME)
    params = of_network(params, module, data, starts[0].scaling)
    scaling = starts[0].scaling.suited(data.shape, params.image_size)
    kept = journal.of_stage(
        "finetune", cache / "journal", [train, folds, base, others],
        params=params, seed=seed, threads=threads, device=place, processes=processes.count(),
    )  # fmt: skip
    processes.check(kept.key, assigned, params.batch_size)
    repeats = []
    with processes.fits_at_once(place):
        for repeat, start in enumerate(starts):
            torch.manual_seed(seeds.of_weights(seeds.of_fit(seed, repeat)))
            whole = starting_point(module, start, data, params)
            frozen, trained = surgery.cut(whole, params.trainable)
            with (
                numerics.threads(threads),
                processes.cached(
                    frozen, data.images, scaling, device=place, folder=cache, limit=MEMORY_LIMIT
                ) as inputs,
            ):
                outcome = processes.cross_validate(
                    recipe(module, trained, data, params), inputs, data.labels, assigned[repeat],
                    batch_size=params.batch_size, prepare=identity if len(frozen) else scaling,
                    # A layer that is trained in front of the head would change its inputs' scale.
                    standardize=params.trainable == (module.HEAD,),
                    seed=seed, repeat=repeat, device=place, label=module.NAME,
                    journal=kept,
                )  # fmt: skip
            repeats.append(outcome)
            if repeat == 0:
                state = frozen.cpu().state_dict() | outcome.raw_state(module.HEAD)
                told = facts_of(module, whole, frozen, trained, outcome, data, scaling, params)

    if not processes.is_first():
        return
    joined(repeats).save(results / network)
    files.write_json(results / network / "fit.json", told)
    arguments = {"classes": data.classes, "shape": data.shape}
    store.save(models / f"{network}.pth", module.NAME, arguments, scaling, data.names, state)
    kept.forget()
    print(f"{module.NAME}: {joined(repeats)}")


def of_network(params: Params, module: ModuleType, data: Dataset, base: Scaling) -> Params:
    """The same params, with what hangs on the network decided: its parts, and the pixels.

    Parameters
    ----------
    base : Scaling
        What the network was pretrained on.

    Raises
    ------
    Problem
        Where the network has no such parts.
    """
    size = params.image_size
    if size == "auto":
        least = IMAGENET_PIXELS if base.size == module.IMAGENET.size else 1
        size = min(max(*data.shape[1:], least), MOST_PIXELS)
    return params.model_copy(update={"trainable": parts_of(params, module), "image_size": size})


def parts_of(params: Params, module: ModuleType) -> tuple[str, ...]:
    """The parts of the network that are trained, in its order."""
    names = params.trainable
    chosen = names if isinstance(names, str) else list(names)
    try:
        return surgery.chosen_parts(chosen, module.PARTS, module.HEAD)
    except ValueError as error:
        raise Problem(
            f"params.yaml: finetune.trainable: expected of {module.NAME} {error}, "
            f"found {reading.shown(chosen)}"
        ) from None


def starting_point(
    module: ModuleType, base: Classifier, data: Dataset, params: Params
) -> nn.Sequential:
    """The pretrained network, with a fresh head and, where asked for, a fresh stem."""
    network = module.build(data.classes, data.shape)
    state = surgery.with_channels(base.network.state_dict(), module.STEM, data.shape[0])
    surgery.load(network, state, new=fresh(module, params))
    return network


def fresh(module: ModuleType, params: Params) -> tuple[str, ...]:
    return (module.HEAD,) if params.stem == "sum_rgb" else (module.STEM, module.HEAD)


def recipe(module: ModuleType, trained: nn.Module, data: Dataset, params: Params) -> Recipe:
    """How the part of the network that is not frozen is trained, from `trained` on."""
    start = trained.state_dict()

    def make_model() -> nn.Module:
        _, part = surgery.cut(module.build(data.classes, data.shape), params.trainable)
        surgery.load(part, start, new=fresh(module, params))
        return part

    def make_optimizer(part: nn.Module) -> AdamW:
        rates = params.learning_rate, params.body_lr_factor
        groups = surgery.parameter_groups(part, module.HEAD, *rates)
        return AdamW(groups, params.learning_rate, params.weight_decay)

    return Recipe(make_model, make_optimizer, params.epochs, params.schedule)


def facts_of(
    module: ModuleType,
    network: nn.Module,
    frozen: nn.Module,
    trained: nn.Module,
    outcome: CrossValidation,
    data: Dataset,
    scaling: Scaling,
    params: Params,
) -> dict[str, object]:
    """How it was trained and what it cost: frozen layers once per image, the rest every epoch."""
    image = (data.shape[0], *scaling.size)
    answer = cost.count(network, image).answer
    step = cost.count(trained, cost.output_shape(frozen, image)).step
    once = cost.count(frozen, image).answer
    return facts.of_fit(
        network, params, outcome.trained_parameters,
        answer=answer, training=len(data) * (once + params.epochs * step),
        trained=params.trainable,
        frozen=tuple(part for part in module.PARTS if part not in params.trainable),
    )  # fmt: skip


if __name__ == "__main__":
    processes.main(finetune)
