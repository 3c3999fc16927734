"""From stored grey levels to what a network was trained on."""

from dataclasses import asdict, dataclass

from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Scaling:
    """``(x / 255 - mean) / std``, after a bilinear resize where `size` asks for one.

    Calling it takes uint8 images of shape (n, height, width), 0 to 255, and gives float32
    of shape (n, 1, size, size). The resize happens batch by batch: 60,000 images at 224
    pixels would fill 12 GB.
    """

    mean: float
    std: float
    size: int = 28

    def __call__(self, images: Tensor) -> Tensor:
        scaled = images.unsqueeze(1).float().div_(255).sub_(self.mean).div_(self.std)
        if scaled.shape[-1] == self.size:
            return scaled
        return interpolate(scaled, size=self.size, mode="bilinear", antialias=False)

    def as_dict(self) -> dict[str, float]:
        """What a model file holds of it: ``Scaling(**d)`` gives it back."""
        return asdict(self)


WORKSHOP = Scaling(mean=0.5, std=0.5)
