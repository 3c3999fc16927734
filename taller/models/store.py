"""Model files: what `torch.load(..., weights_only=True)` gives back, made into a network."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated

import torch
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from torch import Tensor, nn
from typing_extensions import TypedDict

from taller.models.scaling import Scaling
from taller.program import files, reading
from taller.program.errors import Problem

# In how many ways PyTorch, and what it finds in a file, can say that it is no model.
UNREADABLE = (
    pickle.UnpicklingError, OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError,
    AttributeError,
)  # fmt: skip

# What a file may tell of sizes before anything of that size is made.
Size = Annotated[int, Field(ge=1, le=2**20)]
Level = Annotated[float, Field(allow_inf_nan=False)]
Spread = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@with_config(reading.STRICT)
class _Scaling(TypedDict):
    mean: Annotated[list[Level], Field(min_length=1)]
    std: Annotated[list[Spread], Field(min_length=1)]
    size: Annotated[list[Size], Field(min_length=2, max_length=2)]


Knob = Size | Level | Annotated[list[Size], Field(max_length=64)]


@with_config(ConfigDict(**reading.STRICT, arbitrary_types_allowed=True))
class _File(TypedDict):
    architecture: str
    arguments: dict[str, Knob]
    names: list[str]
    scaling: _Scaling
    state_dict: dict[str, Tensor]


FILE = TypeAdapter(_File)


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
    shape : tuple of int
        Channels, height and width of the stored images.
    """

    architecture: str
    network: nn.Module
    scaling: Scaling
    names: tuple[str, ...]
    shape: tuple[int, int, int]


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
    saved = {
        "architecture": architecture,
        "arguments": {key: _plain(value) for key, value in arguments.items()},
        "names": list(names),
        "scaling": scaling.as_dict(),
        "state_dict": state,
    }
    with files.whole(path) as file:
        torch.save(saved, file)


def load(path: Path, architectures: Mapping[str, ModuleType]) -> Classifier:
    """Rebuild the network that a stage saved.

    Parameters
    ----------
    architectures : mapping of str to module
        Those that are expected, by name, as in `architectures.ALL`.

    Raises
    ------
    Problem
        When the file is missing or holds something else: another architecture, weights of other
        shapes or that are no numbers, code.
    """
    try:
        with reading.opened(path) as file:
            content = torch.load(file, weights_only=True, map_location="cpu")
        return _rebuilt(path, content, architectures)
    except FileNotFoundError:
        raise Problem(f"{path}: expected a model, found nothing; make it with: dvc repro") from None
    except PermissionError:
        raise
    except UNREADABLE:
        expected = " or ".join(architectures)
        raise Problem(f"{path}: expected a model ({expected}), found another file") from None


def check_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise a `Problem` that names the first weights that are not all numbers."""
    for name, weights in state.items():
        if weights.is_floating_point() and not weights.isfinite().all():
            raise Problem(f"{path}: {name}: expected finite weights, found NaN or infinity")


def _rebuilt(path: Path, content: object, architectures: Mapping[str, ModuleType]) -> Classifier:
    saved = FILE.validate_python(content)
    build, arguments = architectures[saved["architecture"]].build, saved["arguments"]
    shape, names, state = tuple(arguments["shape"]), saved["names"], saved["state_dict"]
    if len(shape) != 3 or len(names) not in (0, arguments["classes"]):
        raise ValueError("names that are not the classes'")
    # Sizes cost nothing on this device: a file that tells of more than it holds is found out here.
    with torch.device("meta"):
        expected = build(**arguments).state_dict()
    if _forms(state) != _forms(expected):
        raise ValueError("weights of other shapes")
    if sum(weights.nbytes for weights in state.values()) > path.stat().st_size:
        raise ValueError("more weights than bytes")
    check_finite(path, state)
    network = build(**arguments)
    network.load_state_dict(state)
    scaling = Scaling.from_dict(saved["scaling"])
    return Classifier(saved["architecture"], network, scaling, tuple(names), shape)


def _forms(state: Mapping[str, Tensor]) -> dict[str, tuple]:
    return {name: (part.shape, part.dtype, part.layout) for name, part in state.items()}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
