"""Get what the other stages need from outside, so that none of them touches the network.

A data set of the catalogue comes from where it can be had, always as the same bytes; pictures of
your own are in place already. DVC gets copies: what lies in ``raw`` it can neither change nor
delete, and where a clone has pulled the copies alone, ``raw`` is filled from them. ImageNet's
weights are got when `pretrain.source` calls for them; a JSON tells whether they are there.
"""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from taller.data import folder, idx_files, shared, sources, weights
from taller.data.idx_sets import SETS
from taller.data.origin import Network, Source
from taller.program import cli, files, params


def folder_url(url: str) -> str:
    if not re.fullmatch(r"https?://.+/", url):
        raise ValueError("an http(s) address that ends in /")
    return url


Mirrors = list[Annotated[str, AfterValidator(folder_url)]]


class MirrorsOf(params.Section):
    MNIST: Mirrors
    FashionMNIST: Mirrors
    KMNIST: Mirrors


class Params(params.Section):
    mirrors: MirrorsOf
    weights_url: Annotated[str, AfterValidator(weights.check_address)]
    timeout: int = Field(ge=1, le=600)


def download(
    params: Params,
    name: sources.Name,
    source: Source,
    network: Network,
    data: Path = Path("data"),
    pretrained: Path = Path("data/pretrained"),
    cache: Path = Path(".cache"),
) -> None:
    raw, copies = sources.raw(data, name), sources.files(data, name)
    memory = cache / "originals" / f"{name}.json"
    if sources.in_catalogue(name):
        known, mirrors = SETS[name], params.mirrors.model_dump()[name]
        idx_files.get(known, raw, mirrors, params.timeout, copies)
        shared.update(copies, raw, idx_files.in_place(known, raw), memory, force=True)
        print(f"{name}: {known.licence}")
    else:
        back = shared.put_back(raw, copies, memory)
        listed = sources.check_pictures(raw, name)
        folder.tell(folder.LEFT_OUT, listed.left_out)
        shared.update(copies, raw, listed.files, memory)
        told = f"put back from {copies}" if back else "they stay as they are"
        print(f"{name}: pictures of your own, in {raw}; {told}")
    told = weights.provide(source, network, params.weights_url, params.timeout, pretrained)
    files.write_json(pretrained / "pretrained.json", {"imagenet": told})


if __name__ == "__main__":
    cli.main(download)
