"""Read params.yaml against schemas: each stage its own section, and the shared keys."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from taller.program import plain_yaml, reading
from taller.program.errors import Problem

PARAMS_FILE = Path("params.yaml")


@dataclass(frozen=True)
class Key:
    """Where in params.yaml the value of a stage function's argument stands."""

    path: str


@dataclass(frozen=True)
class PerItem:
    """Marks the section of a stage that DVC runs for every item of a matrix: ``STAGE.ITEM``.

    Attributes
    ----------
    schema : callable
        From the item to the schema of its section.
    """

    schema: Callable[[str], type["Section"]]


Seed = Annotated[int, Field(ge=0, lt=2**31), Key("seed")]
Repeats = Annotated[int, Field(ge=1, le=20), Key("preprocess.repeats")]
Threads = Annotated[int, Field(ge=1, le=64), Key("threads")]
Device = Annotated[Literal["auto", "cpu", "cuda"], Key("device")]


class Section(BaseModel):
    """A section of params.yaml; a stage subclasses it with its fields and their ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def load(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Parse `path` into what DVC reads too (`plain_yaml`).

    Raises
    ------
    Problem
        When the file is missing, or is not YAML with sections. Whose the sections are is not
        checked here, where a new one would rerun every stage: `tools.check_params` does.
    """
    try:
        values = plain_yaml.parse(reading.text(path), path)
    except FileNotFoundError:
        raise Problem(f"{path}: expected in the current folder, found nothing") from None
    if not isinstance(values, dict):
        raise Problem(f"{path}: expected sections, found {reading.shown(values)}")
    return values


def read(key: str, schema: Any, path: Path = PARAMS_FILE) -> Any:
    """Read one value or section and hold it against its schema.

    Parameters
    ----------
    key : str
        Dotted place in the file, such as ``seed`` or ``pretrain.source``.
    schema : type
        A `Section` subclass, or an annotated type such as `Seed`.

    Raises
    ------
    Problem
        Naming the key, what was expected and what was found.
    """
    value: Any = load(path)
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            raise Problem(f"{path}: {key}: expected a value, found nothing")
        value = value[name]
    try:
        return TypeAdapter(schema).validate_python(value, strict=True)
    except ValidationError as error:
        known = getattr(schema, "model_fields", ())
        raise Problem(f"{path}: {reading.explained(error, key, known)}") from None
