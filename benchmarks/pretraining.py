"""Pretraining on letters, drawn, trained on and at the end those of other fonts read."""

import time
from collections.abc import Iterator

import torch

from benchmarks.work import SEED
from taller.models import resnet18
from taller.training import letters, numerics

# As in params.yaml.
RECIPE = {
    "batch_size": 128, "learning_rate": 0.2, "weight_decay": 0.0005, "label_smoothing": 0.1
}  # fmt: skip
THREADS = 2
OTHERS = 500  # letters that are read at the end: 4000 take as long as the training that is measured


def pretrained(images: int) -> Iterator[dict]:
    letters.HELD_OUT = OTHERS
    start = time.perf_counter()
    with numerics.threads(THREADS):
        known = letters.pretrain(
            resnet18.build, images=images, seed=SEED, device=torch.device("cpu"), **RECIPE
        )
    yield {"images": images, "seconds": time.perf_counter() - start, "accuracy": known.accuracy}
