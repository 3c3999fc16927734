"""The workshop's loop: a torchvision data set, a transform for each image, a DataLoader.

Of the folds they train without the first alone: each takes as long.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
import torch._dynamo  # PyTorch's optimizers import it when the first is made: no import is timed
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.models import resnet18

from benchmarks.work import DROPOUT, RATE, SEED, VALIDATION_BATCH, Work, load_pretrained


class SimpleNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(28 * 28, 128), nn.ReLU(), nn.Dropout(DROPOUT),
            nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x)


class LastLayer(nn.Module):
    """torchvision's ResNet-18 without its last layer, always frozen, and a fresh last layer."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        body = resnet18()
        body.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.head, body.fc = nn.Linear(body.fc.in_features, 10), nn.Identity()
        body.load_state_dict(weights)
        self.body = [body.requires_grad_(False).eval()]  # no child: `train` leaves it as it is

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.body[0](images))


class Images(Dataset):
    """What torchvision's MNIST does for each image."""

    def __init__(self, work: Work, rows: np.ndarray, mean: Sequence[float], std: Sequence[float]):
        self.images, self.labels = work.data.images[rows, 0], work.data.labels[rows]
        steps = transforms.ToTensor(), transforms.Normalize(mean, std)
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[row])), int(self.labels[row])


def simple_nn(work: Work, workers: int = 0) -> Callable[[], Sequence[float]]:
    return lambda: [fold(work, SimpleNN, (0.5,), (0.5,), workers)]


def last_layer(work: Work) -> Callable[[], Sequence[float]]:
    _, body, scaling = load_pretrained()
    return lambda: [fold(work, partial(LastLayer, body), scaling.mean, scaling.std)]


def fold(
    work: Work, build: Callable, mean: Sequence[float], std: Sequence[float], workers: int = 0
) -> float:
    """Train and validate as in the workshop; the last epoch's accuracy."""
    torch.manual_seed(SEED)
    training, validation = (Images(work, rows, mean, std) for rows in work.splits[0])
    train_loader = DataLoader(training, work.batch, shuffle=True, num_workers=workers)
    val_loader = DataLoader(validation, VALIDATION_BATCH, num_workers=workers)
    model, criterion = build(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for _ in range(work.epochs):
        model.train()
        train_loss = 0.0
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            train_loss += loss.item()
        model.eval()
        correct = total = 0
        with torch.no_grad():
            for images, labels in val_loader:
                correct += (model(images).argmax(1) == labels).sum().item()
                total += len(labels)
    return correct / total
