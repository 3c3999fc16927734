"""The workshop's small network, trained from scratch."""

from collections.abc import Sequence
from math import prod
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from taller.common.layers import Linear
from taller.common.params import Section

NAME = "SimpleNN"


class ModelParams(Section):
    """What params.yaml decides of the network."""

    hidden: list[Annotated[int, Field(ge=1, le=4096)]] = Field(min_length=1, max_length=8)
    dropout: float = Field(ge=0, lt=1)


class SimpleNN(nn.Module):
    """Fully connected layers with ReLU, and dropout after the first hidden one.

    Parameters
    ----------
    classes : int
    shape : sequence of int
        Channels, height and width of the images.
    hidden : sequence of int
        Units of each hidden layer; the workshop has (128, 64).
    dropout : float
        Probability, 0 to 1, that a unit of the first hidden layer is dropped in training.

    Notes
    -----
    With the defaults the modules, and so the names in the state dict, are the workshop's.
    """

    def __init__(
        self,
        classes: int,
        shape: Sequence[int],
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        units = prod(shape)
        for position, width in enumerate(hidden):
            layers += [Linear(units, width), nn.ReLU()]
            if position == 0:
                layers.append(nn.Dropout(dropout))
            units = width
        self.net = nn.Sequential(*layers, Linear(units, classes))

    def forward(self, images: Tensor) -> Tensor:
        """Scaled images, shape (n, *shape), to logits, shape (n, classes)."""
        return self.net(images)


build = SimpleNN
