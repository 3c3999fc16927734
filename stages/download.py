"""Get what the other stages need from outside, so that none of them touches the network.

The data set's files come from where they can be had, always as the same bytes. ImageNet's
ResNet-18 is got when `pretrain.source` calls for it; a JSON tells whether it is there.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from taller.data import mnist_files, weights
from taller.data.origin import Source
from taller.program import cli, files, params
from taller.program.errors import Problem


def folder_url(url: str) -> str:
    if not re.fullmatch(r"https?://.+/", url):
        raise ValueError("an http(s) address that ends in /")
    return url


class Params(params.Section):
    mnist_mirrors: list[Annotated[str, AfterValidator(folder_url)]]
    weights_url: Annotated[str, AfterValidator(weights.check_address)]
    timeout: int = Field(ge=1, le=600)


def download(
    params: Params,
    source: Source,
    raw: Path = Path("data/MNIST/raw"),
    pretrained: Path = Path("data/pretrained"),
) -> None:
    mnist_files.get(raw, params.mnist_mirrors, params.timeout)
    weights.check_in_place(params.weights_url, pretrained)
    requested, found = source in ("imagenet", "auto"), None
    if requested:
        try:
            found = weights.get(params.weights_url, params.timeout, pretrained)
        except Problem as problem:
            if source == "imagenet":
                raise
            print(f"{problem}; going on without them")
    else:
        weights.set_aside(params.weights_url, pretrained)
    # The origin is whose file it is, not what served it: the same file gives the same bytes.
    imagenet = {
        "requested": requested,
        "available": found is not None,
        "file": found and found.name,
        "sha256": found and files.sha256(found),
        "origin": found and params.weights_url,
    }
    files.write_json(pretrained / "pretrained.json", {"imagenet": imagenet})


if __name__ == "__main__":
    cli.main(download)
