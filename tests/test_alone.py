"""A stage runs once at a time in a folder, and not without the DVC that started it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taller.program import alone
from taller.program.errors import Problem

ROOT = Path(__file__).parents[1]
# A stage that tells that it has begun, and ends when it is told to.
STAGE = """
import sys, time
from pathlib import Path
from taller.program import alone, cli, params

alone.PATIENCE = float(sys.argv.pop(1))


def one(seed: params.Seed) -> None:
    Path("begun").touch()
    while not Path("end").exists():
        time.sleep(0.05)
    Path("ended").touch()


cli.main(one)
"""
# Starts it as DVC does, and is killed.
PARENT = "import subprocess, sys; subprocess.run(sys.argv[1:])"


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A function that starts the stage, waiting so many seconds for others."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("params.yaml").write_text("seed: 1\nnumerics: portable\n")
    Path("one.py").write_text(STAGE)
    running = []

    def start(patience: float, *, under: tuple[str, ...] = (), **more) -> subprocess.Popen:
        command = [*under, sys.executable, "one.py", str(patience)]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", **more))
        return running[-1]

    yield start
    Path("end").touch()
    for process in running:
        process.kill()
        process.wait()
        process.stderr.close()


def appear(name: str) -> None:
    until = time.monotonic() + 60
    while not Path(name).exists():
        assert time.monotonic() < until, name
        time.sleep(0.02)


def test_a_second_run_is_refused_in_one_line_that_names_the_first(stage):
    first = stage(0)
    appear("begun")
    second = stage(0)
    told = second.communicate()[1].splitlines()
    assert second.returncode == 1
    assert told == [
        f"one: expected no other run of it in this folder, found process {first.pid}; "
        f"wait for it, or end it with: kill {first.pid}"
    ]
    assert first.poll() is None
    Path("end").touch()
    assert first.wait() == 0


def test_a_second_run_waits_for_one_that_ends(stage):
    first = stage(0)
    appear("begun")
    os.remove("begun")
    second = stage(60)
    time.sleep(1)
    assert not Path("begun").exists()
    Path("end").touch()
    assert (first.wait(), second.wait()) == (0, 0) and Path("begun").exists()


def test_nothing_is_left_of_a_run_that_was_killed(stage):
    first = stage(0)
    appear("begun")
    first.kill()
    first.wait()
    Path("end").touch()
    assert stage(0).wait() == 0


def test_items_of_a_stage_run_side_by_side(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(alone, "PATIENCE", 0)
    with (
        alone.alone("train@a"),
        alone.alone("train@b"),
        pytest.raises(Problem, match=str(os.getpid())),
        alone.alone("train@a"),
    ):
        pass
    with alone.alone("train@a"):
        pass


@pytest.mark.parametrize("dvc", [True, False])
def test_a_stage_ends_with_the_dvc_that_started_it_and_only_then(stage, monkeypatch, dvc):
    if dvc:
        monkeypatch.setenv("DVC_STAGE", "one")
    parent = stage(0, under=(sys.executable, "-c", PARENT))
    appear("begun")
    child = int((alone.FOLDER / "one").read_text())
    assert child != parent.pid
    parent.kill()
    parent.wait()
    if dvc:
        # It has ended once another one gets the lock; and not in the way of one that is done.
        os.remove("begun")
        second = stage(60)
        appear("begun")
        assert not Path("ended").exists()
        Path("end").touch()
        assert second.wait() == 0
    else:
        time.sleep(1)
        os.kill(child, 0)
        Path("end").touch()
        appear("ended")
