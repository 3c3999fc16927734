"""What the machine can: the products and convolutions of our networks alone, against our steps.

In one thread, our training and the bare operations in turn. Of a linear layer these are products of
matrices (forward, the weights' gradient and, but for the first layer, the inputs'), by the fastest
of MKL, oneDNN and NumPy's OpenBLAS; of a convolution what PyTorch calls for it, on channels that
lie together.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.base import pretrained, scaling
from benchmarks.pretraining import RECIPE
from benchmarks.rows import ours
from benchmarks.work import DROPOUT, HIDDEN, SEED, Work
from taller.data import glyphs
from taller.models import layers, resnet18, simple_nn
from taller.program import portable
from taller.training import activations, cost, engine, letters, numerics
from taller.training.engine import Recipe

CPU = torch.device("cpu")
REPEATS = 5, 20  # of each operation, of which the median counts: at least, and at most
LONG = 0.05  # seconds, after which the least will do
Operation = Callable[[], object]


def simple_net(work: dict, rounds: int) -> Iterator[dict]:
    """SimpleNN's cross-validation in this process, with two folds and as much validation."""
    work = Work(**work)
    shape, network = work.data.shape, simple_nn.build(10, work.data.shape, HIDDEN, DROPOUT)
    step, answer = (alone(network, shape, work.batch, train) for train in (True, False))
    counted = cost.count(network, shape)
    validated = work.images * work.epochs
    flops = work.trained * counted.step + validated * counted.answer
    steps, answers = work.trained / work.batch, validated / work.batch
    work.splits  # noqa: B018 (cut outside of what is timed)
    yield from shares(
        lambda: ours.validated(work, ours.at_once(1), repeat=1),
        lambda: steps * seconds(step) + answers * seconds(answer),
        images=work.trained, flops=flops, rounds=rounds,
    )  # fmt: skip


def pretraining(images: int, rounds: int) -> Iterator[dict]:
    """ResNet-18's training steps on letters that are drawn for them."""
    paths, labels = glyphs.trace()
    shapes = glyphs.shapes(paths, labels)
    classes, shape, batch = int(shapes.max()) + 1, (1, *letters.SCALING.size), RECIPE["batch_size"]
    drawn = letters.Letters(paths, shapes[labels], images, batch, "letters")
    network = resnet18.build(classes, shape)
    step = alone(network, shape, batch, train=True)

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            model.parameters(), RECIPE["learning_rate"], momentum=0.9, nesterov=True, fused=True
        )

    recipe = Recipe(partial(resnet18.build, classes, shape), optimizer, epochs=1)
    yield from shares(
        lambda: engine.fit(recipe, drawn, seed=SEED, device=CPU),
        lambda: images * seconds(step) / batch,
        images=images, flops=images * cost.count(network, shape).step, rounds=rounds,
    )  # fmt: skip


def frozen(work: dict, rounds: int) -> Iterator[dict]:
    """One pass through the layers that fine-tuning keeps."""
    data, base = Work(**work).data, pretrained()
    network, shape = base.network[:-1], (1, 28, 28)
    operations = alone(network, shape, activations.BATCH, train=False)

    def once() -> None:
        with activations.cached(
            network, data.images, scaling(base), device=CPU, folder=Path("none"), limit=2**40
        ):
            pass

    yield from shares(
        once, lambda: len(data) * seconds(operations) / activations.BATCH,
        images=len(data), flops=len(data) * cost.count(network, shape).answer, rounds=rounds,
    )  # fmt: skip


def shares(
    ours: Operation, least: Callable[[], float], *, images: int, flops: int, rounds: int
) -> Iterator[dict]:
    """Time ours and what it could not do without in turn, in one thread."""
    with numerics.threads(1):
        for number in range(1, rounds + 1):
            start = time.perf_counter()
            ours()
            taken = time.perf_counter() - start
            limit = least()
            rates = (f"{flops / one / 1e9:.0f}" for one in (taken, limit))
            yield {
                "round": number, "images": images, "seconds": taken, "share": limit / taken,
                "note": "{} GFLOP/s of {}".format(*rates),
            }  # fmt: skip
            yield {"row": "limit", "round": number, "images": images, "seconds": limit}


def alone(
    network: nn.Module, shape: Sequence[int], batch: int, train: bool
) -> list[list[Operation]]:
    """The operations of a step (or an answer) of a batch, each with the ways to compute it."""
    found: list[list[Operation]] = []

    def hook(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        first = not found
        given, gradient = inputs[0].detach().clone(), torch.rand_like(output)
        weight = layer.weight.detach()
        if isinstance(layer, nn.Conv2d):
            geometry = layer.kernel_size[0], layer.padding[0], layer.stride[0]
            rows, columns = (layers.seen(side, *geometry) for side in given.shape[2:])
            if not rows or not columns:
                found.extend(convolution(given, weight, gradient, layer, train, first))
                return
            # Each output sees all pixels: a product, of the taps through which it does.
            weight = layers.Taps.apply(weight.permute(0, 2, 3, 1), rows, columns)
            height, width = (part[0].stop - part[0].start for part in (rows, columns))
            given = given[:, :, :height, :width].permute(0, 2, 3, 1).flatten(1)
            gradient = gradient.permute(0, 2, 3, 1).flatten(1)
        found.append(product(given, weight.t()))
        if train:
            found.append(product(gradient.t(), given))
            if not first:
                found.append(product(gradient, weight))

    network = network.to(memory_format=torch.channels_last).train(train)
    found_in = [one for one in network.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(hook) for layer in found_in]
    images = torch.rand(batch, *shape).to(memory_format=torch.channels_last)
    with torch.no_grad():
        network(images)
    for one in hooks:
        one.remove()
    return found


def product(left: Tensor, right: Tensor) -> list[Operation]:
    """MKL's, oneDNN's, and OpenBLAS's where it is told to take one thread."""
    left, right = left.contiguous(), right.contiguous()
    out, turned = torch.empty(len(left), right.shape[1]), right.t().contiguous()
    arrays = left.numpy(), right.numpy(), out.numpy()
    return [
        partial(torch.mm, left, right, out=out),
        partial(torch.ops.mkldnn._linear_pointwise.default, left, turned, None, "none", [], ""),
        *([partial(np.matmul, *arrays[:2], out=arrays[2])] if portable.is_pinned() else []),
    ]


def convolution(
    given: Tensor, weight: Tensor, gradient: Tensor, layer: nn.Conv2d, train: bool, first: bool
) -> Iterator[list[Operation]]:
    """Forward and, of a step, both gradients; of the first layer that of the weights alone."""
    how = layer.stride, layer.padding, layer.dilation
    yield [partial(torch.conv2d, given, weight, None, *how)]
    if train:
        yield [
            partial(
                torch.ops.aten.convolution_backward, gradient, given, weight, None, *how, False,
                [0, 0], 1, [not first, True, False],
            )
        ]  # fmt: skip


@torch.inference_mode()
def seconds(operations: Sequence[Sequence[Operation]]) -> float:
    """All of them, one after another, each by its fastest way."""
    return sum(min(map(_median, ways)) for ways in operations)


def _median(operation: Operation) -> float:
    operation()  # the first call chooses a kernel
    taken: list[float] = []
    least, most = REPEATS
    while len(taken) < least or (len(taken) < most and sum(taken) < LONG):
        start = time.perf_counter()
        operation()
        taken.append(time.perf_counter() - start)
    return median(taken)
