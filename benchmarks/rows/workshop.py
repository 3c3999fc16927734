"""The workshop's loop: a torchvision data set, a transform for each image, a DataLoader."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch._dynamo  # PyTorch's optimizers import it when the first is made: no import is timed
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms

from benchmarks.work import DROPOUT, RATE, SEED, VALIDATION_BATCH, Work

TRANSFORM = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])


def prepare(work: Work, only: int, workers: int = 0) -> Callable[[], Sequence[float]]:
    """Of all folds train without the first `only`: each takes as long."""
    data = mnist(work)

    def train() -> Sequence[float]:
        torch.manual_seed(SEED)
        return [
            fold(work, SimpleNN(), *loaders(work, data, number, workers)) for number in range(only)
        ]

    return train


class SimpleNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(28 * 28, 128), nn.ReLU(), nn.Dropout(DROPOUT),
            nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x)


def mnist(work: Work, transform: Callable = TRANSFORM) -> Subset:
    """The images that take part, as torchvision reads them."""
    with tempfile.TemporaryDirectory() as root:
        raw = Path(root, "MNIST/raw")
        raw.parent.mkdir()
        raw.symlink_to(Path(work.files).absolute())
        return Subset(datasets.MNIST(root, train=True, transform=transform), work.rows.tolist())


def loaders(work: Work, data: Subset, fold: int, workers: int) -> tuple[DataLoader, DataLoader]:
    training, validation = (Subset(data, rows.tolist()) for rows in work.splits[fold])
    return (
        DataLoader(training, work.batch, shuffle=True, num_workers=workers),
        DataLoader(validation, VALIDATION_BATCH, num_workers=workers),
    )


def fold(work: Work, model: nn.Module, train_loader: DataLoader, val_loader: DataLoader) -> float:
    """Train and validate as in the workshop; the last epoch's accuracy."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=RATE)
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
