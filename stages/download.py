"""Get what the other stages need from outside, so that none of them touches the network.

MNIST's four files come from where they can be had, always as the same bytes. ImageNet's
ResNet-18 is got when `pretrain.source` calls for it; a JSON tells whether it is there.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from taller.data import fetch, mnist
from taller.program import cli, files, params
from taller.program.errors import Problem
from taller.program.params import Source

# As PyTorch names its weights: the digits are the beginning of the file's SHA-256.
WEIGHTS_URL = re.compile(r"https?://.+/(?P<file>[\w.-]+-(?P<sha256>[0-9a-f]{8,64})\.pth)")


def folder_url(url: str) -> str:
    if not re.fullmatch(r"https?://.+/", url):
        raise ValueError("an http(s) address that ends in /")
    return url


def weights_url(url: str) -> str:
    if not WEIGHTS_URL.fullmatch(url):
        raise ValueError("an http(s) address that ends in /NAME-SHA256.pth, 8 digits or more")
    return url


class Params(params.Section):
    mnist_mirrors: list[Annotated[str, AfterValidator(folder_url)]]
    weights_url: Annotated[str, AfterValidator(weights_url)]
    timeout: int = Field(ge=1, le=600)


def download(
    params: Params,
    source: Source,
    raw: Path = Path("data/MNIST/raw"),
    pretrained: Path = Path("data/pretrained"),
) -> None:
    mnist.get(raw, params.mnist_mirrors, params.timeout)
    requested, weights = source in ("imagenet", "auto"), None
    if requested:
        try:
            weights = get_weights(params.weights_url, params.timeout, pretrained)
        except Problem as problem:
            if source == "imagenet":
                raise
            print(f"{problem}; going on without them")
    else:
        set_aside(params.weights_url, pretrained)
    # The origin is whose file it is, not what served it: the same file gives the same bytes.
    imagenet = {
        "requested": requested,
        "available": weights is not None,
        "file": weights and weights.name,
        "sha256": weights and files.sha256(weights),
        "origin": weights and params.weights_url,
    }
    files.write_json(pretrained / "pretrained.json", {"imagenet": imagenet})


def get_weights(url: str, timeout: int, pretrained: Path) -> Path:
    """ImageNet's ResNet-18: in the folder `pretrained`, from torch's own cache, or fetched.

    Raises
    ------
    Problem
        Naming the file to put in place by hand, and why it could not be fetched.
    """
    file, digits = WEIGHTS_URL.fullmatch(url).group("file", "sha256")
    weights, cached = pretrained / file, torch_home() / "hub/checkpoints" / file
    drop_corrupt(weights, digits)
    if weights.exists():
        print(f"ImageNet weights: in place, {weights}")
    elif cached.exists() and files.sha256(cached).startswith(digits):
        fetch.put(weights, cached.read_bytes())
        print(f"ImageNet weights: from {cached}")
    else:
        try:
            fetch.fetch(url, weights, digits, timeout)
        except Problem as problem:
            raise Problem(f"ImageNet weights: put {file} into {pretrained}; {problem}") from None
        print(f"ImageNet weights: from {url}")
    return weights


def drop_corrupt(weights: Path, digits: str) -> None:
    """Remove a file whose SHA-256 does not begin with `digits`, and say so."""
    if weights.exists() and (found := files.sha256(weights)[: len(digits)]) != digits:
        print(f"{weights}: removed, expected SHA-256 {digits}, found {found}")
        weights.unlink()


def set_aside(url: str, pretrained: Path) -> None:
    """Move weights that nobody asked for to torch's own cache, where they are found again.

    The folder is one input of `pretrain`: what lies in it unused would train it anew.
    """
    file, digits = WEIGHTS_URL.fullmatch(url).group("file", "sha256")
    drop_corrupt(pretrained / file, digits)
    if (pretrained / file).exists():
        cache = torch_home() / "hub/checkpoints"
        cache.mkdir(parents=True, exist_ok=True)
        shutil.move(pretrained / file, cache / file)
        print(f"ImageNet weights: not asked for, moved to {cache / file}")


def torch_home() -> Path:
    """Where torch.hub keeps its files; told here because importing torch takes seconds."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch")).expanduser()


if __name__ == "__main__":
    cli.main(download)
