"""Hold all of params.yaml against the schemas of all stages, before any of them works.

A stage checks what it reads itself when it starts; a bad value of a late stage would be found
only after the early ones have run, and a section that no stage reads (a misspelt one) never.
"""

import importlib
import sys
from pathlib import Path

from stages import finetune
from taller.data import sources
from taller.data.origin import Network, Source
from taller.models import backbones
from taller.program import cli, params, portable
from taller.program.errors import Problem
from taller.training.numerics import choose_device
from tools import code_deps, pins


def check_params() -> None:
    """Check every value that a stage of dvc.yaml reads, and that there are no others.

    Raises
    ------
    Problem
        At the first section that no stage reads, or the first value that is out of range.
    """
    read: dict[str, object] = {"numerics": portable.Numerics}
    for name, items in code_deps.stages().items():
        stage = getattr(importlib.import_module(f"stages.{name}"), name)
        for item in items or [None]:
            read |= dict(cli.keys(stage, item).values())
        if items:
            _only(items, params.load().get(name), f"{name}.")
    _only(sorted({key.partition(".")[0] for key in read}), params.load())
    for key, schema in read.items():
        params.read(key, schema)
    choose_device(params.read("device", params.Device))
    name = params.read("dataset", sources.Name)
    raw, copies = (of(Path("data"), name) for of in (sources.raw, sources.files))
    # DVC would stumble over some pictures, or wait for ever. What was pulled, it has read already.
    if not sources.in_catalogue(name) and (raw.exists() or not copies.exists()):
        sources.check_pictures(raw, name)
    if params.read("pretrain.source", Source) != "auto":  # which network that is, download finds
        network = backbones.ALL[params.read("pretrain.network", Network)]
        finetune.parts_of(params.read("finetune", finetune.Params), network)


def _only(known: list[str], found: object, place: str = "") -> None:
    for name in found if isinstance(found, dict) else []:
        if name not in known:
            raise Problem(f"params.yaml: {place}{name}: expected one of {', '.join(known)}")


def main() -> None:
    with cli.one_line("check_params"):
        check_params()
        for line in pins.different():
            print(f"{line}: results may differ from the committed ones", file=sys.stderr)


if __name__ == "__main__":
    main()
