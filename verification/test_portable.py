"""What is pinned, when, and what a program says of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taller.program import portable

ROOT = Path(__file__).parents[1]
CLEAN = {name: value for name, value in os.environ.items() if name not in portable.PINNED}
# What the libraries themselves say they compute with.
ASK = """
import stages, torch, numpy, scipy.linalg
from numpy._core._multiarray_umath import __cpu_features__ as features
from threadpoolctl import threadpool_info
blas = {one["architecture"] for one in threadpool_info() if one["internal_api"] == "openblas"}
print(torch.backends.cpu.get_cpu_capability(), features["X86_V3"], *blas)
"""

pytestmark = pytest.mark.skipif(not portable.is_x86(), reason="pins are for x86-64")


def asked(folder: Path, numerics: str | None, code: str = ASK, **environment: str) -> str:
    """What a program prints in a folder whose params.yaml asks for these numerics."""
    line = "" if numerics is None else f"numerics: {numerics}\n"
    (folder / "params.yaml").write_text(f"seed: 1\n{line}", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, encoding="utf-8",
        env={**CLEAN, "PYTHONPATH": str(ROOT), **environment}, check=True,
    )  # fmt: skip
    return (run.stdout + run.stderr).strip()


@pytest.mark.parametrize("numerics", ["portable", None, "3"])
def test_the_libraries_are_capped(tmp_path, numerics):
    assert asked(tmp_path, numerics) == "AVX2 False Haswell"


def test_the_users_own_settings_do_not_count(tmp_path):
    own = {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"}
    assert asked(tmp_path, "portable", **own) == "AVX2 False Haswell"


def test_native_takes_what_is_there_also_below_a_process_that_pinned(tmp_path):
    free = asked(tmp_path, "native", ASK.replace("import stages, ", "import "))
    assert asked(tmp_path, "native", **portable.PINNED) == free
    assert asked(tmp_path, "native", ATEN_CPU_CAPABILITY="default").startswith("DEFAULT ")


def test_too_late_is_told(tmp_path):
    told = asked(tmp_path, "portable", "import numpy, stages")
    assert "numpy was imported before it was pinned" in told
    assert asked(tmp_path, "portable", "import stages, numpy") == ""
    assert asked(tmp_path, "native", "import numpy, stages") == ""


def test_what_was_pinned_is_told_with_the_processor(tmp_path):
    code = "import stages; from taller.program import portable; print(portable.told())"
    name = portable.processor()
    told = asked(tmp_path, "portable", code)
    assert name in told and "pinned to AVX2" in told
    assert asked(tmp_path, "native", code) == (
        f"numerics: native on {name}: bits as of this processor"
    )
