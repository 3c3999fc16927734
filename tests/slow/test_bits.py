"""The same bytes of every stage under hostile settings, and on emulated processors of both vendors.

QEMU's user mode runs this machine's Python as if on another processor: PyTorch, NumPy and the
libraries inside them ask it what it can, as they would on a real one. The machines of REPRODUCED.md
are real.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taller.common import files, numerics

PROGRAM = Path(__file__).with_name("numerics.py")
EMULATOR = "qemu-x86_64"
PROCESSORS = ["Haswell", "EPYC-Rome"]
# What someone may have set, or a smaller machine would decide.
HOSTILE = {
    "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "AUTO",
    "OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "3", "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1", "NPY_ENABLE_CPU_FEATURES": "AVX2",
    "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C",
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    not numerics.is_x86() or not numerics.has_avx2(),
    reason="equal bits are promised on x86-64 with AVX2",
)


@pytest.fixture(scope="module")
def start(tmp_path_factory, mnist_raw):
    """Begin to compute in a folder of its own; what is still running is killed at the end."""
    running = []

    def program(*before: str, **variables: str) -> tuple[subprocess.Popen, Path]:
        folder = tmp_path_factory.mktemp("bits")
        (folder / "resultados").mkdir()
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [*before, sys.executable, PROGRAM, mnist_raw], cwd=folder,
                env=os.environ | variables, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        running.append(process)
        return process, folder

    yield program
    for process in running:
        process.kill()


def finish(process: subprocess.Popen, folder: Path) -> dict[str, str]:
    assert process.wait() == 0, (folder / "log").read_text(encoding="utf-8")[-3000:]
    return files.read_json(folder / "hashes.json")


@pytest.fixture(scope="module")
def emulated(start) -> dict[str, tuple[subprocess.Popen, Path]]:
    """All processors at once: one of them takes minutes, and none more than a core."""
    if not shutil.which(EMULATOR):
        return {}
    return {name: start(EMULATOR, "-cpu", name, NO_PICTURES="") for name in PROCESSORS}


@pytest.fixture(scope="module")
def here(emulated, start) -> dict[str, str]:
    """What this machine's own processor gives."""
    return finish(*start())


def test_settings_of_the_machine_change_no_byte(here, start):
    one_core = ["taskset", "--cpu-list", "0"] if shutil.which("taskset") else []
    assert finish(*start(*one_core, **HOSTILE)) == here


@pytest.mark.parametrize("processor", PROCESSORS)
def test_another_processor_gives_the_same_bytes(here, emulated, processor):
    if not emulated:
        pytest.skip(f"{EMULATOR} is not here (Debian: apt-get install qemu-user): NOT TESTED")
    hashes = finish(*emulated[processor])
    expected = {name: one for name, one in here.items() if not name.endswith(".png")}
    assert hashes.keys() == expected.keys()
    differing = sorted(name for name, one in expected.items() if hashes[name] != one)
    assert not differing, f"on {processor}: {', '.join(differing)}"
