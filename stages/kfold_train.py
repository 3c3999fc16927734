"""Train the workshop's SimpleNN from scratch: on every fold, and once on all images.

Reads the training images and their folds. Writes the model fitted on all of them, and, from
the folds, the history of losses and the validation scores.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from taller.data import dataset
from taller.models import simple_nn, store
from taller.models.scaling import Scaling
from taller.program import cli, params
from taller.program.params import Device, Seed
from taller.training.cross_validation import cross_validate
from taller.training.engine import Recipe
from taller.training.numerics import choose_device


class Params(params.Section):
    hidden: list[Annotated[int, Field(ge=1, le=4096)]] = Field(min_length=1, max_length=8)
    dropout: float = Field(ge=0, lt=1)
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0, le=1)
    schedule: Literal["constant", "one_cycle"]
    batch_size: int = Field(ge=2, le=8192)
    epochs: int = Field(ge=1, le=1000)


def kfold_train(
    params: Params,
    seed: Seed,
    device: Device,
    train: Path = Path("data/processed/train.npz"),
    folds: Path = Path("data/processed/folds.npy"),
    model: Path = Path("modelos/simple_nn.pth"),
    results: Path = Path("resultados/simple_nn"),
) -> None:
    place = choose_device(device)
    data = dataset.load(train)
    arguments = {
        "classes": data.classes,
        "shape": data.shape,
        "hidden": params.hidden,
        "dropout": params.dropout,
    }
    scaling = Scaling(mean=(0.5,), std=(0.5,), size=data.shape[1:])  # the workshop's
    recipe = Recipe(
        make_model=lambda: simple_nn.build(**arguments),
        # With no weight decay AdamW is Adam, the workshop's optimizer.
        make_optimizer=lambda network: torch.optim.AdamW(
            network.parameters(), params.learning_rate, weight_decay=params.weight_decay, fused=True
        ),
        epochs=params.epochs,
        schedule=params.schedule,
    )
    outcome = cross_validate(
        recipe, data.images, data.labels, np.load(folds),
        batch_size=params.batch_size, prepare=scaling, seed=seed, device=place,
        label=simple_nn.NAME,
    )  # fmt: skip

    outcome.save(results)
    store.save(model, simple_nn.NAME, arguments, scaling, data.names, outcome.state)
    print(f"{simple_nn.NAME}: {outcome}")


if __name__ == "__main__":
    cli.main(kfold_train)
