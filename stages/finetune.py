"""Fine-tune the pretrained ResNet-18 on the folds of the SimpleNN, and once on all images.

Reads the training images, their folds and the pretrained network. The layers in front of the
first trainable one are frozen: they run once per image, and only the rest is trained. Writes
the whole model, fitted on all images, and the same history and scores as `kfold_train`.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field
from torch import nn

from taller.data import dataset
from taller.models import resnet18, store, surgery
from taller.program import cli, params
from taller.program.params import Device, Seed, Threads
from taller.training import activations, numerics, seeds
from taller.training.batches import identity
from taller.training.cross_validation import cross_validate
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
    model: Path = Path("modelos/resnet18.pth"),
    results: Path = Path("resultados/resnet18"),
    cache: Path = Path(".cache"),
) -> None:
    place = numerics.choose_device(device)
    data = dataset.load(train)
    pretrained = store.load(base, {resnet18.NAME: resnet18})
    scaling = pretrained.scaling.suited(data.shape, params.image_size)
    arguments = {"classes": data.classes, "shape": data.shape}
    fresh = (resnet18.HEAD,) if params.stem == "sum_rgb" else (resnet18.STEM, resnet18.HEAD)

    torch.manual_seed(seeds.of_weights(seeds.of_fit(seed)))
    network = resnet18.build(**arguments)
    state = pretrained.network.state_dict()
    channels = data.shape[0]
    surgery.load(network, surgery.with_channels(state, resnet18.STEM, channels), new=fresh)
    frozen, trained = surgery.cut(network, params.trainable)
    pretrained_part = trained.state_dict()

    def fresh_part() -> nn.Module:
        _, part = surgery.cut(resnet18.build(**arguments), params.trainable)
        surgery.load(part, pretrained_part, new=fresh)
        return part

    def optimizer(part: nn.Module) -> torch.optim.Optimizer:
        rates = params.learning_rate, params.body_lr_factor
        groups = surgery.parameter_groups(part, resnet18.HEAD, *rates)
        return torch.optim.AdamW(groups, weight_decay=params.weight_decay, fused=True)

    recipe = Recipe(fresh_part, optimizer, params.epochs, params.schedule)
    with (
        numerics.threads(threads),
        activations.cached(
            frozen, data.images, scaling, device=place, folder=cache, limit=MEMORY_LIMIT
        ) as inputs,
    ):
        outcome = cross_validate(
            recipe, inputs, data.labels, np.load(folds),
            batch_size=params.batch_size, prepare=identity if len(frozen) else scaling,
            seed=seed, device=place, label=resnet18.NAME,
        )  # fmt: skip

    outcome.save(results)
    whole = frozen.cpu().state_dict() | outcome.state
    store.save(model, resnet18.NAME, arguments, scaling, data.names, whole)
    print(f"{resnet18.NAME}: {outcome}")


if __name__ == "__main__":
    cli.main(finetune)
