"""Give every input feature the same scale, and take that back into the layer behind it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Standardizer:
    """``(x - mean) / std`` of each feature.

    Features of a pretrained network differ in scale by orders of magnitude, and an optimizer
    with one learning rate would still be on its way in the small ones when the large are done.

    Attributes
    ----------
    mean, std : Tensor of float32, shape (features,)
    """

    mean: Tensor
    std: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        return (inputs - self.mean) / self.std

    @classmethod
    def of(cls, inputs: Tensor) -> "Standardizer":
        """That of these inputs, float32, shape (n, features); a constant feature becomes 0."""
        std, mean = torch.std_mean(inputs, dim=0, correction=0)
        return cls(mean, torch.where(std > 0, std, torch.ones_like(std)))

    def absorbed(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The linear layer that does for raw inputs what this one does for standardized ones.

        Parameters
        ----------
        weight : Tensor, shape (outputs, features)
        bias : Tensor, shape (outputs,)
        """
        scaled = weight / self.std.to(weight.device)
        return scaled, bias - scaled @ self.mean.to(weight.device)
