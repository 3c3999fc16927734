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

from taller.data import dataset
from taller.models import resnet18
from taller.models.scaling import Scaling
from taller.program import cli, params
from taller.program.params import Device, Seed, Threads
from taller.training import activations, engine
from taller.training.cross_validation import cross_validate
from taller.training.engine import Recipe, choose_device, identity

# Activations beyond this many bytes are kept in a file rather than in memory.
MEMORY_LIMIT = 256 * 2**20


class Params(params.Section):
    trainable: Annotated[tuple[str, ...], BeforeValidator(resnet18.trainable_children)]
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
    place = choose_device(device)
    images, labels = dataset.load(train)
    pretrained = torch.load(base, weights_only=True)
    scaling = Scaling(**pretrained["scaling"] | {"size": params.image_size})

    torch.manual_seed(seed)
    fresh = ("conv1", "fc") if params.stem == "random" else ("fc",)
    network = resnet18.build()
    resnet18.load(network, pretrained["state_dict"], new=fresh)
    frozen, trained = resnet18.cut(network, params.trainable)
    if "fc" not in params.trainable:
        print("finetune.trainable: fc is not among them: the last layer stays random")
    pretrained_part = trained.state_dict()

    def fresh_part() -> torch.nn.Module:
        _, part = resnet18.cut(resnet18.build(), params.trainable)
        resnet18.load(part, pretrained_part, new=fresh)
        return part

    def optimizer(part: torch.nn.Module) -> torch.optim.Optimizer:
        groups = resnet18.parameter_groups(part, params.learning_rate, params.body_lr_factor)
        return torch.optim.AdamW(groups, weight_decay=params.weight_decay, fused=True)

    with (
        engine.threads(threads),
        activations.cached(
            frozen, images, scaling, device=place, folder=cache, limit=MEMORY_LIMIT
        ) as inputs,
    ):
        recipe = Recipe(
            make_model=fresh_part,
            make_optimizer=optimizer,
            epochs=params.epochs,
            batch_size=params.batch_size,
            schedule=params.schedule,
            prepare=identity if len(frozen) else scaling,
        )
        outcome = cross_validate(
            recipe, inputs, labels, np.load(folds), seed=seed, device=place, label="ResNet-18"
        )

    outcome.save(results)
    network.cpu().load_state_dict(frozen.state_dict() | outcome.state)
    model.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "architecture": "ResNet18",
            "arguments": {},
            "scaling": scaling.as_dict(),
            "state_dict": network.state_dict(),
        },
        model,
    )
    print(f"ResNet-18: {outcome}")


if __name__ == "__main__":
    cli.main(finetune)
