"""Where a data set's images are read from: the catalogue's files, or a folder of pictures."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from taller.data import folder, idx_sets
from taller.data.folder import Listing
from taller.data.idx_sets import SETS
from taller.program.errors import Problem
from taller.program.params import Key

# Folders of `data` that are the pipeline's own.
TAKEN = ("pretrained", "processed")


def folder_name(name: str) -> str:
    if name.casefold() in TAKEN:
        raise ValueError(f"another name than {' and '.join(TAKEN)}, the pipeline's own folders")
    return name


# The data set's name: of the catalogue, or of a folder with pictures, data/NAME/raw.
Name = Annotated[
    str,
    Field(pattern=r"^\w[\w.-]*( [\w.-]+)*$", max_length=50),
    AfterValidator(folder_name),
    Key("dataset"),
]


def raw(data: Path, name: str) -> Path:
    """The folder of a data set's files, as torchvision has it, which DVC only looks at."""
    return data / name / "raw"


def files(data: Path, name: str) -> Path:
    """The folder of their copies, which DVC versions and the other stages read."""
    return data / name / "files"


def check_pictures(raw: Path, name: str) -> Listing:
    """List a folder of pictures, by names.

    What is in the files, `preprocess` looks at; here already what DVC would stumble over, such as
    a link to nothing, or wait for, such as a named pipe.

    Raises
    ------
    Problem
        Saying what goes where, unless `raw` is such a folder.
    """
    if raw.is_dir() and any(raw.iterdir()):
        return folder.listing(raw)
    known = ", ".join(idx_sets.SETS)
    found = "an empty folder" if raw.is_dir() else "a file" if raw.exists() else "nothing"
    raise Problem(
        f"{raw}: expected a folder of pictures for each class, since what params.yaml has as "
        f"dataset, {name}, is not of the catalogue ({known}), found {found}"
    )


def in_catalogue(name: str) -> bool:
    return name in SETS
