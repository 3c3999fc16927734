"""Kills at random moments of training: nothing stays, nothing is lost, no bit is another one.

Each stage that trains is killed until it has been so six times, then it may end. A kill comes
when a number of epochs has been kept since the start, and a moment more; the last two come after
the last epoch, when the outputs are written. What is drawn hangs on `SEED` alone.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_project import Project, copy

SEED = 20_26
KILLS = 6  # of each of the stages below
PATIENCE = 15  # seconds in which the processes of a killed stage have to end
SMALL = [
    "preprocess.subset=240", "preprocess.folds=2", "threads=1",
    "kfold_train.simple_nn.epochs=12", "kfold_train.cnn.epochs=6",
    "pretrain.images=8000", "finetune.epochs=10",
]  # fmt: skip
WHOLE = ["finetune.trainable=all", "finetune.epochs=2", "finetune.batch_size=32"]
# The stage, its params, and how many epochs (or parts) its fits have in all.
STAGES = {
    "simple_nn": ("kfold_train simple_nn", [], 3 * 12),
    "cnn": ("kfold_train cnn", [], 3 * 6),
    "last layer": ("finetune", [], 3 * 10),
    "all layers": ("finetune", WHOLE, 3 * 2),
    "letters": ("pretrain", ["pretrain.source=glyphs"], 10),
}
JOURNAL = Path(".cache/journal")
SHARED = Path("/dev/shm")

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="no /proc: kills are NOT tested"
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, mnist_raw) -> Path:
    """A small copy of the project with all that training reads, its networks not pretrained."""
    folder = tmp_path_factory.mktemp("kills") / "project"
    project = copy(folder, mnist_raw)
    project.set(*SMALL)
    for stage in ("download", "preprocess", "pretrain"):
        project.run(sys.executable, "-m", f"stages.{stage}")
    shutil.rmtree(folder / "data/MNIST")
    return folder


@dataclass
class Stage:
    """A stage in a folder of its own, as a program with a session of its own."""

    folder: Path
    command: str

    def start(self, log: Path) -> subprocess.Popen:
        (self.folder / "tmp").mkdir(exist_ok=True)
        environment = {"TMPDIR": str(self.folder / "tmp"), "LOKY_MAX_CPU_COUNT": "2"}
        with log.open("wb") as out:
            return subprocess.Popen(
                [sys.executable, "-m", *f"stages.{self.command}".split()], cwd=self.folder,
                env=os.environ | environment, stdout=out, stderr=out, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def outputs(self) -> dict[str, bytes]:
        places = (self.folder / name for name in ("modelos", "resultados"))
        found = (path for place in places for path in place.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def reached(self) -> dict[str, int]:
        """The last epoch that is kept of each fit."""
        files = (self.folder / JOURNAL).glob("*/*/*/*.pt")
        found: dict[str, int] = {}
        for path in files:
            found[path.parent.name] = max(int(path.stem), found.get(path.parent.name, 0))
        return found

    def litter(self) -> list[str]:
        """What is neither an input, nor an output, nor the journal."""
        hidden = [path.name for path in self.folder.rglob(".*.part")]
        known = {"journal", "originals", "running"}
        beside = {path.name for path in (self.folder / ".cache").glob("*")} - known
        return [*hidden, *beside, *os.listdir(self.folder / "tmp")]


def session(leader: int) -> list[int]:
    """The processes that began with `leader`, and have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = path.read_text().rpartition(") ")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def shared(leader: int) -> list[str]:
    """What is in the folder of shared memory by a process's number."""
    return [path.name for path in SHARED.glob("*") if re.search(rf"[-_]{leader}[-_]", path.name)]


def to_all(sent: int) -> Callable[[int], None]:
    return lambda leader: os.killpg(leader, sent)


def to_one(sent: int) -> Callable[[int], None]:
    return lambda leader: os.kill(leader, sent)


WAYS = {
    "SIGKILL to all": to_all(signal.SIGKILL),
    "SIGKILL to the stage": to_one(signal.SIGKILL),
    "SIGINT to all": to_all(signal.SIGINT),  # Ctrl-C
    "SIGINT to the stage": to_one(signal.SIGINT),
    "SIGTERM to the stage": to_one(signal.SIGTERM),
}


def wait_for(done: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (met := done()) and time.monotonic() < end:
        time.sleep(0.005)
    return met


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_that_is_killed_at_random_ends_in_the_same_bytes(prepared, tmp_path, name):
    command, params, total = STAGES[name]
    shutil.copytree(prepared, tmp_path / "stage")
    Project(tmp_path / "stage").set(*params)
    stage = Stage(tmp_path / "stage", command)
    inputs = stage.outputs()
    assert stage.start(tmp_path / "log").wait() == 0, (tmp_path / "log").read_text()
    expected = stage.outputs()
    written = {one for one in expected if expected[one] != inputs.get(one)}
    ordinary = stage.litter()  # an empty folder that torch keeps for its compiler
    assert written and not (stage.folder / JOURNAL).exists() and len(ordinary) <= 1

    drawn, ways = random.Random(f"{SEED} {name}"), []
    kills = runs = 0
    leaders, told = [], []  # of the run that is going on: the lines of each attempt
    while kills < KILLS or told:
        if not told:
            for one in written:
                (stage.folder / one).unlink(missing_ok=True)
        ways = ways or drawn.sample([*WAYS], len(WAYS))
        before = stage.reached()
        more = drawn.randint(1, max(1, total // 6))
        wanted = total if kills >= KILLS - 2 else min(total, sum(before.values()) + more)
        moment = drawn.uniform(0, 0.4)
        program = stage.start(tmp_path / "log")
        leaders.append(program.pid)

        def due(program=program, before=before, wanted=wanted) -> bool:
            if program.poll() is not None:
                return True
            # What is kept already says nothing of a program that is still starting.
            at_work = not before or " goes on after " in (tmp_path / "log").read_text()
            return at_work and sum(stage.reached().values()) >= wanted

        assert wait_for(due, 300), (tmp_path / "log").read_text()
        if kills < KILLS:
            wait_for(lambda program=program: program.poll() is not None, moment)
        if kills < KILLS and program.poll() is None:
            way = ways.pop()
            print(f"{SEED}, {name}: {way} at epoch {wanted} of {total}, {moment:.2f} s later")
            WAYS[way](program.pid)
            kills += 1
        code = program.wait(timeout=300)
        lines = (tmp_path / "log").read_text().splitlines()
        alone = wait_for(lambda leader=program.pid: not session(leader), PATIENCE)
        assert alone, (way, session(program.pid))
        assert stage.litter() == ordinary
        assert shared(program.pid) == []
        outputs = stage.outputs()
        assert {one: expected[one] for one in outputs if one in written} == {
            one: content for one, content in outputs.items() if one in written
        }
        picked_up = re.findall(r": goes on after \w+ (\d+) of \d+$", "\n".join(lines), re.M)
        went_on = {int(epoch) for epoch in picked_up}
        assert went_on <= set(before.values()) and bool(went_on) == bool(before)
        told.append([line for line in lines if ", epoch " in line])
        if code == 0:
            assert went_on == set(before.values())
            assert written <= set(outputs) and stage.reached() == {}
            epochs = [re.sub(r" of .*", "", line) for attempt in told for line in attempt]
            assert len(epochs) == len(set(epochs)), "an epoch was trained twice"
            told, runs = [], runs + 1
        elif not written <= set(outputs):  # else it was on its way out
            assert code in (130, -signal.SIGKILL), "\n".join(lines)
            after = stage.reached()
            assert all(after[fit] >= epoch for fit, epoch in before.items())
    assert kills >= KILLS and runs
    assert [one for leader in leaders for one in shared(leader)] == []
