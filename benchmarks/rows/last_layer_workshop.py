"""The workshop's loop: the frozen ResNet-18, torchvision's, runs in every epoch.

Its batch normalisation keeps its statistics, as in the other rows.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torchvision import transforms
from torchvision.models import resnet18

from benchmarks.base import body, pretrained, scaling
from benchmarks.rows.workshop import fold, loaders, mnist
from benchmarks.work import SEED, Work


class Network(nn.Module):
    """The frozen part in evaluation mode, always, and a fresh last layer."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        super().__init__()
        network = resnet18()
        network.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.head, network.fc = nn.Linear(network.fc.in_features, 10), nn.Identity()
        network.load_state_dict(state)
        self.body = network.requires_grad_(False)

    def train(self, mode: bool = True) -> "Network":
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(images))


def prepare(work: Work, only: int, workers: int = 0) -> Callable[[], Sequence[float]]:
    """Of all folds train without the first `only`: each takes as long."""
    base = pretrained()
    state, scale = body(base), scaling(base)
    steps = [transforms.ToTensor(), transforms.Normalize(scale.mean, scale.std)]
    data = mnist(work, transforms.Compose(steps))

    def train() -> Sequence[float]:
        torch.manual_seed(SEED)
        return [
            fold(work, Network(state), *loaders(work, data, number, workers))
            for number in range(only)
        ]

    return train
