"""ResNet-18 as a chain of parts, for images of any number of channels.

He et al. (2016), Deep residual learning for image recognition, CVPR, table 1 and figure 5; the
same network as torchvision's, whose import takes longer than PyTorch's own.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

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
        Children under torchvision's names, so that its state dict has torchvision's keys and any
        part of it can be cut off. Takes (n, channels, h, w), gives
        (n, classes).
    """
    model = nn.Sequential()
    for name, part in (
        ("conv1", _stem(3)),
        ("bn1", nn.BatchNorm2d(64)),
        ("relu", nn.ReLU(inplace=True)),
        ("maxpool", nn.MaxPool2d(kernel_size=3, stride=2, padding=1)),
        ("layer1", _layer(64, 64, stride=1)),
        ("layer2", _layer(64, 128, stride=2)),
        ("layer3", _layer(128, 256, stride=2)),
        ("layer4", _layer(256, 512, stride=2)),
        ("avgpool", nn.AdaptiveAvgPool2d(1)),
        ("flatten", nn.Flatten()),
        ("fc", Linear(512, classes)),
    ):
        model.add_module(name, part)
    _initialise(model)
    # Drawn last, so that no other weight hangs on the number of channels.
    model.conv1 = _stem(shape[0])
    _initialise(model.conv1)
    return model


class _Block(nn.Module):
    """Two convolutions and what they are added to: the input, itself or through a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        shortcut = None
        if stride != 1 or before != after:
            shortcut = nn.Sequential(_convolution(before, after, 1, stride), nn.BatchNorm2d(after))
        self.conv1 = _convolution(before, after, 3, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after, 3, 1)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        """From (n, before, h, w) to (n, after, h / stride, w / stride)."""
        added = inputs if self.downsample is None else self.downsample(inputs)
        outputs = relu(self.bn1(self.conv1(inputs)), inplace=True)
        return relu(self.bn2(self.conv2(outputs)) + added, inplace=True)


def _layer(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(before, after, stride), _Block(after, after, 1))


def _convolution(before: int, after: int, kernel: int, stride: int) -> Conv2d:
    return Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)


def _stem(channels: int) -> Conv2d:
    return _convolution(channels, 64, 7, 2)


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


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
