"""The workshop's small network, trained from scratch."""

from collections.abc import Sequence

from torch import Tensor, nn

PIXELS = 28 * 28
CLASSES = 10


class SimpleNN(nn.Module):
    """Fully connected layers with ReLU, and dropout after the first hidden one.

    Parameters
    ----------
    hidden : sequence of int
        Units of each hidden layer; the workshop has (128, 64).
    dropout : float
        Probability, 0 to 1, that a unit of the first hidden layer is dropped in training.

    Notes
    -----
    With the defaults the modules, and so the names in the state dict, are the workshop's.
    """

    def __init__(self, hidden: Sequence[int] = (128, 64), dropout: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        units = PIXELS
        for position, width in enumerate(hidden):
            layers += [nn.Linear(units, width), nn.ReLU()]
            if position == 0:
                layers.append(nn.Dropout(dropout))
            units = width
        self.net = nn.Sequential(*layers, nn.Linear(units, CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """Scaled images, shape (n, 1, 28, 28), to logits, shape (n, 10)."""
        return self.net(images)
