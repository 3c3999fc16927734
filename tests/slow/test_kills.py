"""DVC is killed in the middle of stages: nothing goes on, and repro ends in the same lock."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from project import STAGES, stages_of

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="no /proc: kills are NOT tested"
)
PATIENCE = 120  # seconds in which what a killed DVC started has to end
KILLS = {
    "kfold_train@simple_nn": (os.killpg, signal.SIGINT),  # Ctrl-C
    "kfold_train@cnn": (os.kill, signal.SIGKILL),  # of DVC alone
    "finetune@resnet18": (os.killpg, signal.SIGKILL),  # of all
}


def session(leader: int) -> list[int]:
    """The processes that began with `leader`, and have not ended."""
    alive = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(") ")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(session) == leader and state != "Z":
            alive.append(int(path.parent.name))
    return alive


def test_what_is_killed_goes_on_and_ends_in_the_same_lock(project, tmp_path):
    expected = project.lock()
    # As in a clone, in which nothing has run.
    for name in ("dvc.lock", ".dvc/cache/runs", "data/train", "data/test", "resultados/cv"):
        path = project.folder / name
        path.unlink() if path.is_file() else shutil.rmtree(path)
    drawn, ended = random.Random(20), set()
    for stage, (kill, number) in KILLS.items():
        log = tmp_path / "log"
        with log.open("w", encoding="utf-8") as file:
            process = project.start(
                "dvc", "--wait-for-lock", "repro", stdout=file, start_new_session=True
            )
        # Within training, however fast the machine is.
        while " epoch " not in log.read_text("utf-8").partition(f"'{stage}'")[2]:
            assert process.poll() is None, log.read_text("utf-8")
            time.sleep(0.02)
        time.sleep(drawn.uniform(0, 0.2))
        kill(process.pid, number)
        assert process.wait(timeout=PATIENCE) != 0
        end = time.monotonic() + PATIENCE
        while session(process.pid) and time.monotonic() < end:
            time.sleep(0.1)
        assert session(process.pid) == [], f"after {number} at {stage}"
        begun = [name for name, _ in stages_of(log.read_text("utf-8"))]
        assert begun[-1] == stage and not ended & {*begun}, "what had ended ran again"
        ended |= {*begun[:-1]}
    assert {*project.repro()} == {*STAGES} - ended
    assert project.lock() == expected
    assert project.git("diff", "main", "--", "resultados") == ""
