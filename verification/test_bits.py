"""The same bytes of every stage on processors of both vendors, which are emulated here.

QEMU's user mode runs this machine's Python as if on another processor: PyTorch, NumPy and the
libraries inside them ask it what it can, as they would on a real one. It computes what the
instructions say, but for approximations whose last bits real processors of one vendor and the
other give differently, too: the machines of REPRODUCED.md are real.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taller.program import files, portable

ROOT = Path(__file__).parents[1]
EMULATOR = "qemu-x86_64"
PROCESSORS = ["Haswell", "Skylake-Client", "EPYC-Rome"]
# What someone may have set, or a smaller machine would decide.
HOSTILE = {
    "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "AUTO",
    "OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "NPY_ENABLE_CPU_FEATURES": "AVX2",
    "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C",
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    not portable.is_x86() or not portable.has_avx2(),
    reason="equal bits are promised on x86-64 with AVX2",
)


def start(folder: Path, raw: Path, *before: str, **environment: str) -> subprocess.Popen:
    """Begin to compute into `folder`; what it prints goes to a file beside it."""
    with folder.with_suffix(".log").open("w") as log:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "verification.numerics", raw, folder],
            cwd=ROOT, env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def finish(run: subprocess.Popen, folder: Path) -> dict[str, str]:
    assert run.wait() == 0, folder.with_suffix(".log").read_text(encoding="utf-8")[-3000:]
    return files.read_json(folder / "hashes.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("bits")


@pytest.fixture(scope="module")
def emulated(place, mnist_raw):
    """All processors at once: one of them takes minutes, and none more than a core."""
    if not shutil.which(EMULATOR):
        yield {}
        return
    runs = {name: start(place / name, mnist_raw, EMULATOR, "-cpu", name) for name in PROCESSORS}
    yield runs
    for run in runs.values():
        run.kill()


@pytest.fixture(scope="module")
def here(emulated, place, mnist_raw) -> dict[str, str]:
    """What this machine's own processor gives."""
    return finish(start(place / "here", mnist_raw), place / "here")


def test_settings_of_the_machine_change_no_byte(here, place, mnist_raw):
    one_core = ["taskset", "--cpu-list", "0"] if shutil.which("taskset") else []
    run = start(place / "hostile", mnist_raw, *one_core, **HOSTILE)
    assert finish(run, place / "hostile") == here


@pytest.mark.parametrize("processor", PROCESSORS)
def test_another_processor_gives_the_same_bytes(here, emulated, place, processor):
    if not emulated:
        pytest.skip(f"{EMULATOR} is not here: install qemu-user ({platform.system()})")
    found = finish(emulated[processor], place / processor)
    differing = sorted(name for name in here if found.get(name) != here[name])
    assert found.keys() == here.keys()
    assert not differing, f"on {processor}: {', '.join(differing)}"
