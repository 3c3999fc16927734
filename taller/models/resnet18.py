"""ResNet-18 for grey images, cut in two: what stays frozen, and what is trained."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from taller.program.errors import Problem

CLASSES = 10
# The children with weights, in the order in which an image passes them.
CHILDREN = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")


def build(classes: int = CLASSES) -> nn.Sequential:
    """A ResNet-18 with one input channel and fresh weights.

    Returns
    -------
    Sequential
        torchvision's children in order, under their own names, so that its state dict has
        torchvision's keys and any part of it can be cut off. Takes (n, 1, h, w), gives
        (n, classes).
    """
    network = resnet18(weights=None, num_classes=classes)
    network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    parts = list(network.named_children())
    parts.insert(-1, ("flatten", nn.Flatten()))
    model = nn.Sequential()
    for name, child in parts:
        model.add_module(name, child)
    return model


def sum_rgb(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold a three-channel first convolution to one channel, by summing over the channels.

    The output is that of the RGB network fed the grey image three times.
    """
    return state | {"conv1.weight": state["conv1.weight"].sum(dim=1, keepdim=True)}


def from_rgb(path: Path) -> nn.Sequential:
    """A network with one input channel and the weights of torchvision's for three, in a file.

    Raises
    ------
    Problem
        When the file does not hold the state dict of a ResNet-18 for RGB images.
    """
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        network = build(classes=len(state["fc.bias"]))
        load(network, sum_rgb(state), new=())
    except (pickle.UnpicklingError, EOFError, RuntimeError, LookupError, TypeError, AttributeError):
        raise Problem(f"{path}: expected the state dict of an RGB ResNet-18") from None
    return network


def load(model: nn.Module, state: dict[str, Tensor], new: Sequence[str]) -> None:
    """Load weights into `model`, all but the parts named `new`, which stay as they are.

    Raises
    ------
    Problem
        When the file lacks a key that is not expected to be new, or has one too many.
    """
    wanted = {key for key in model.state_dict() if key.split(".")[0] not in new}
    given = {key: tensor for key, tensor in state.items() if key.split(".")[0] not in new}
    if missing := sorted(wanted - given.keys()):
        raise Problem(f"pretrained weights: expected {missing[0]}, found no such key")
    if unknown := sorted(given.keys() - wanted):
        raise Problem(f"pretrained weights: expected ResNet-18's keys, found {unknown[0]}")
    model.load_state_dict(given, strict=False)


def trainable_children(names: Sequence[str] | str) -> tuple[str, ...]:
    """The children that ``finetune.trainable`` names, in the network's order.

    Raises
    ------
    ValueError
        Listing the valid names, when one is not a child of the network.
    """
    if names == "all":
        return CHILDREN
    valid = isinstance(names, list) and names and all(name in CHILDREN for name in names)
    if not valid:
        raise ValueError(f"all, or a list of {', '.join(CHILDREN)}")
    return tuple(child for child in CHILDREN if child in names)


def cut(model: nn.Sequential, trainable: Sequence[str]) -> tuple[nn.Sequential, nn.Sequential]:
    """Cut the network in front of the first trainable child.

    Both parts share their weights with `model`. In the second, children that are not
    trainable take no gradients, but their batch normalisation is in training mode with the
    rest, as in the workshop's code.

    Returns
    -------
    frozen, trained : Sequential
        ``trained(frozen(x))`` is ``model(x)``. `frozen` may be empty.
    """
    names = list(model._modules)
    position = names.index(trainable[0])
    frozen, trained = model[:position], model[position:]
    for name, child in model.named_children():
        child.requires_grad_(name in trainable)
    return frozen, trained


def parameter_groups(
    trained: nn.Module, learning_rate: float, body_lr_factor: float
) -> list[dict[str, object]]:
    """Optimizer groups: ``fc`` at `learning_rate`, the rest at that times `body_lr_factor`."""
    head, body = [], []
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            (head if name.startswith("fc.") else body).append(parameter)
    groups = [(head, learning_rate), (body, learning_rate * body_lr_factor)]
    return [{"params": group, "lr": rate} for group, rate in groups if group]
