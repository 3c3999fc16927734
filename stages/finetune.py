"""Fine-tune the pretrained ResNet-18 on the folds of the other networks, and once on all images.

Reads the training images, their folds and a pretrained network for each repeat. The layers in front
of the first trainable one are frozen: they run once per image, and only the rest is trained. Writes
the whole model, fitted on all images, and the same history, scores and facts as `kfold_train`.
"""

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import nn

from taller.data import dataset, splits
from taller.data.dataset import Dataset
from taller.models import bases, resnet18, store, surgery
from taller.models.scaling import Scaling
from taller.models.store import Classifier
from taller.program import cli, files, params, seeds
from taller.program.params import Device, Seed, Threads
from taller.training import activations, cost, facts, journal, numerics
from taller.training.batches import identity
from taller.training.cross_validation import CrossValidation, cross_validate, joined
from taller.training.engine import Recipe

# Activations beyond this many bytes are kept in a file rather than in memory.
MEMORY_LIMIT = 256 * 2**20


def trainable_parts(names: object) -> tuple[str, ...]:
    return surgery.chosen_parts(names, resnet18.PARTS, resnet18.HEAD)


class Params(params.Section):
    trainable: Annotated[tuple[str, ...], BeforeValidator(trainable_parts)]
    stem: Literal["sum_rgb", "random"]
    image_size: Literal[28, 32, 64, 224]
    learning_rate: float = Field(gt=0, le=1)
    body_lr_factor: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1)
    schedule: Literal["constant", "one_cycle"]
    batch_size: int = Field(ge=2, le=8192)
    epochs: int = Field(ge=1, le=1000)


def finetune(
    params: Params,
    seed: Seed,
    threads: Threads,
    device: Device,
    train: Path = Path("data/processed/train.npz"),
    folds: Path = Path("data/processed/folds.npy"),
    base: Path = Path("modelos/resnet18_base.pth"),
    others: Path = Path("modelos/resnet18_bases"),
    model: Path = Path("modelos/resnet18.pth"),
    results: Path = Path("resultados/resnet18"),
    cache: Path = Path(".cache"),
) -> None:
    place = numerics.choose_device(device)
    data = dataset.load(train)
    assigned = splits.load(folds, len(data))
    starts = bases.load(base, others, len(assigned))
    scaling = starts[0].scaling.suited(data.shape, params.image_size)
    kept = journal.of_stage(
        "finetune", cache / "journal", [train, folds, base, others],
        params=params, seed=seed, threads=threads, device=place,
    )  # fmt: skip
    repeats = []
    for repeat, start in enumerate(starts):
        torch.manual_seed(seeds.of_weights(seeds.of_fit(seed, repeat)))
        network = starting_point(start, data, params)
        frozen, trained = surgery.cut(network, params.trainable)
        with (
            numerics.threads(threads),
            activations.cached(
                frozen, data.images, scaling, device=place, folder=cache, limit=MEMORY_LIMIT
            ) as inputs,
        ):
            outcome = cross_validate(
                recipe(trained, data, params), inputs, data.labels, assigned[repeat],
                batch_size=params.batch_size, prepare=identity if len(frozen) else scaling,
                # A layer that is trained in front of the head would change its inputs' scale.
                standardize=params.trainable == (resnet18.HEAD,),
                seed=seed, repeat=repeat, device=place, label=resnet18.NAME,
                journal=kept,
            )  # fmt: skip
        repeats.append(outcome)
        if repeat == 0:
            whole = frozen.cpu().state_dict() | outcome.raw_state(resnet18.HEAD)
            told = facts_of(network, frozen, trained, outcome, data, scaling, params)

    joined(repeats).save(results)
    files.write_json(results / "fit.json", told)
    arguments = {"classes": data.classes, "shape": data.shape}
    store.save(model, resnet18.NAME, arguments, scaling, data.names, whole)
    kept.forget()
    print(f"{resnet18.NAME}: {joined(repeats)}")


def starting_point(base: Classifier, data: Dataset, params: Params) -> nn.Sequential:
    """The pretrained network, with a fresh head and, where asked for, a fresh stem."""
    network = resnet18.build(data.classes, data.shape)
    state = surgery.with_channels(base.network.state_dict(), resnet18.STEM, data.shape[0])
    surgery.load(network, state, new=fresh(params))
    return network


def fresh(params: Params) -> tuple[str, ...]:
    return (resnet18.HEAD,) if params.stem == "sum_rgb" else (resnet18.STEM, resnet18.HEAD)


def recipe(trained: nn.Module, data: Dataset, params: Params) -> Recipe:
    """How the part of the network that is not frozen is trained, from `trained` on."""
    start = trained.state_dict()

    def make_model() -> nn.Module:
        _, part = surgery.cut(resnet18.build(data.classes, data.shape), params.trainable)
        surgery.load(part, start, new=fresh(params))
        return part

    def make_optimizer(part: nn.Module) -> torch.optim.Optimizer:
        rates = params.learning_rate, params.body_lr_factor
        groups = surgery.parameter_groups(part, resnet18.HEAD, *rates)
        return torch.optim.AdamW(groups, weight_decay=params.weight_decay, fused=True)

    return Recipe(make_model, make_optimizer, params.epochs, params.schedule)


def facts_of(
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
        frozen=tuple(part for part in resnet18.PARTS if part not in params.trainable),
    )  # fmt: skip


if __name__ == "__main__":
    cli.main(finetune)
