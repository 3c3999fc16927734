"""A small convolutional network of SimpleNN's size: the fair opponent, from scratch or not."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from math import ceil, prod
from typing import Annotated

from pydantic import Field
from torch import nn

from taller.common.layers import Conv2d, Linear
from taller.common.params import Section

NAME = "CNN"
# The children with weights, in the order in which an image passes them, however many convolutions.
LAYERS = ("conv1", "body", "hidden", "fc")
STEM, HEAD = "conv1", "fc"
# The workshop's scaling of the inputs, for any channels. Weights are for so many pixels alone.
MEAN, STD, FIXED_SIZE = (0.5,), (0.5,), True


class ModelParams(Section):
    """What params.yaml decides of the network."""

    channels: list[Annotated[int, Field(ge=1, le=1024)]] = Field(min_length=1, max_length=4)
    units: int = Field(ge=1, le=4096)
    dropout: float = Field(ge=0, lt=1)


def build(
    classes: int,
    shape: Sequence[int],
    channels: Sequence[int] = (16, 32),
    units: int = 64,
    dropout: float = 0.2,
) -> nn.Sequential:
    """Convolutions of 5 x 5 pixels that halve the image, then one hidden layer.

    Parameters
    ----------
    classes : int
    shape : sequence of int
        Channels, height and width of the images.
    channels : sequence of int
        Of each convolution; batch normalisation and ReLU follow it.
    units : int
        Of the hidden layer.
    dropout : float
        Probability, 0 to 1, that a unit of the hidden layer is dropped in training.

    Returns
    -------
    Sequential
        From scaled images, (n, *shape), to logits, (n, classes). With the defaults, on MNIST, it
        has 114,410 parameters; SimpleNN has 109,386.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise([shape[0], *channels]):
        convolution = Conv2d(before, after, kernel_size=5, stride=2, padding=2)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    stem, *body = layers
    features = channels[-1] * prod(ceil(side / 2 ** len(channels)) for side in shape[1:])
    return nn.Sequential(
        OrderedDict(
            conv1=stem,
            body=nn.Sequential(*body),
            flatten=nn.Flatten(),
            hidden=Linear(features, units),
            relu=nn.ReLU(),
            dropout=nn.Dropout(dropout),
            fc=Linear(units, classes),
        )
    )
