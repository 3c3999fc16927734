"""Read params.yaml against schemas: each stage its own section, and the shared keys."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

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


class _Yaml12Loader(yaml.SafeLoader):
    """PyYAML reads `1e-3` as a string (YAML 1.1), DVC as a number (YAML 1.2)."""


_Yaml12Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def load(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Parse `path`; as for DVC, and unlike for PyYAML alone, ``1e-3`` is a number.

    Raises
    ------
    Problem
        When the file is missing, or is not YAML with sections. Whose the sections are is not
        checked here, where a new one would rerun every stage: `tools.check_params` does.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Yaml12Loader)
    except FileNotFoundError:
        raise Problem(f"{path}: expected in the current folder, found nothing") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: expected YAML, found: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise Problem(f"{path}: expected sections, found {values!r}")
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
        raise Problem(f"{path}: {_explain(error, key, schema)}") from None


def _explain(error: ValidationError, key: str, schema: Any) -> str:
    # An unknown key first: it is the likely reason why another one is missing.
    first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    # A union reports its branches by type name; the user's key is what comes before them.
    place = ".".join([key, *(str(part) for part in first["loc"])])
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "extra_forbidden":
        known = ", ".join(schema.model_fields)
        return f"{place}: unknown key, expected one of {known}{more}"
    if first["type"] == "missing":
        return f"{place}: expected a value, found nothing{more}"
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{place}: expected {expected}, found {first['input']!r}{more}"
