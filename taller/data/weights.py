"""ImageNet's ResNet-18: where its file can be had, always as the same bytes."""

import os
import re
import shutil
from itertools import count
from pathlib import Path

from taller.data import fetch
from taller.program.errors import Problem
from taller.program.files import sha256

# As PyTorch names its weights: the digits are the beginning of the file's SHA-256.
ADDRESS = re.compile(r"https?://.+/(?P<file>[\w.-]+-(?P<sha256>[0-9a-f]{8,64})\.pth)")


def check_address(url: str) -> str:
    """The address itself, or a ValueError that says what one looks like."""
    if not ADDRESS.fullmatch(url):
        raise ValueError("an http(s) address that ends in /NAME-SHA256.pth, 8 digits or more")
    return url


def get(url: str, timeout: int, folder: Path) -> Path:
    """The weights of the address `url`: in `folder`, from torch's own cache, or fetched.

    Parameters
    ----------
    timeout : int
        Seconds to wait for an answer.

    Raises
    ------
    Problem
        Naming the file to put in place by hand, and why it could not be fetched.
    """
    name, digits = ADDRESS.fullmatch(url).group("file", "sha256")
    weights, cached = folder / name, torch_cache() / name
    if weights.exists():
        print(f"ImageNet weights: in place, {weights}")
    elif cached.exists() and sha256(cached).startswith(digits):
        fetch.put(weights, cached.read_bytes())
        print(f"ImageNet weights: from {cached}")
    else:
        try:
            fetch.fetch(url, weights, digits, timeout)
        except Problem as problem:
            raise Problem(f"ImageNet weights: put {name} into {folder}; {problem}") from None
        print(f"ImageNet weights: from {url}")
    return weights


def check_in_place(url: str, folder: Path) -> None:
    """Refuse a file of the weights' name in `folder` that is another file; it stays as it is.

    Raises
    ------
    Problem
        Naming it, with the SHA-256 expected and found.
    """
    name, digits = ADDRESS.fullmatch(url).group("file", "sha256")
    weights = folder / name
    if os.path.lexists(weights) and (found := sha256(weights)[: len(digits)]) != digits:
        raise Problem(
            f"{weights}: expected SHA-256 {digits}, found {found}; move it away or delete it"
        )


def set_aside(url: str, folder: Path) -> None:
    """Move weights that nobody asked for to torch's own cache, where they are found again.

    The folder is one input of `pretrain`: what lies in it unused would train it anew.
    """
    weights = folder / ADDRESS.fullmatch(url)["file"]
    if weights.exists():
        place = _free(torch_cache() / weights.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(weights, place)
        print(f"ImageNet weights: not asked for, moved to {place}")


def torch_cache() -> Path:
    """Where torch.hub keeps weights; told here because importing torch takes seconds."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()
    return home / "hub/checkpoints"


def _free(path: Path) -> Path:
    """`path`, or the first of ``PATH.1``, ``PATH.2``, ... that overwrites nothing."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return path if not path.exists() else next(place for place in numbered if not place.exists())
