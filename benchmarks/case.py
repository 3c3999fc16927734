"""One measured case, in a process of its own: `benchmarks.protocol` starts it.

    python -m benchmarks.case FUNCTION ARGUMENTS DESCRIPTOR

FUNCTION, as ``module:name``, yields records; each is written as a line of JSON to the open file
DESCRIPTOR, and ``null`` when there are no more.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from statistics import fmean

from benchmarks.work import Work


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
    name, arguments, descriptor = sys.argv[1:]
    module, _, function = name.partition(":")
    os.set_inheritable(int(descriptor), False)  # or workers would keep it open
    with open(int(descriptor), "w", encoding="utf-8") as answer:
        try:
            for record in getattr(importlib.import_module(module), function)(
                **json.loads(arguments)
            ):
                print(json.dumps(record), file=answer, flush=True)
        except ModuleNotFoundError as error:
            if str(error.name).startswith(("benchmarks", "stages", "taller")):
                raise
            print(json.dumps({"note": f"not installed: {error.name}"}), file=answer, flush=True)
        print("null", file=answer, flush=True)


if __name__ == "__main__":
    main()
