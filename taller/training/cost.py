"""What a network costs, in floating-point operations: counted, so the same on every machine."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Operations for one image: an answer (forward), and a training step (with the gradients).

    Matrix products and convolutions, a multiplication and an addition being two; what goes
    over a tensor once (ReLU, normalisation, the optimizer) is not counted.
    """

    answer: int
    step: int


def count(network: nn.Module, shape: Sequence[int]) -> Cost:
    """Count with PyTorch's flop counter, on tensors without content.

    Parameters
    ----------
    network : Module
        Layers that take no gradients are counted forward alone; it stays as it is.
    shape : sequence of int
        Of one input.
    """
    images = 2  # batch normalisation cannot be trained on a single one
    network, inputs = _weightless(network), torch.empty(images, *shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        outputs = network(inputs)
    answer = counter.get_total_flops()
    if outputs.requires_grad:
        with counter:
            outputs.sum().backward()
        return Cost(answer // images, (answer + counter.get_total_flops()) // images)
    return Cost(answer // images, answer // images)


def output_shape(network: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of what the network makes of one input of `shape`."""
    return tuple(_weightless(network)(torch.empty(2, *shape, device="meta")).shape[1:])


def parameters(network: nn.Module) -> int:
    """How many numbers an answer of the network hangs on."""
    return sum(parameter.numel() for parameter in network.parameters())


def _weightless(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).to("meta").train()
