"""ResNet-18 as a chain of parts, for images of any number of channels."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet18

from taller.models import store, surgery
from taller.models.layers import Conv2d, Linear
from taller.models.scaling import Scaling
from taller.models.store import UNREADABLE
from taller.program import reading
from taller.program.errors import Problem

NAME = "ResNet18"
# The children with weights, in the order in which an image passes them.
PARTS = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")
STEM, HEAD = "conv1", "fc"
# What torchvision's weights were trained on.
IMAGENET = Scaling(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), size=(224, 224))


def build(classes: int, shape: Sequence[int]) -> nn.Sequential:
    """A ResNet-18 with fresh weights.

    Parameters
    ----------
    shape : sequence of int
        Channels, height and width of the images; the network depends on the channels alone.

    Returns
    -------
    Sequential
        torchvision's children in order, under their own names, so that its state dict has
        torchvision's keys and any part of it can be cut off. Takes (n, channels, h, w), gives
        (n, classes).
    """
    network = resnet18(weights=None, num_classes=classes)
    network.conv1 = nn.Conv2d(shape[0], 64, kernel_size=7, stride=2, padding=3, bias=False)
    for module in network.modules():
        # The same weights under the same names, with another forward pass.
        if own := {nn.Conv2d: Conv2d, nn.Linear: Linear}.get(type(module)):
            module.__class__ = own
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    parts = list(network.named_children())
    parts.insert(-1, ("flatten", nn.Flatten()))
    model = nn.Sequential()
    for name, child in parts:
        model.add_module(name, child)
    return model


def from_imagenet(path: Path) -> nn.Sequential:
    """The network for RGB images whose weights torchvision saved in a file.

    Raises
    ------
    Problem
        When the file does not hold the state dict of a ResNet-18 for RGB images.
    """
    try:
        with reading.opened(path) as file:
            state = torch.load(file, weights_only=True, map_location="cpu")
        network = build(classes=len(state["fc.bias"]), shape=(3, *IMAGENET.size))
        surgery.load(network, state, new=())
    except OSError:
        raise
    except Problem as problem:
        raise Problem(f"{path}: {problem}") from None
    except UNREADABLE:
        raise Problem(f"{path}: expected the state dict of an RGB ResNet-18, found other") from None
    store.check_finite(path, state)
    return network
