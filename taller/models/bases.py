"""The files of the pretrained networks: one for each repeat, or one that all of them start from."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, with_config
from typing_extensions import TypedDict

from taller.models import backbones, store
from taller.models.store import Classifier
from taller.program import files, reading
from taller.program.errors import Problem

COUNT = "networks.json"


@with_config(reading.STRICT)
class _Count(TypedDict):
    networks: Annotated[int, Field(ge=1, le=20)]


def places(models: Path, network: str) -> tuple[Path, Path]:
    """The first one's file in the folder of models, and the folder of the others.

    Parameters
    ----------
    network : str
        As params.yaml has it.
    """
    return models / f"{network}_base.pth", models / f"{network}_bases"


def paths(first: Path, others: Path, count: int) -> list[Path]:
    """Where `count` networks are stored: the first one's file, and ``2.pth`` … in a folder."""
    return [first, *(others / f"{repeat}.pth" for repeat in range(2, count + 1))]


def tell(others: Path, count: int) -> None:
    """Say in the folder how many networks there are; it is never empty, of which DVC would warn."""
    files.write_json(others / COUNT, {"networks": count})


def load(first: Path, others: Path, repeats: int) -> list[Classifier]:
    """The network that each repeat starts from.

    Raises
    ------
    Problem
        When there are neither as many as repeats nor one for all of them.
    """
    count = reading.json(others / COUNT, _Count)["networks"]
    if count not in (1, repeats):
        raise Problem(f"{others}: expected networks for {repeats} repeats, found {count}")
    found = [store.load(path, backbones.ARCHITECTURES) for path in paths(first, others, count)]
    return found if count == repeats else found * repeats
