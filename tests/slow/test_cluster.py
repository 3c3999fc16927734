"""Fits on a real Dask scheduler and workers in processes of their own: a local run's bytes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from taller.common import numerics
from taller.common.terminal import UserError
from taller.networks.simple_nn import SimpleNN
from taller.training import checkpoint, workers
from taller.training.batches import Scaling
from taller.training.cross_validation import CrossValidation, Training, cross_validate
from taller.training.engine import TrainingConfig

pytest.importorskip("distributed")

ROOT = Path(__file__).parents[2]
CONFIG = TrainingConfig(
    learning_rate=0.001, weight_decay=0.0, schedule="one_cycle", batch_size=32, epochs=2,
    min_steps=0, augment="none", label_smoothing=0.0, class_weights="none",
)  # fmt: skip
BUILD, SCALING = partial(SimpleNN, classes=10, shape=(1, 28, 28)), Scaling((0.5,), (0.5,), (28, 28))
TRAINING = Training(CONFIG, BUILD, 3, torch.device("cpu"), prepare=SCALING)
# As `make worker` starts it.
WORKER = [
    "-c", "import os, sys, stages; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])",
    "-m", "distributed.cli.dask_worker",
]  # fmt: skip


def wait_for(condition: Callable[[], object]) -> object:
    until = time.monotonic() + 300
    while not (met := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
    return met


class Cluster:
    """A scheduler that knows nothing of this project, and workers, each a session of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, []
        file = folder / "scheduler.json"
        options = "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", file
        self.start("-m", "distributed.cli.dask_scheduler", *options, cwd=folder)
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def start(self, *command: object, cwd: Path = ROOT) -> subprocess.Popen:
        known = {name: value for name, value in os.environ.items() if name not in numerics.PINNED}
        known.pop(workers.VARIABLE, None)
        with (self.folder / f"{len(self.running)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)], cwd=cwd, env=known,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.running.append(process)
        return process

    def worker(self, *options: str, cwd: Path = ROOT, how: list = WORKER) -> subprocess.Popen:
        usual = "--nworkers", "1", "--memory-limit", "0", "--no-dashboard", *options
        return self.start(*how, self.address, *usual, cwd=cwd)

    def wait(self, count: int) -> None:
        import distributed

        with distributed.Client(self.address, timeout=300, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=300)


def kill(session: int) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(session, signal.SIGKILL)


@pytest.fixture
def dask(workdir, monkeypatch) -> Iterator[Cluster]:
    """A scheduler without workers, which fits are sent to."""
    (workdir / "dask").mkdir()
    started = Cluster(workdir / "dask")
    monkeypatch.setenv(workers.VARIABLE, started.address)
    monkeypatch.setattr(workers, "PATIENCE", 120)
    yield started
    for process in started.running:
        kill(process.pid)
        process.wait()


@pytest.fixture(scope="module")
def arrays(digits) -> tuple[np.ndarray, ...]:
    return digits.images, digits.labels, np.arange(600) % 3


def same(one: CrossValidation, other: CrossValidation) -> bool:
    return (
        (one.history, one.scores) == (other.history, other.scores)
        and one.state.keys() == other.state.keys()
        and all(torch.equal(value, other.state[name]) for name, value in one.state.items())
    )


def test_two_workers_give_the_same_bytes_and_an_ended_fit_is_not_made_again(
    dask, arrays, monkeypatch, capsys
):
    with monkeypatch.context() as here:
        here.delenv(workers.VARIABLE)
        expected = cross_validate(TRAINING, *arrays, label="net")
    for _ in range(2):
        dask.worker("--nthreads", "1")
    dask.wait(2)
    checkpoints = checkpoint.of_stage("stage", [])
    capsys.readouterr()
    assert same(cross_validate(TRAINING, *arrays, label="net", checkpoints=checkpoints), expected)
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"fits on the 2 workers of {dask.address}"
    assert sorted(line.partition(", epoch 2 of 2: ")[0] for line in lines) == [
        "net: all images", "net: fold 1", "net: fold 2", "net: fold 3",
    ]  # fmt: skip

    (one,) = Path(checkpoints.folder, checkpoints.key).glob("*fold 2.pt")
    one.unlink()
    assert same(cross_validate(TRAINING, *arrays, label="net", checkpoints=checkpoints), expected)
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "goes on" in line] == [
        f"net: {fit}: goes on after epoch 2 of 2" for fit in ("all images", "fold 1", "fold 3")
    ]
    assert len(lines) == 3 + 4 and lines[-1].startswith("net: fold 2, epoch 2 of 2: ")


def test_workers_that_would_compute_other_bits_are_refused(dask, arrays, tmp_path):
    other = tmp_path / "other"
    for name in ("taller", "stages"):
        shutil.copytree(ROOT / name, other / name)
    with (other / "taller/training/engine.py").open("a") as file:
        file.write("# edited\n")
    plain = WORKER[2:]
    dask.worker("--nthreads", "1", how=plain)  # not pinned
    dask.worker("--nthreads", "1", how=plain, cwd=tmp_path)  # without this project
    dask.worker("--nthreads", "1", cwd=other)
    dask.worker("--nthreads", "2")
    dask.wait(4)
    with pytest.raises(UserError) as refused:
        cross_validate(TRAINING, *arrays)
    lines = str(refused.value).splitlines()
    remedy = f"; start workers with: make worker SCHEDULER={dask.address}"
    assert all(line.startswith("tcp://127.0.0.1:") and line.endswith(remedy) for line in lines)
    reasons = sorted(line.removesuffix(remedy).split(": ", 1)[1] for line in lines)
    assert reasons[0].startswith("ModuleNotFoundError(")
    assert reasons[1].startswith("expected code ")
    assert reasons[2].startswith("expected numerics portable, found native on ")
    assert reasons[3] == "expected threads 1, found 2"
