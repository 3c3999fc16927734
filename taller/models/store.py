"""Model files: what `torch.load(..., weights_only=True)` gives back, made into a network."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from taller.models.scaling import Scaling
from taller.program.errors import Problem

# In how many ways PyTorch, and what it finds in a file, can say that it is no model.
UNREADABLE = (
    pickle.UnpicklingError, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError,
    AttributeError,
)  # fmt: skip


@dataclass(frozen=True)
class Classifier:
    """All that a prediction needs: a trained network and what goes in and comes out of it.

    Attributes
    ----------
    architecture : str
    network : Module
        From (n, channels, height, width) to logits, (n, classes).
    scaling : Scaling
        From stored images to the network's inputs.
    names : tuple of str
        Of the classes, as the logits stand.
    """

    architecture: str
    network: nn.Module
    scaling: Scaling
    names: tuple[str, ...]


def save(
    path: Path,
    architecture: str,
    arguments: dict[str, object],
    scaling: Scaling,
    names: Sequence[str],
    state: dict[str, Tensor],
) -> None:
    """Write a model: the same bytes for the same weights.

    Parameters
    ----------
    arguments : dict
        What ``build`` of the architecture is called with.
    state : dict of Tensor
        The network's state dict.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "architecture": architecture,
            "arguments": {key: _plain(value) for key, value in arguments.items()},
            "names": list(names),
            "scaling": scaling.as_dict(),
            "state_dict": state,
        },
        path,
    )


def load(path: Path, architectures: Mapping[str, ModuleType]) -> Classifier:
    """Rebuild the network that a stage saved.

    Parameters
    ----------
    architectures : mapping of str to module
        Those that are expected, by name, as in `architectures.ALL`.

    Raises
    ------
    Problem
        When the file is missing or holds something else.
    """
    try:
        saved = dict(torch.load(path, weights_only=True, map_location="cpu"))
        architecture = saved["architecture"]
        network = architectures[architecture].build(**saved["arguments"])
        network.load_state_dict(saved["state_dict"])
        scaling = Scaling.from_dict(saved["scaling"])
        return Classifier(architecture, network, scaling, tuple(saved["names"]))
    except FileNotFoundError:
        raise Problem(f"{path}: expected a model, found nothing; make it with: dvc repro") from None
    except (PermissionError, IsADirectoryError):
        raise
    except UNREADABLE:
        expected = " or ".join(architectures)
        raise Problem(f"{path}: expected a model ({expected}), found another file") from None


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
