"""What DVC follows of a stage, its own code and libraries, held against what it really imports."""

import json
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from tools import code_deps, pins

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
RUNS = [(stage, item) for stage, items in code_deps.stages(ROOT).items() for item in items or [""]]

# Imports each stage in a process of its own, which begins with the libraries loaded: torch takes
# a second. Prints the files of the modules that are loaded then.
IMPORTER = """
import importlib, json, os, sys
import pandas, pydantic, seaborn, sklearn.model_selection, torchvision
from torch.utils import flop_counter

for stage, item in json.loads(sys.argv[1]):
    if os.fork() == 0:
        module = importlib.import_module(f"stages.{stage}")
        from taller.program import cli
        cli.keys(getattr(module, stage), item or None)
        files = [getattr(one, "__file__", None) for one in [*sys.modules.values()]]
        print(json.dumps(files), flush=True)
        os._exit(0)  # at once: torch takes a second to say goodbye, too
    os.wait()
"""


def test_declared_code_is_what_python_loads():
    run = subprocess.run(
        [sys.executable, "-c", IMPORTER, json.dumps(RUNS)],
        cwd=ROOT, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    lines = run.stdout.splitlines()
    for (stage, item), line in zip(RUNS, lines, strict=True):
        files = {Path(name) for name in json.loads(line) if name}
        loaded = {str(file.relative_to(ROOT)) for file in files if file.is_relative_to(ROOT)}
        listed = [name.replace("${item.network}", item) for name in PIPELINE[stage]["deps"]]
        own = {name for name in loaded if name.startswith(("stages/", "taller/"))}
        assert own == {name for name in listed if name.endswith(".py")}, (stage, item)


@pytest.mark.parametrize("stage", PIPELINE)
def test_no_library_that_decides_is_loaded_and_not_followed(stage):
    items = code_deps.stages(ROOT)[stage]
    also = "".join(f"; import taller.models.{item}" for item in items)
    code = f"import stages.{stage}, sys{also}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    tops = {name.partition(".")[0] for name in run.stdout.split()}
    distributions = packages_distributions()
    loaded = {name for top in tops for name in distributions.get(top, [])}
    (followed,) = [
        one["environment.yaml"] for one in PIPELINE[stage]["params"] if isinstance(one, dict)
    ]
    assert not (loaded & {*pins.DECIDING.values()}) - {*followed}
