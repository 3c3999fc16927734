"""Where the weights that fine-tuning starts from come from, and what `download` says of them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from taller.program import reading
from taller.program.errors import Problem
from taller.program.files import sha256
from taller.program.params import Key

Network = Annotated[Literal["resnet18", "efficientnet_lite0"], Key("pretrain.network")]
Source = Annotated[Literal["auto", "imagenet", "glyphs", "none"], Key("pretrain.source")]


@with_config(reading.STRICT)
class Download(TypedDict):
    """What `download` tells of the weights: whether they were asked for, and are there as what.

    ``network`` is whose they are: with `pretrain.source: auto` perhaps another's than the param's.
    """

    requested: bool
    available: bool
    network: Network | None
    file: Annotated[str, Field(pattern=r"^[\w-][\w.-]*$")] | None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None
    origin: str | None


@with_config(reading.STRICT)
class Told(TypedDict):
    """``pretrained.json``."""

    imagenet: Download


def told(folder: Path) -> Download:
    """What `download` says of the weights in `folder`.

    Raises
    ------
    Problem
        Naming the file, what was expected and what was found.
    """
    path = folder / "pretrained.json"
    found = reading.json(path, Told)["imagenet"]
    if found["available"] and None in (found["network"], found["file"], found["sha256"]):
        raise Problem(
            f"{path}: imagenet: expected network, file and sha256 where available, found null"
        )
    return found


def in_place(folder: Path, told: Download) -> Path:
    """The file of the weights in `folder`, which must be the one that was told of.

    Raises
    ------
    Problem
        Naming what is another file, or was not got at all.
    """
    if not told["available"]:
        raise Problem(f"{folder}: expected ImageNet's weights, found none; run download")
    weights, expected = folder / told["file"], told["sha256"]
    if (found := sha256(weights)) != expected:
        raise Problem(f"{weights}: expected SHA-256 {expected[:8]}..., found {found[:8]}...")
    return weights
