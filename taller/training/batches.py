"""Images cut into batches, and what is done to them on the way into the network: scaled, varied."""

import ctypes
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from taller.datasets import dataset

# Bytes of stored inputs that are gathered and prepared at once, if those of a batch are fewer.
AT_ONCE = 2**19
# Batches of more input bytes than this go back to the system at once: glibc would hold blocks of
# up to 32 MB, in holes that the next batch just does not fit into, which is twice the memory.
LARGE, BLOCK, M_MMAP_THRESHOLD = 2**28, 2**22, -3
# Images that pass a network at a time where nothing is trained; of large ones as many as have so
# many bytes, since the first layers make a hundred times as many of them.
FORWARD, FORWARD_BYTES, LEAST = 250, 2**24, 16
Batch = tuple[Tensor, Tensor]
Prepare = Callable[[Tensor], Tensor]
AREA, RATIO = (0.35, 1.0), (3 / 4, 4 / 3)  # of the part that is seen; of its width and height
LIGHT = 0.2  # at most, more or less: of brightness, contrast and saturation
LEAST_STD = 0.25  # of a standardized feature, as a share of the median
# Views are cut from images of so many times the network's pixels: a small part is still sharp.
MARGIN = 1.5


def identity(inputs: Tensor) -> Tensor:
    """Inputs that are stored as the network wants them."""
    return inputs


@dataclass(frozen=True)
class Batches:
    """The images at `rows`, in batches: iterated in order, or `shuffled`."""

    inputs: Tensor  # shape (n, ...)
    labels: Tensor  # int64, shape (n,)
    rows: Tensor  # int64, shape (m,): which of the n images take part
    size: int  # images of a batch; the last one may have fewer, or one more
    device: torch.device  # that batches are moved to
    prepare: Prepare = identity  # from stored inputs to the network's, batch by batch

    def __len__(self) -> int:
        """How many batches there are."""
        return len(split(len(self.rows), self.size))

    def __iter__(self) -> Iterator[Batch]:
        return self._cut(self.rows)

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """The batches of one epoch, in the order that `seed` decides."""
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(seed))
        return self._cut(self.rows[order])

    def _cut(self, rows: Tensor) -> Iterator[Batch]:
        sizes = split(len(rows), self.size)
        # Rows of a matrix are gathered several times faster than images of three dimensions, and
        # several small batches at once faster than each by itself.
        flat, shape = self.inputs.reshape(len(self.inputs), -1), self.inputs.shape[1:]
        at_once = max(1, AT_ONCE // (flat[:1].nbytes * self.size))
        parts = [sizes[start : start + at_once] for start in range(0, len(sizes), at_once)]
        for chosen, part in zip(rows.split([*map(sum, parts)]), parts, strict=True):
            inputs = flat.index_select(0, chosen).view(-1, *shape).to(self.device)
            labels = self.labels[chosen].to(self.device)
            yield from zip(self.prepare(inputs).split(part), labels.split(part), strict=True)


def split(count: int, size: int) -> list[int]:
    """Sizes of the batches that `count` images make; none is of one image, if there are more."""
    full, rest = divmod(count, size)
    # Batch normalisation cannot be trained on a single image: a last one joins its neighbours.
    if rest == 1 and full:
        return [size] * (full - 1) + [size + 1]
    return [size] * full + [rest] * (rest > 0)


def prepare_batches(images: np.ndarray, prepare: Prepare, device: torch.device) -> Iterator[Tensor]:
    """The prepared inputs of all images, in order, in batches whose bytes are bounded."""
    inputs = tensor(images)
    most = max(LEAST, min(FORWARD, FORWARD_BYTES // prepare(inputs[:1]).nbytes))
    # No batch of a single image, for which PyTorch takes other kernels than oneDNN's.
    for batch in inputs.split(split(len(inputs), most)):
        yield prepare(batch.to(device))


def tensor(array: np.ndarray) -> Tensor:
    """The array's own memory as a tensor."""
    if array.nbytes > LARGE and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, BLOCK)
    with warnings.catch_warnings():
        # Memory maps are read-only, and nothing here writes to inputs.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


@dataclass(frozen=True)
class Scaling:
    """From stored levels to what a network was trained on: ``(x / 255 - mean) / std``.

    Calling it takes uint8 images of shape (n, channels, height, width), 0 to 255, and gives
    float32 of shape (n, channels, *size), after a bilinear resize where `size` asks for one, to
    fewer pixels with antialiasing. The resize happens batch by batch: 60,000 images at 224 pixels
    would fill 12 GB. `mean` and `std` are of each channel, or one for all of them; `size` is height
    and width.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]

    def __call__(self, images: Tensor) -> Tensor:
        mean, std = (_along_channels(part, images.device) for part in (self.mean, self.std))
        scaled = images.float().div_(255).sub_(mean).div_(std)
        if (before := scaled.shape[-2:]) == self.size:
            return scaled
        fewer = max(self.size) < max(before)
        return interpolate(scaled, size=self.size, mode="bilinear", antialias=fewer)

    def adapt(self, shape: Sequence[int], longer_side: int) -> "Scaling":
        """The same for images of another shape, with their longer side resized to so many pixels.

        `shape` is channels, height and width; one channel gets the channels' averages.
        """
        channels, *sides = shape
        height, width = (max(1, round(side * longer_side / max(sides))) for side in sides)
        if channels == 1:
            return Scaling((fmean(self.mean),), (fmean(self.std),), (height, width))
        return Scaling(self.mean, self.std, (height, width))


def _along_channels(values: tuple[float, ...], device: torch.device) -> float | Tensor:
    if len(values) == 1:
        return values[0]  # cheaper than a tensor, in every step
    return torch.tensor(values, device=device).view(-1, 1, 1)


@dataclass(frozen=True)
class Standardizer:
    """``(x - mean) / std`` of each feature: float32, shape (features,).

    Features of a pretrained network differ in scale by orders of magnitude, and an optimizer
    with one learning rate would still be on its way in the small ones when the large are done.
    Those that hardly vary are left small: what an image has of them beyond the others' would
    count for more than all the rest.
    """

    mean: Tensor
    std: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.std

    @classmethod
    def of(cls, inputs: Tensor) -> "Standardizer":
        """That of these inputs, shape (n, features); the least `std` is LEAST_STD of the median."""
        std, mean = torch.std_mean(inputs, dim=0, correction=0)
        std = std.clamp(min=LEAST_STD * std.median())
        return cls(mean, torch.where(std > 0, std, torch.ones_like(std)))

    def absorb_into(self, state: dict[str, Tensor], layer: str) -> None:
        """Have a linear layer of standardized inputs take inputs as they are."""
        weight, bias = f"{layer}.weight", f"{layer}.bias"
        state[weight] = state[weight] / self.std.cpu()
        state[bias] = state[bias] - state[weight] @ self.mean.cpu()


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
        levels = Scaling((0.0,), (1 / 255,), scaling.size).adapt(images.shape[1:], side)
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
    """The middles of so many pixels in a row, which reaches from -1 to 1."""
    return (2 * torch.arange(pixels).to(like) + 1) / pixels - 1
