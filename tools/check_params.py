"""Hold all of params.yaml against the schemas of all stages, before any of them works.

A stage checks what it reads itself when it starts; a bad value of a late stage would be found
only after the early ones have run.
"""

import importlib
import sys

from taller.program import cli, params
from taller.program.errors import Problem
from taller.training.engine import choose_device

STAGES = ("download", "preprocess", "kfold_train", "pretrain", "finetune", "evaluate", "compare")


def main() -> None:
    try:
        for name in STAGES:
            stage = getattr(importlib.import_module(f"stages.{name}"), name)
            for key, schema in cli.keys(stage).values():
                params.read(key, schema)
        choose_device(params.read("device", params.Device))
    except Problem as problem:
        sys.exit(f"check_params: {problem}")


if __name__ == "__main__":
    main()
