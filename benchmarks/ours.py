"""This project's own training: of SimpleNN, of ResNet-18's last layer, and what they could do.

Cross-validation is a repeat after the first, which would also fit on all images: nobody else does.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from benchmarks.work import DROPOUT, HIDDEN, RATE, SEED, Work, pretrained
from taller.networks import resnet18 as module
from taller.networks import simple_nn as simple
from taller.training import engine, freezing
from taller.training.batches import Scaling
from taller.training.cross_validation import Training, cross_validate

CPU, THREADS = torch.device("cpu"), 2  # as in params.yaml
Product = Callable[[], object]


def config(work: Work) -> engine.TrainingConfig:
    plain = {"augment": "none", "label_smoothing": 0.0, "class_weights": "none", "min_steps": 0}
    steps = {"learning_rate": RATE, "weight_decay": 0.0, "schedule": "constant"}
    return engine.TrainingConfig(**plain, **steps, batch_size=work.batch, epochs=work.epochs)


def validated(work: Work) -> Sequence[float]:
    """Each fold's accuracy by SimpleNN, with the functions of `stages.kfold_train`."""
    data = work.data
    build = partial(simple.build, data.classes, data.shape, HIDDEN, DROPOUT)
    scaling = Scaling((0.5,), (0.5,), data.shape[1:])
    return accuracies(Training(config(work), build, SEED, CPU, prepare=scaling), work, data.images)


def simple_nn(work: Work) -> Callable[[], Sequence[float]]:
    return lambda: validated(work)


def last_layer(work: Work) -> Callable[[], Sequence[float]]:
    """As `stages.finetune`: the frozen layers run once per image, features get one scale."""
    base, _, scaling = pretrained()

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
    outcome = cross_validate(training, inputs, work.data.labels, work.assigned, repeat=1)
    return [row["value"] for row in outcome.scores if row["metric"] == "accuracy"]


def grown(axis: str, values: list[int]) -> Iterator[dict]:
    """Cross-validate SimpleNN at each value of one axis; of cores, as many as there are."""
    cores = sorted(os.sched_getaffinity(0))
    validated(Work(1000, 1))  # what is done once flattens no slope
    for value in values:
        options = {"images": 12_000, "epochs": 1}
        if axis != "cores":
            options[axis] = value
        elif value <= len(cores):
            os.sched_setaffinity(0, cores[:value])
        else:
            break
        work = Work(**options)
        work.data, work.assigned  # noqa: B018 (read and cut outside of what is timed)
        start = time.perf_counter()
        validated(work)
        yield {"row": axis, "x": value, "seconds": time.perf_counter() - start}


def simple_share() -> Iterator[dict]:
    """What the products of SimpleNN's training and validation alone take of its time."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    work = Work(images=6400, epochs=4, folds=2)
    network = simple.build(10, work.data.shape, HIDDEN, DROPOUT)
    work.splits  # noqa: B018 (cut outside of what is timed)
    step, inference = (
        products(network, work.data.shape, work.batch, train) for train in (True, False)
    )
    steps = work.images * work.epochs / work.batch  # on two folds, and as much validation
    yield share(lambda: validated(work), lambda: steps * (seconds(step) + seconds(inference)))


def frozen_share() -> Iterator[dict]:
    """Of one pass through the layers that fine-tuning freezes, what the convolutions take."""
    base, _, scaling = pretrained()
    data, (frozen, _) = Work(1000, 1).data, freezing.cut(base.network, (module.HEAD,))
    convolutions = products(frozen, data.shape, freezing.BATCH, train=False)
    yield share(
        lambda: freezing.activations(frozen, data.images, scaling, CPU),
        lambda: len(data) / freezing.BATCH * seconds(convolutions),
    )


def share(ours: Callable[[], object], least: Callable[[], float]) -> dict:
    """Time ours in one thread, and what it could not do without."""
    with engine.threads(1):
        start = time.perf_counter()
        ours()
        taken = time.perf_counter() - start
        return {"seconds": taken, "share": least() / taken}


def products(
    network: nn.Module, shape: Sequence[int], batch: int, train: bool
) -> list[list[Product]]:
    """The products of a batch (in training, with both gradients), each in the ways to compute it.

    Of convolutions PyTorch's own, forward alone, on channels that lie together.
    """
    operations: list[list[Product]] = []

    def hook(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        given, weight, gradient = inputs[0].clone(), layer.weight.detach(), torch.rand_like(output)
        if isinstance(layer, nn.Conv2d):
            operations.append(
                [partial(torch.conv2d, given, weight, None, layer.stride, layer.padding)]
            )
            return
        pairs = [(given, weight.t())]
        if train:  # the first layer's inputs need no gradient
            pairs += [(gradient.t(), given), *([(gradient, weight)] if operations else [])]
        for left, right in pairs:
            left, right = left.contiguous(), right.contiguous()
            operations.append(
                [partial(torch.mm, left, right), partial(np.matmul, left.numpy(), right.numpy())]
            )

    network = network.to(memory_format=torch.channels_last).train(train)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(hook)
    with torch.no_grad():
        network(torch.rand(batch, *shape).to(memory_format=torch.channels_last))
    for layer in network.modules():
        layer._forward_hooks.clear()
    return operations


def seconds(operations: Sequence[Sequence[Product]]) -> float:
    """All of them, one after another, each by its fastest way: medians, in one thread."""
    return sum(
        min(Timer("way()", globals={"way": way}).blocked_autorange().median for way in ways)
        for ways in operations
    )
