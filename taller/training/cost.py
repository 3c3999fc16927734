"""What a network costs, in floating-point operations: counted, so the same on every machine."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from taller.common.params import Contestant
from taller.training.engine import TrainingConfig


@dataclass(frozen=True)
class Cost:
    """Operations for one image: inference (forward), and a training step (with the gradients).

    Matrix products and convolutions, a multiplication and an addition being two; what goes
    over a tensor once (ReLU, normalisation, the optimizer) is not counted.
    """

    inference: int
    step: int


def count(network: nn.Module, shape: Sequence[int]) -> Cost:
    """Count with PyTorch's flop counter, for an input of `shape`, on tensors without content.

    Layers that take no gradients are counted forward alone. The network stays as it is.
    """
    images = 2  # batch normalisation cannot be trained on a single one
    network, inputs = _weightless(network), torch.empty(images, *shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        outputs = network(inputs)
    inference = counter.get_total_flops()
    if outputs.requires_grad:
        with counter:
            outputs.sum().backward()
        return Cost(inference // images, (inference + counter.get_total_flops()) // images)
    return Cost(inference // images, inference // images)


def output_shape(network: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of what the network makes of one input of `shape`."""
    return tuple(_weightless(network)(torch.empty(2, *shape, device="meta")).shape[1:])


def _weightless(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).to("meta").train()


def describe_fit(
    contestant: Contestant,
    module: ModuleType,
    config: TrainingConfig,
    network: nn.Module,
    *,
    trained_parameters: int,
    inference: int,
    training: int,
    trained: Sequence[str] = (),
    start: dict[str, object] | None = None,
) -> dict[str, object]:
    """The content of ``fit.json``: what was trained, how, from where, and at what cost.

    Parameters
    ----------
    inference, training : int
        Operations for one image, and for the fit on all images.
    trained : sequence of str
        Layers, where only some are trained.
    start : dict, optional
        Of a pretrained network: ``path``, ``source``, ``networks``, and ``sha256`` of the first.
    """
    # cnn and cnn_letters are CNN; mine is mine.
    of_network = f"{contestant.name}_".startswith(f"{config.network}_")
    short = module.NAME if of_network else contestant.name
    frozen = [layer for layer in module.LAYERS if layer not in trained] if trained else []
    common = config.model_dump(include={*TrainingConfig.model_fields} - {"min_steps"})
    others = {*TrainingConfig.model_fields, "network", "start", "trainable"}
    return {
        "kind": contestant.kind,
        "network": config.network,
        "model": short if start is None else f"{short} (fine-tuning)",
        "short": short,
        "trained_parameters": trained_parameters,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "flops": {"inference": inference, "training": training},
        "training": {
            # With no weight decay AdamW is Adam, the workshop's optimizer.
            "optimizer": "AdamW" if config.weight_decay else "Adam",
            **common,
            "trained": list(trained),
            "frozen": frozen,
            "model_params": config.model_dump(exclude=others),
        },
        "start": start,
    }
