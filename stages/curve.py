"""Measure how right a contestant is that learns from fewer images: its learning curve.

Reads the training images, their folds and, of a fine-tuned contestant, its pretrained network. For
each size and each of the first folds the contestant is trained on so many of the images
outside the fold, drawn by class, and validated in it. The curve ends with all of them, which is
what cross-validation measures. Writes the scores; of a section that is gone, none.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from taller.common import files, numerics, params, stage
from taller.common.params import Device, Seed, Threads
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.training import checkpoint, contestants, engine, freezing, store
from taller.training.batches import Views
from taller.training.contestants import Halves
from taller.training.cross_validation import Training, cross_validate

TRAIN = Path("data/train")
COLUMNS = ["images", "repeat", "fold", "metric", "value"]
Folds = Annotated[int, Field(ge=2, le=50)]
Sizes = list[Annotated[int, Field(ge=50, le=10_000_000)]]


class Params(params.Section):
    sections: list[Annotated[str, Field(pattern=r"^(kfold_train|finetune)\.[a-z][a-z0-9_]*$")]]
    folds: Folds
    sizes: Sizes


def curve(section: str) -> None:
    sizes, seed = params.read("curve.sizes", Sizes), params.read("seed", Seed)
    threads, device = params.read("threads", Threads), params.read("device", Device)
    first, (kind, _, name) = params.read("curve.folds", Folds), section.partition(".")
    path = Path(f"resultados/curve/{section}.csv")
    if name not in params.load()[kind]:
        print(f"{section}: no such section in params.yaml, and so no curve")
        files.write_text(path, f"{','.join(COLUMNS)}\n")
        return
    data, folds = dataset.load(TRAIN), dataset.load_array(TRAIN / "folds.npy")
    device = engine.choose_device(device)
    if kind == "finetune":
        start, inputs, training_on = prepare_finetuning(
            section, data, len(folds), seed, device, threads
        )
    else:
        config, start, inputs = contestants.read_scratch(section), [], data.images

        def training_on(images: int) -> Training:
            return contestants.scratch_training(config, data, images, section, seed, device)

    most = len(data) - int(np.bincount(folds[0]).max())  # that every fold leaves to train on
    rows, checkpoints = [], None
    for size in sorted({*sizes}):
        if not data.classes <= size < most:
            fits = f"expected {data.classes}, the classes, to {most - 1}, as a fold leaves {most}"
            print(f"{section}: {size} images left out: {fits}", flush=True)
            continue
        training = replace(training_on(size), images=size, every_epoch=False)
        settings = {"config": training.config, "options": training.options, "threads": threads}
        checkpoints = checkpoint.of_stage(
            f"curve.{section}", [TRAIN, *start], seed=seed, device=device, images=size, **settings
        )
        outcome = cross_validate(
            training, inputs, data.labels, folds[0], limit=first,
            label=f"{section} on {size} images", checkpoints=checkpoints,
        )  # fmt: skip
        rows += [{"images": size, **row} for row in outcome.scores]

    with files.atomic_write(path) as file:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(file, index=False, float_format="%.8g")
    if checkpoints:
        checkpoints.remove()  # of all sizes


def prepare_finetuning(
    section: str, data: Dataset, repeats: int, seed: int, device: torch.device, threads: int
) -> tuple[list[Path], np.ndarray, Callable[[int], Training]]:
    """Where it starts, what its frozen layers make of all images, and how the others are trained.

    The last is a function of the number of images that they are trained on.
    """
    options = contestants.read_finetuning(section)
    start = Path(options[0].start)
    first = store.load_start(start, options[0].network, repeats, f"{section}.start")[0]
    options, scaling = contestants.suit(options, first, data, section)
    new_layers = numerics.weights_seed(numerics.fit_seed(seed))
    halves = Halves.of(first, options[0], data, scaling.size, new_layers)
    with engine.threads(threads):
        inputs = freezing.activations(halves.frozen, data.images, scaling, device)
    views = Views.of(data.images, scaling) if options[0].augment == "photographs" else None

    def training_on(images: int) -> Training:
        suited = contestants.with_min_steps(options, images, section)
        return halves.training(suited, scaling, views, data, seed, device)

    return [start], inputs, training_on


if __name__ == "__main__":
    stage.run(curve)
