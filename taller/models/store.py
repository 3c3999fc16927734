"""Model files: what `torch.load(..., weights_only=True)` gives back, made into a network."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from taller.models import resnet18
from taller.models.scaling import Scaling
from taller.models.simple_nn import SimpleNN
from taller.program.errors import Problem

ARCHITECTURES = {"SimpleNN": SimpleNN, "ResNet18": resnet18.build}
# In how many ways PyTorch, and what it finds in a file, can say so.
NOT_A_MODEL = (
    pickle.UnpicklingError, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError,
    AttributeError,
)  # fmt: skip


@dataclass(frozen=True)
class Classifier:
    """A trained network and the scaling of its inputs: all that a prediction needs."""

    name: str
    network: nn.Module
    scaling: Scaling


def load(path: Path) -> Classifier:
    """Rebuild the network that a training stage saved.

    Raises
    ------
    Problem
        When the file is missing or holds something else.
    """
    try:
        saved = dict(torch.load(path, weights_only=True, map_location="cpu"))
        name = saved["architecture"]
        network = ARCHITECTURES[name](**saved["arguments"])
        network.load_state_dict(saved["state_dict"])
        return Classifier(name, network, Scaling(**saved["scaling"]))
    except FileNotFoundError:
        raise Problem(f"{path}: expected a model, found nothing; make it with: dvc repro") from None
    except NOT_A_MODEL:
        raise Problem(f"{path}: expected a model of this project, found another file") from None
