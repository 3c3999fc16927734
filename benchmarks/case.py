"""One measured case, in a process of its own: python -m benchmarks.case FUNCTION OPTIONS FILE.

FUNCTION, as ``module:name``, yields records, which are written to FILE as lines of JSON.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator

from taller.common import stage


def load_function(function: str) -> Callable:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(f"benchmarks.{module}"), name)


def time_training(prepare: str, images: int, epochs: int, **options) -> Iterator[dict]:
    """Time the training of one row, without imports; the accuracy is the first fold's.

    `prepare` takes a `Work` and the options, builds what does not depend on the images, and returns
    the function that is timed. That trains on data in memory, validates after each epoch where it
    can, and returns the accuracy of each fold that it trained without.
    """
    from benchmarks.work import Work

    work = Work(images, epochs)
    train = load_function(prepare)(work, **options)
    work.splits  # noqa: B018 (read and cut now, for all rows alike)
    start = time.perf_counter()
    accuracies = train()
    seconds = time.perf_counter() - start
    trained = images * epochs * len(accuracies) * (work.folds - 1) // work.folds
    yield {"images": trained, "seconds": seconds, "accuracy": accuracies[0]}


def main() -> None:
    function, options, path = sys.argv[1:]
    stage.end_with_parent(os.getppid())
    with stage.one_line(function), open(path, "w", encoding="utf-8") as file:
        for record in load_function(function)(**json.loads(options)):
            print(json.dumps(record), file=file, flush=True)


if __name__ == "__main__":
    main()
