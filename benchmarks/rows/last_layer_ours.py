"""This project's fine-tuning of the last layer, with the functions of `stages.finetune`.

The frozen layers run once per image; the features are given the same scale, as in the stage.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.base import pretrained, scaling
from benchmarks.rows.ours import accuracies
from benchmarks.work import RATE, SEED, Work
from stages import finetune
from taller.models import backbones, surgery
from taller.training import activations, cluster, numerics
from taller.training.cross_validation import cross_validate

CPU = torch.device("cpu")
THREADS = 2  # as in params.yaml, and as PyTorch takes on two cores


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    base = pretrained()
    module = backbones.ARCHITECTURES[base.architecture]
    params = finetune.Params(
        trainable=[module.HEAD], stem="sum_rgb", image_size=28, learning_rate=RATE,
        body_lr_factor=1.0, weight_decay=0.0, schedule="constant", batch_size=work.batch,
        epochs=work.epochs, min_steps=0,
    )  # fmt: skip

    def train() -> Sequence[float]:
        data = work.data
        torch.manual_seed(SEED)
        whole = finetune.starting_point(module, base, data, params)
        frozen, trained = surgery.cut(whole, params.trainable)
        with (
            tempfile.TemporaryDirectory() as folder,
            numerics.threads(THREADS),
            cluster.fits_at_once(CPU),
            activations.cached(
                frozen, data.images, scaling(base), device=CPU, folder=Path(folder),
                limit=finetune.MEMORY_LIMIT,
            ) as inputs,
        ):  # fmt: skip
            # The first repeat would also fit on all images, which nobody else here does.
            outcome = cross_validate(
                finetune.recipe(module, trained, data, params), inputs, data.labels, work.assigned,
                batch_size=work.batch, standardize=True, seed=SEED, repeat=1, device=CPU,
            )  # fmt: skip
        return accuracies(outcome)

    return train
