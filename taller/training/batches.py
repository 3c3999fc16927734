"""Images cut into batches, which bring along how they are prepared for the network."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Bytes of stored inputs that are gathered and prepared at once, if those of a batch are fewer.
AT_ONCE = 2**19
Batch = tuple[Tensor, Tensor]
Prepare = Callable[[Tensor], Tensor]


def identity(inputs: Tensor) -> Tensor:
    """Inputs that are stored as the network wants them."""
    return inputs


@dataclass(frozen=True)
class Batches:
    """The images at `rows`, in batches: iterated in order, or `shuffled`.

    Attributes
    ----------
    inputs : Tensor, shape (n, ...)
    labels : Tensor of int64, shape (n,)
    rows : Tensor of int64, shape (m,)
        Which of the n images take part.
    size : int
        Images of a batch; the last one may have fewer, or one more.
    device : torch.device
        Where the batches are put.
    prepare : callable
        From stored inputs to the network's, batch by batch.
    """

    inputs: Tensor
    labels: Tensor
    rows: Tensor
    size: int
    device: torch.device
    prepare: Prepare = identity

    def __len__(self) -> int:
        """How many batches there are."""
        return len(split(len(self.rows), self.size))

    def __iter__(self) -> Iterator[Batch]:
        return self._cut(self.rows)

    def shuffled(self, seed: int) -> Iterator[Batch]:
        """The batches of one epoch, in the order that `seed` decides."""
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(seed))
        return self._cut(self.rows[order])

    def inputs_only(self) -> Iterator[Tensor]:
        """The prepared inputs, in order."""
        return (inputs for inputs, _ in self)

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


def tensor(array: np.ndarray) -> Tensor:
    """The array's own memory as a tensor."""
    with warnings.catch_warnings():
        # Memory maps are read-only, and nothing here writes to inputs.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def split(count: int, size: int) -> list[int]:
    """Sizes of the batches that `count` images make; none is of one image, if there are more."""
    full, rest = divmod(count, size)
    # Batch normalisation cannot be trained on a single image: a last one joins its neighbours.
    if rest == 1 and full:
        return [size] * (full - 1) + [size + 1]
    return [size] * full + [rest] * (rest > 0)
