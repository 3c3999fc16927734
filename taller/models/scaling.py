"""From stored levels to what a network was trained on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Scaling:
    """``(x / 255 - mean) / std``, after a bilinear resize where `size` asks for one.

    Calling it takes uint8 images of shape (n, channels, height, width), 0 to 255, and gives
    float32 of shape (n, channels, *size). The resize happens batch by batch: 60,000 images at
    224 pixels would fill 12 GB.

    Attributes
    ----------
    mean, std : tuple of float
        Of each channel, or one for all of them.
    size : tuple of int
        Height and width that images are resized to.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]

    def __call__(self, images: Tensor) -> Tensor:
        mean, std = (_along_channels(part, images.device) for part in (self.mean, self.std))
        scaled = images.float().div_(255).sub_(mean).div_(std)
        if scaled.shape[-2:] == self.size:
            return scaled
        return interpolate(scaled, size=self.size, mode="bilinear", antialias=False)

    def suited(self, shape: Sequence[int], longer_side: int) -> "Scaling":
        """The same for images of another shape, whose aspect ratio is kept.

        Parameters
        ----------
        shape : sequence of int
            Channels, height and width of the images; one channel gets the channels' averages.
        longer_side : int
            Pixels that the longer side is resized to.
        """
        channels, *sides = shape
        height, width = (max(1, round(side * longer_side / max(sides))) for side in sides)
        if channels == 1:
            return Scaling((fmean(self.mean),), (fmean(self.std),), (height, width))
        return Scaling(self.mean, self.std, (height, width))

    def as_dict(self) -> dict[str, list]:
        """What a model file holds of it; `from_dict` gives it back."""
        return {name: list(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, saved: dict[str, list]) -> "Scaling":
        """What `as_dict` gave."""
        return cls(**{name: tuple(value) for name, value in saved.items()})


def _along_channels(values: tuple[float, ...], device: torch.device) -> float | Tensor:
    if len(values) == 1:
        return values[0]  # cheaper than a tensor, in every step
    return torch.tensor(values, device=device).view(-1, 1, 1)
