"""This project's own training: of SimpleNN, and of ResNet-18's last layer.

Cross-validation is a repeat after the first, which would also fit on all images: nobody else does.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from benchmarks.work import DROPOUT, HIDDEN, RATE, SEED, Work, load_pretrained
from taller.networks import resnet18 as module
from taller.networks import simple_nn as simple
from taller.training import engine, freezing
from taller.training.batches import Scaling
from taller.training.cross_validation import Training, cross_validate

CPU, THREADS = torch.device("cpu"), 2  # as in params.yaml


def config(work: Work) -> engine.TrainingConfig:
    plain = {"augment": "none", "label_smoothing": 0.0, "class_weights": "none", "min_steps": 0}
    steps = {"learning_rate": RATE, "weight_decay": 0.0, "schedule": "constant"}
    return engine.TrainingConfig(**plain, **steps, batch_size=work.batch, epochs=work.epochs)


def cross_validate_simple_nn(work: Work) -> Sequence[float]:
    """Each fold's accuracy by SimpleNN, with the functions of `stages.kfold_train`."""
    data = work.data
    build = partial(simple.build, data.classes, data.shape, HIDDEN, DROPOUT)
    scaling = Scaling((0.5,), (0.5,), data.shape[1:])
    return accuracies(Training(config(work), build, SEED, CPU, prepare=scaling), work, data.images)


def simple_nn(work: Work) -> Callable[[], Sequence[float]]:
    return lambda: cross_validate_simple_nn(work)


def last_layer(work: Work) -> Callable[[], Sequence[float]]:
    """As `stages.finetune`: the frozen layers run once per image, features get one scale."""
    base, _, scaling = load_pretrained()

    def train() -> Sequence[float]:
        data, layers = work.data, [module.HEAD]
        frozen, head = freezing.cut(base.network, layers)
        build = partial(module.build, data.classes, data.shape)
        fresh = partial(freezing.rebuild, build, layers, head.state_dict(), layers)
        with engine.threads(THREADS):
            inputs = freezing.activations(frozen, data.images, scaling, CPU)
        training = Training(config(work), fresh, SEED, CPU, standardize=module.HEAD)
        return accuracies(training, work, inputs)

    return train


def accuracies(training: Training, work: Work, inputs: np.ndarray) -> Sequence[float]:
    outcome = cross_validate(training, inputs, work.data.labels, work.fold_of, repeat=1)
    return [row["value"] for row in outcome.scores if row["metric"] == "accuracy"]


def grow(axis: str, values: list[int]) -> Iterator[dict]:
    """Cross-validate SimpleNN at each value of one axis; of cores, as many as there are."""
    cores = sorted(os.sched_getaffinity(0))
    cross_validate_simple_nn(Work(1000, 1))  # what is done once flattens no slope
    for value in values:
        options = {"images": 12_000, "epochs": 1}
        if axis != "cores":
            options[axis] = value
        elif value <= len(cores):
            os.sched_setaffinity(0, cores[:value])
        else:
            break
        work = Work(**options)
        work.data, work.fold_of  # noqa: B018 (read and cut outside of what is timed)
        start = time.perf_counter()
        cross_validate_simple_nn(work)
        yield {"row": axis, "x": value, "seconds": time.perf_counter() - start}
