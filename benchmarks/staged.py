"""A stage, and what it spent its seconds on: python -m benchmarks.staged STAGE [ITEM].

Importing is all from the start of the process until the stage's module is there; loading and
writing are what it does through the project's own functions; computing is the rest, the start of
worker processes among it. Appends a line of JSON to the file ``BENCHMARKS_TIMES``.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import ModuleType

import psutil

LOADING = {
    "taller.data.dataset": ["load"],
    "taller.data.splits": ["load"],
    "taller.data.idx_source": ["read"],
    "taller.models.store": ["load"],
    "taller.models.bases": ["load"],
    "taller.scores.results": ["read"],
    "taller.report.asides": ["read"],
}
WRITING = {
    "taller.data.dataset": ["save"],
    "taller.models.store": ["save"],
    "taller.program.files": ["room"],  # what is put into a file; the file is made in memory
}
spent = {"importing": 0.0, "loading": 0.0, "writing": 0.0}
inside: list[str] = []


@contextmanager
def measured(step: str) -> Iterator[None]:
    """Count the block's seconds, unless it is within another that is counted."""
    inside.append(step)
    start = time.perf_counter()
    try:
        yield
    finally:
        inside.pop()
        if not inside:
            spent[step] += time.perf_counter() - start


def watch(modules: dict[str, list[str]], step: str) -> None:
    """Put a clock around the functions of modules that are imported."""
    for module, names in modules.items():
        for name in names if module in sys.modules else ():
            found = getattr(sys.modules[module], name)
            manager = hasattr(found, "__wrapped__")
            setattr(sys.modules[module], name, (_block if manager else _call)(found, step))


def _call(function: Callable, step: str) -> Callable:
    @wraps(function)
    def timed(*arguments, **options):
        with measured(step):
            return function(*arguments, **options)

    return timed


def _block(function: Callable, step: str) -> Callable:
    @contextmanager
    def timed(*arguments, **options):
        with measured(step), function(*arguments, **options) as value:
            yield value

    return timed


def main() -> None:
    name, *items = sys.argv[1:]
    begun = psutil.Process().create_time()
    stage: ModuleType = importlib.import_module(f"stages.{name}")
    if items:  # the stage imports its network when it reads its params
        importlib.import_module(f"taller.models.{items[0]}")
    spent["importing"] = time.time() - begun
    watch(LOADING, "loading")
    watch(WRITING, "writing")
    from taller.program import cli

    sys.argv = [name, *items]
    cli.main(getattr(stage, name))
    whole = time.time() - begun
    line = {"stage": "@".join([name, *items]), **spent, "computing": whole - sum(spent.values())}
    with open(os.environ["BENCHMARKS_TIMES"], "a", encoding="utf-8") as file:
        print(json.dumps(line), file=file)


if __name__ == "__main__":
    main()
