"""The libraries that DVC follows, held against what a stage really imports."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from tools import code_deps, pins

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


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
