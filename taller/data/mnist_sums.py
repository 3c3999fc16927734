"""The checksums of MNIST's four files: whoever gets or reads them holds them against these."""

from pathlib import Path

from taller.program import files
from taller.program.errors import Problem

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
REMEDY = "move it away or delete it"


def check(file: Path) -> None:
    """Raise a `Problem` that names `file`, unless it is the one of MNIST's of that name."""
    try:
        found = files.sha256(file)
    except OSError as error:
        raise Problem(f"{file}: expected a file, found: {error.strerror}; {REMEDY}") from None
    except Problem as problem:
        raise Problem(f"{problem}; {REMEDY}") from None
    if found != (expected := SHA256[file.name]):
        raise Problem(f"{file}: expected SHA-256 {expected[:8]}..., found {found[:8]}...; {REMEDY}")
