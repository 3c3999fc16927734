"""Ends by force: of a stage, and of the DVC that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGE = """
import stages, time
from pathlib import Path
from taller.common import stage

def one(name):
    Path("begun").write_text(name)
    while not Path("end").exists():
        time.sleep(0.05)

stage.run(one)
"""
# Starts it as DVC does, and is killed.
PARENT = "import subprocess, sys; subprocess.run(sys.argv[1:])"


@pytest.fixture
def start(tmp_path):
    """Start the stage in an empty folder; nothing of it is left afterwards."""
    (tmp_path / "params.yaml").write_text("numerics: portable\n")
    running = []

    def program(*under: str, **variables: str) -> subprocess.Popen:
        running.append(
            subprocess.Popen(
                [*under, sys.executable, "-c", STAGE, "x"], cwd=tmp_path, encoding="utf-8",
                env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                # Ctrl-C's signal works even where whoever started pytest ignores it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        )  # fmt: skip
        until = time.monotonic() + 60
        while not (tmp_path / "begun").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        return running[-1]

    yield program
    (tmp_path / "end").touch()
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_stage_ends_in_one_line(start, sent):
    program = start()
    program.send_signal(sent)
    out, error = program.communicate(timeout=30)
    assert (program.returncode, error) == (130, "\none: interrupted\n")
    assert out.startswith("numerics: ") and out.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's: NOT tested")
@pytest.mark.parametrize("dvc", [True, False])
def test_a_stage_ends_with_the_dvc_that_started_it_and_only_then(start, tmp_path, dvc):
    parent = start(sys.executable, "-c", PARENT, **({"DVC_STAGE": "one"} if dvc else {}))
    parent.kill()
    if not dvc:
        time.sleep(0.5)
        (tmp_path / "end").touch()
    # Returns when the last process that has the pipes is gone.
    _, error = parent.communicate(timeout=30)
    assert error == ("\none: interrupted\n" if dvc else "")
