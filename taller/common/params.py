"""Read params.yaml against schemas: each stage its own section, and the keys that all share."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from taller.common.terminal import UserError, printable

PARAMS_FILE = Path("params.yaml")
NETWORKS = Path(__file__).parents[1] / "networks"


class Section(BaseModel):
    """A section of params.yaml; subclasses declare its fields and their ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _network(name: str) -> str:
    names = sorted(path.stem for path in NETWORKS.glob("[a-z]*.py"))
    if name not in names:
        raise ValueError(f"a file of taller/networks ({', '.join(names)})")
    return name


def _dataset(name: str) -> str:
    if name in ("train", "test"):
        raise ValueError("another name than train and test, the pipeline's own folders")
    return name


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Threads = Annotated[int, Field(ge=1, le=64)]
Device = Literal["auto", "cpu", "cuda"]
Repeats = Annotated[int, Field(ge=1, le=20)]
Numerics = Literal["portable", "native"]
NetworkName = Annotated[str, AfterValidator(_network)]
SectionName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=40)]
# A name of the catalogue, or of a folder of pictures: data/NAME/raw.
DatasetName = Annotated[
    str, Field(pattern=r"^\w[\w.-]*( [\w.-]+)*$", max_length=50), AfterValidator(_dataset)
]


class _Loader(yaml.SafeLoader):
    """PyYAML's, but ``1e-3`` is a number and a key that stands twice an error, as for DVC."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = []
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value} twice", problem_mark=key.start_mark
                )
            seen.append(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def load(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Parse `path`; a `UserError` where it is missing, or is not YAML with sections."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: expected in the current folder, found nothing") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected YAML, found: {printable(str(error))}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected sections, found {printable(values)}")
    return values


def read(key: str, schema: Any, path: Path = PARAMS_FILE) -> Any:
    """Read one value or section and hold it against its schema.

    `key` is its dotted place, such as ``seed`` or ``kfold_train.cnn``; `schema` is a `Section`, or
    an annotated type such as `Seed`. A `UserError` names the key, what it expected and found.
    """
    value: Any = load(path)
    for name in key.split("."):
        if not isinstance(value, dict) or name not in value:
            raise UserError(f"{path}: {key}: expected a value, found nothing")
        value = value[name]
    try:
        return TypeAdapter(schema).validate_python(value, strict=True)
    except ValidationError as error:
        fields = ", ".join(getattr(schema, "model_fields", ())) or "none"
        raise UserError(f"{path}: {_explain(error, key, fields)}") from None


def _explain(error: ValidationError, key: str, fields: str) -> str:
    # An unknown key first: it is the likely reason why another one is missing.
    first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = printable(".".join([key, *(str(part) for part in first["loc"])]))
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key, expected one of {fields}{more}"
    if first["type"] == "missing":
        return f"{where}: expected a value, found nothing{more}"
    expected = re.sub(r"^(\w+ should (be |have |match )?|Value error, )", "", first["msg"])
    return f"{where}: expected {expected}, found {printable(repr(first['input']))}{more}"


@dataclass(frozen=True)
class Contestant:
    """A network that takes part: a section of params.yaml, and where its results are."""

    kind: Literal["scratch", "finetuned"]
    name: str  # of the section, without its stage

    @property
    def section(self) -> str:
        return f"{'kfold_train' if self.kind == 'scratch' else 'finetune'}.{self.name}"

    @property
    def model(self) -> Path:
        return Path("modelos", self.kind, f"{self.name}.pth")

    @property
    def cv(self) -> Path:
        return Path("resultados/cv", self.kind, self.name)

    @property
    def test(self) -> Path:
        return Path("resultados/test", self.name)


def contestants(path: Path = PARAMS_FILE) -> list[Contestant]:
    """All contestants in the file's order, those trained from scratch first.

    Raises a `UserError` where a name is no section name, or stands in both places.
    """
    scratch = read("kfold_train", dict[SectionName, Any], path)
    finetuned = read("finetune", dict[SectionName, Any], path)
    if both := sorted({*scratch} & {*finetuned}):
        raise UserError(f"{path}: finetune.{both[0]}: expected a name that kfold_train lacks")
    kinds = {**dict.fromkeys(scratch, "scratch"), **dict.fromkeys(finetuned, "finetuned")}
    return [Contestant(kind, name) for name, kind in kinds.items()]
