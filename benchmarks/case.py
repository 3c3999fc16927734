"""One measured case, in a process of its own: `benchmarks.protocol` starts it.

    python -m benchmarks.case FUNCTION ARGUMENTS DESCRIPTOR [MODULE ...]

Imports FUNCTION's module and the others, once. Then each line that is read asks for a round:
FUNCTION, as ``module:name``, is run in a fresh copy of this process and yields records; each is
written as a line of JSON to the open file DESCRIPTOR, and ``null`` when there are no more, as when
all is imported. Where processes are not copied, there is one round, in this process.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from statistics import fmean
from typing import TextIO

from benchmarks.work import Work

COPIES = sys.platform == "linux"


def trained(
    module: str, work: dict, options: dict | None = None, judged: int | None = None
) -> Iterator[dict]:
    """Time one of `benchmarks.rows`: its training alone, without imports.

    Parameters
    ----------
    work : dict
        Fields of a `Work`.
    options : dict, optional
        For the row's ``prepare``.
    judged : int, optional
        Of how many folds the accuracy is; by default all that were trained without.
    """
    work = Work(**work)
    fit = importlib.import_module(f"benchmarks.rows.{module}").prepare(work, **options or {})
    work.data, work.splits  # noqa: B018 (read and cut now, for all rows alike)
    start = time.perf_counter()
    accuracies = fit()
    seconds = time.perf_counter() - start
    yield {
        "images": round(work.trained * len(accuracies) / work.folds),
        "seconds": seconds,
        "accuracy": fmean(accuracies[:judged]),
    }


def main() -> None:
    name, arguments, descriptor, *others = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)  # or workers would keep it open
    with open(int(descriptor), "w", encoding="utf-8") as answer:
        with suppress(ModuleNotFoundError):  # which a round tells
            for one in (name.partition(":")[0], *others):
                importlib.import_module(one)
        print("null", file=answer, flush=True)
        for _ in sys.stdin:
            if not COPIES or (copy := os.fork()) == 0:
                return answered(name, json.loads(arguments), answer)
            # When it has said goodbye, too, or the next case would be measured beside that.
            if status := os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]):
                sys.exit(1 if status > 0 else f"ended by signal {-status}")
            print("null", file=answer, flush=True)


def answered(name: str, arguments: dict, answer: TextIO) -> None:
    """Run the function and write what it yields; a library that is not there is told."""
    module, _, function = name.partition(":")
    try:
        for record in getattr(importlib.import_module(module), function)(**arguments):
            print(json.dumps(record), file=answer, flush=True)
    except ModuleNotFoundError as error:
        if str(error.name).startswith(("benchmarks", "stages", "taller")):
            raise
        print(json.dumps({"note": f"not installed: {error.name}"}), file=answer, flush=True)
    if not COPIES:
        print("null", file=answer, flush=True)


if __name__ == "__main__":
    main()
