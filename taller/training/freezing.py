"""Freeze the first layers of a network, whichever it is, and run them once per image.

A network that can be fine-tuned is a chain of named layers. Its module names its ``LAYERS`` (those
with weights, in order), its ``STEM`` (the convolution that sees the image) and its ``HEAD`` (the
layer that gives the logits).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from taller.common.terminal import UserError, bar, printable
from taller.datasets import dataset
from taller.training.batches import Prepare, prepare_batches


def trained_layers(trainable: object, module: ModuleType, key: str) -> list[str]:
    """The layers of a network that are trained, in its order.

    Parameters
    ----------
    trainable : object
        What params.yaml has under `key`: "all", or a list of layers.

    Raises
    ------
    UserError
        When one is not a layer of the network, or the head is not among them: a head that stays
        random answers at random.
    """
    if trainable == "all":
        return [*module.LAYERS]
    names = trainable if isinstance(trainable, list) else []
    if module.HEAD not in names or any(name not in module.LAYERS for name in names):
        raise UserError(
            f"params.yaml: {key}: expected all, or a list with {module.HEAD} and any of "
            f"{', '.join(module.LAYERS)}, found {printable(trainable)}"
        )
    return [layer for layer in module.LAYERS if layer in names]


def load(network: nn.Module, state: dict[str, Tensor], new: Sequence[str]) -> None:
    """Load weights of the same network, but for the layers named `new`, which stay as they are."""
    rest = {key: weights for key, weights in state.items() if key.split(".")[0] not in new}
    network.load_state_dict(network.state_dict() | rest)


def with_channels(state: dict[str, Tensor], stem: str, channels: int) -> dict[str, Tensor]:
    """Make the first convolution's weights fit images of `channels` channels.

    To one channel, by summing over the channels: the output is that of the RGB network for the
    grey image three times. From one channel, by equal parts of its weights: a grey image in
    colour has the output that it has in grey. A `UserError` where neither number is one.
    """
    key = f"{stem}.weight"
    weight = state[key]
    if (given := weight.shape[1]) == channels:
        return state
    if channels == 1:
        return state | {key: weight.sum(dim=1, keepdim=True)}
    if given == 1:
        return state | {key: (weight / channels).repeat(1, channels, 1, 1)}
    raise UserError(f"pretrained network: expected 1 or {channels} channels, found {given}")


def cut(network: nn.Sequential, trainable: Iterable[str]) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut the network in front of the first trainable layer.

    Both halves share their weights with `network`. In the second, layers that are not trainable
    take no gradients, but their batch normalisation is in training mode with the rest, as in
    the workshop's code.

    Returns
    -------
    frozen, trained : Sequential
        ``trained(frozen(x))`` is ``network(x)``. `frozen` may be empty.
    """
    names = [name for name, _ in network.named_children()]
    for name, child in network.named_children():
        child.requires_grad_(name in trainable)
    position = min(names.index(name) for name in trainable)
    return network[:position], network[position:]


def rebuild(
    build: Callable[[], nn.Sequential],
    trainable: Sequence[str],
    state: dict[str, Tensor],
    new: Sequence[str],
) -> nn.Sequential:
    """The second half of a fresh network's `cut`, with the weights of `state` but in layers `new`.

    The first half is drawn, too, so that the new layers do not depend on it.
    """
    _, trained = cut(build(), trainable)
    load(trained, state, new)
    return trained


def parameter_groups(
    trained: nn.Module, head: str, learning_rate: float, body_lr_factor: float
) -> list[dict[str, object]]:
    """Optimizer groups: the head at `learning_rate`, the rest at that times `body_lr_factor`."""
    of_head, of_body = [], []
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            (of_head if name.startswith(f"{head}.") else of_body).append(parameter)
    groups = [(of_head, learning_rate), (of_body, learning_rate * body_lr_factor)]
    return [{"params": group, "lr": rate} for group, rate in groups if group]


def head_groups(trained: nn.Module, head: str, learning_rate: float) -> list[dict[str, object]]:
    """Optimizer groups of a head alone, on standardized features: its weights, and its bias.

    A step of Adam moves every parameter by as much, so with d features a logit by some sqrt(d)
    times what the bias moves it. The bias has that rate, and no decay: in the few steps that few
    images take it must reach how frequent each class is.
    """
    layer = trained.get_submodule(head)
    rate = learning_rate * math.sqrt(layer.in_features)
    return [
        {"params": [layer.weight], "lr": learning_rate},
        {"params": [layer.bias], "lr": rate, "weight_decay": 0.0},
    ]


def activations(
    frozen: nn.Sequential, images: np.ndarray, prepare: Prepare, device: torch.device
) -> np.ndarray:
    """What the frozen layers make of every image: each passes them once.

    They run in evaluation mode: batch normalisation uses its stored statistics, so an image's
    activations do not depend on its neighbours.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)
    prepare : callable
        From images to the network's inputs.

    Returns
    -------
    ndarray of float32, shape (n, ...)
        The images themselves where `frozen` is empty. Beyond `dataset.LIMIT` bytes a memory map,
        of a file that is gone with the array.
    """
    if len(frozen) == 0:
        return images
    frozen.to(device, memory_format=torch.channels_last).eval()
    out, start = None, 0
    with torch.inference_mode(), bar(len(images), "frozen layers", "image") as progress:
        for inputs in prepare_batches(images, prepare, device):
            part = frozen(inputs).cpu().numpy()
            if out is None:
                flat = dataset.empty((len(images), part[0].nbytes))
                out = flat.view(np.float32).reshape(len(images), *part.shape[1:])
            out[start : start + len(part)] = part
            start += len(part)
            progress.update(len(part))
    return out
