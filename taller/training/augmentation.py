"""Photographs, seen anew in every epoch: a part of each, mirrored or not, in another light."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from taller.datasets import dataset
from taller.training.batches import Scaling, tensor

AREA, RATIO = (0.35, 1.0), (3 / 4, 4 / 3)  # of the part that is seen; of its width and height
LIGHT = 0.2  # at most, more or less: of brightness, contrast and saturation
# Views are cut from images of so many times the network's pixels: a small part is still sharp.
MARGIN = 1.5


@dataclass(frozen=True)
class Views:
    """Random views of images, as a network's inputs."""

    images: np.ndarray  # uint8, shape (n, channels, height, width)
    scaling: Scaling  # of the network

    @classmethod
    def of(cls, images: np.ndarray, scaling: Scaling) -> Self:
        """Those of stored images, which are shrunk once where they have more pixels than it takes.

        They are mapped where they are many (`dataset.empty`).
        """
        side = round(MARGIN * max(scaling.size))
        if side >= max(images.shape[2:]):
            return cls(images, scaling)
        levels = Scaling((0.0,), (1 / 255,), scaling.size).suited(images.shape[1:], side)
        small = dataset.empty((*images.shape[:2], *levels.size))
        for part in dataset.chunks(images):
            small[part] = levels(tensor(images[part])).round().byte().numpy()
        return cls(small, scaling)

    def __call__(self, images: Tensor) -> Tensor:
        """One view of each; PyTorch's own generator, so the epoch's seed, decides it.

        Parameters
        ----------
        images : Tensor of uint8, shape (n, channels, height, width)

        Returns
        -------
        Tensor of float32, shape (n, channels, *scaling.size)
            A rectangle of each, resized (bilinear) and, of every second one, mirrored.
        """
        inputs = replace(self.scaling, size=images.shape[2:])(images)
        chance = torch.rand(8, len(inputs))  # on the CPU, wherever the images are
        low, high = np.array([AREA, RATIO]).T[..., None]
        # NumPy's square root is the same on every processor, and PyTorch's is not.
        side, slope = np.sqrt(low + (high - low) * chance[:2].numpy())
        size = np.minimum(1, np.stack([side * slope, side / slope]))  # width and height
        middle = (1 - size) * (2 * chance[2:4].numpy() - 1)  # an image reaches from -1 to 1
        size[0] *= np.where(chance[4].numpy() < 0.5, -1, 1)
        (x, y), (width, height) = torch.from_numpy(np.stack([middle, size])).to(inputs)[..., None]
        down, across = (_centres(pixels, inputs) for pixels in self.scaling.size)
        rows, columns = (y + height * down)[:, :, None], (x + width * across)[:, None, :]
        grid = torch.stack(torch.broadcast_tensors(columns, rows), dim=-1)
        seen = grid_sample(inputs, grid, padding_mode="border", align_corners=False)

        light = LIGHT * (2 * chance[5:, :, None, None, None].to(inputs) - 1)
        brightness, contrast, saturation = light[0], 1 + light[1], 1 + light[2]
        grey = seen.mean(1, keepdim=True)
        mean = grey.mean((2, 3), keepdim=True)
        return mean + brightness + contrast * (grey - mean + saturation * (seen - grey))


def _centres(pixels: int, like: Tensor) -> Tensor:
    """Of so many pixels that reach from -1 to 1."""
    return (2 * torch.arange(pixels).to(like) + 1) / pixels - 1
