"""Fits on a real Dask scheduler and workers in processes of their own: a local run's bytes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from taller.data import idx
from taller.models.scaling import Scaling
from taller.models.simple_nn import SimpleNN
from taller.program import portable, seeds
from taller.program.errors import Problem
from taller.training import cluster, journal
from taller.training.cross_validation import cross_validate
from taller.training.engine import Recipe

pytest.importorskip("distributed")

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
SECONDS = 120  # for what takes a few
IMAGES = (600, 1, 28, 28)

validate = partial(
    cross_validate, batch_size=32, prepare=Scaling((0.5,), (0.5,), (28, 28)), seed=3, device=CPU,
    label="net",
)  # fmt: skip


@pytest.fixture(scope="module")
def digits(mnist_raw):
    """600 real images, labels, and three folds."""
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:600, np.newaxis]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte")[:600].astype(np.int64)
    return images, labels, np.arange(600) % 3


def wait_for(condition: Callable[[], object]) -> object:
    until = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
    return found


class Cluster:
    """A scheduler that knows nothing of this project, and workers, each a session of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, []
        file = folder / "scheduler.json"
        self.start(
            "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
            "--no-dashboard", "--scheduler-file", str(file), cwd=folder,
        )  # fmt: skip
        wait_for(lambda: file.exists() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def start(self, *command: str, cwd: Path = ROOT, **environment: str) -> subprocess.Popen:
        known = {name: value for name, value in os.environ.items() if name not in portable.PINNED}
        with (self.folder / f"{len(self.running)}.log").open("wb") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=cwd, env=known | environment,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.running.append(started)
        return started

    def worker(self, *options: str, **places: object) -> subprocess.Popen:
        return self.start("tools.worker", self.address, "--nworkers", "1", *options, **places)

    def workers(self) -> list[str]:
        """The addresses of those that the scheduler knows."""
        import distributed

        with distributed.Client(self.address, set_as_default=False) as client:
            return [*client.nthreads()]

    def stop(self) -> None:
        for one in self.running:
            kill(one.pid)
            one.wait()


def kill(session: int) -> None:
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(session, signal.SIGKILL)


@pytest.fixture
def dask(tmp_path, monkeypatch) -> Iterator[Cluster]:
    """A scheduler without workers, which fits are sent to."""
    (tmp_path / "dask").mkdir()
    found = Cluster(tmp_path / "dask")
    monkeypatch.setenv("TALLER_SCHEDULER", found.address)
    yield found
    found.stop()


def recipe(epochs: int, log: Path | None = None) -> Recipe:
    """With functions that workers need no file for, and that say what a worker has at each fit."""

    here = os.getpid()

    def make_model() -> SimpleNN:
        if log is not None and os.getpid() != here:
            from distributed import get_worker

            held = get_worker().data.items()
            arrays = {k: id(v) for k, v in held if getattr(v, "shape", None) == IMAGES}
            line = {"pid": os.getpid(), "seed": torch.initial_seed(), "images": arrays}
            with log.open("a") as file:
                file.write(f"{json.dumps(line)}\n")
        return SimpleNN(10, (1, 28, 28))

    def make_optimizer(network: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0, fused=True)

    return Recipe(make_model, make_optimizer, epochs)


def begun(log: Path) -> list[dict]:
    """The fits that workers began: process, seed, and the images that it holds."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def seed_of(repeat: int, fold: int | None) -> int:
    return seeds.of_weights(seeds.of_fit(3, repeat, fold))


def same(one, other) -> bool:
    return (
        one.history.equals(other.history)
        and one.scores.equals(other.scores)
        and one.state.keys() == other.state.keys()
        and all(torch.equal(value, other.state[name]) for name, value in one.state.items())
    )


def test_two_workers_give_the_same_bytes_and_are_sent_the_images_once(
    dask, digits, tmp_path, capsys
):
    images, labels, folds = digits
    parts = [(repeat, np.roll(folds, repeat)) for repeat in range(2)]
    expected = [validate(recipe(2), images, labels, one, repeat=k) for k, one in parts]
    lines = capsys.readouterr().out.splitlines()
    for _ in range(2):
        dask.worker()
    wait_for(lambda: len(dask.workers()) == 2)
    log = tmp_path / "fits"
    with cluster.fits_at_once(CPU):
        found = [validate(recipe(2, log), images, labels, one, repeat=k) for k, one in parts]
    assert all(map(same, found, expected))
    # In another order: every line once.
    first, *told = capsys.readouterr().out.splitlines()
    assert first == f"fits on the 2 workers of {dask.address}"
    assert Counter(told) == Counter(lines) and len(lines) == 7 * 2
    fits = begun(log)
    assert Counter(fit["seed"] for fit in fits) == Counter(
        [seed_of(0, None), *(seed_of(repeat, fold) for repeat in range(2) for fold in range(3))]
    )
    # One array in each process, under one name, from the first fit of the first repeat on.
    assert len({fit["pid"] for fit in fits}) == 2
    assert len({name for fit in fits for name in fit["images"]}) == 1
    assert len({(fit["pid"], *fit["images"].items()) for fit in fits}) == 2


@pytest.fixture
def arrived(monkeypatch):
    """Call a function when the first fit has ended, and is kept where the run was started."""

    def install(then: Callable[[], None]) -> None:
        save, left = journal.FitJournal.save, [then]

        def spied(self, reached: dict) -> None:
            save(self, reached)
            if left:
                left.pop()()

        monkeypatch.setattr(journal.FitJournal, "save", spied)

    return install


def test_a_worker_that_is_killed_costs_its_fit_alone(dask, digits, tmp_path, arrived, capsys):
    expected = validate(recipe(8), *digits)
    lines = capsys.readouterr().out.splitlines()
    for _ in range(2):
        dask.worker()
    wait_for(lambda: len(dask.workers()) == 2)
    log, lost = tmp_path / "fits", []

    def kill_a_busy_one() -> None:
        # One that has a fit behind it: that one must not be made again.
        def second() -> list[dict]:
            by_process = {fit["pid"]: [] for fit in begun(log)}
            for fit in begun(log):
                by_process[fit["pid"]].append(fit)
            return next((fits for fits in by_process.values() if len(fits) > 1), [])

        lost.extend(wait_for(second))
        os.kill(lost[-1]["pid"], signal.SIGKILL)

    arrived(kill_a_busy_one)
    kept = journal.of_stage("stage", tmp_path / "journal", [])
    with cluster.fits_at_once(CPU):
        found = validate(recipe(8, log), *digits, journal=kept)
    assert same(found, expected)
    assert Counter(fit["seed"] for fit in begun(log)) == {
        seed_of(0, fold): 2 if seed_of(0, fold) == lost[-1]["seed"] else 1
        for fold in (None, 0, 1, 2)
    }
    assert Counter(capsys.readouterr().out.splitlines()[1:]) == Counter(lines)


def test_what_ended_is_kept_when_all_workers_are_lost(dask, digits, tmp_path, arrived, capsys):
    expected = validate(recipe(8), *digits)
    only, log = dask.worker(), tmp_path / "fits"
    arrived(lambda: kill(only.pid))
    kept = journal.of_stage("stage", tmp_path / "journal", [])
    with (
        pytest.raises(Problem, match=r"^TALLER_SCHEDULER: expected its workers to last, found: "),
        cluster.fits_at_once(CPU),
    ):
        validate(recipe(8, log), *digits, journal=kept)
    assert begun(log)[0]["seed"] == seed_of(0, None)
    dask.worker()
    wait_for(lambda: len(dask.workers()) == 1)
    capsys.readouterr()
    with cluster.fits_at_once(CPU):
        found = validate(recipe(8, log), *digits, journal=kept)
    assert same(found, expected)
    # No worker made it again: here its network alone is built anew.
    assert Counter(fit["seed"] for fit in begun(log))[seed_of(0, None)] == 1
    assert "net: all images: goes on after epoch 8 of 8" in capsys.readouterr().out.splitlines()


def test_workers_end_fits_that_nobody_waits_for(dask, digits, tmp_path, monkeypatch):
    import distributed

    dask.worker()
    wait_for(dask.workers)
    log = tmp_path / "fits"

    def interrupt() -> None:
        wait_for(lambda: begun(log))
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hand = threading.Thread(target=interrupt)
    hand.start()
    try:
        with pytest.raises(KeyboardInterrupt), cluster.fits_at_once(CPU):
            validate(recipe(10**6, log), *digits)
    finally:
        hand.join()
        signal.signal(signal.SIGINT, before)

    def executing(dask_worker: "distributed.Worker") -> int:
        return dask_worker.state.executing_count

    with distributed.Client(dask.address, set_as_default=False) as client:
        wait_for(lambda: set(client.run(executing).values()) == {0})
    assert len(begun(log)) == 1


def other_checkout(folder: Path) -> Path:
    """A copy of the code in which one file that fits hang on differs."""
    for name in ("taller", "stages", "tools"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "params.yaml", folder)
    with (folder / "taller/training/engine.py").open("a") as file:
        file.write("# edited\n")
    return folder


def test_workers_that_would_compute_other_bits_are_refused(dask, digits, tmp_path, monkeypatch):
    plain = ("distributed.cli.dask_worker", dask.address, "--nworkers", "1")
    dask.start(*plain, "--nthreads", "1", "--name", "not pinned")
    dask.start(*plain, cwd=tmp_path)
    dask.worker(cwd=other_checkout(tmp_path / "other"))
    dask.worker("--nthreads", "2")
    wait_for(lambda: len(dask.workers()) == 4)
    with pytest.raises(Problem) as refused, cluster.fits_at_once(CPU):
        pass
    lines = str(refused.value).splitlines()
    assert all(line.startswith("tcp://127.0.0.1:") for line in lines)
    remedy = f"; start workers with: make worker SCHEDULER={dask.address}"
    assert all(line.endswith(remedy) for line in lines)
    told = sorted(line.removesuffix(remedy).split(": ", 1)[1] for line in lines)
    assert told[0].startswith("ModuleNotFoundError(")
    assert told[1].startswith("expected numerics portable, found native on ")
    assert told[2].startswith("expected taller/training/engine.py ")
    assert told[3] == "expected threads 1, found 2"


def test_a_worker_that_comes_later_is_refused_too(dask, digits, monkeypatch):
    dask.worker("--nthreads", "2")
    wait_for(dask.workers)
    monkeypatch.setattr(cluster, "_refuse_unlike", lambda *_: None)  # it was not there then
    with (
        pytest.raises(Problem, match=r"^tcp://.*: expected threads 1, found 2; start workers with"),
        cluster.fits_at_once(CPU),
    ):
        validate(recipe(1), *digits)


def test_no_worker_is_told_after_a_while(dask, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    told = f"^TALLER_SCHEDULER: expected workers at {dask.address}, found none; start workers with"
    with pytest.raises(Problem, match=told), cluster.fits_at_once(CPU):
        pass
    waits = f"{dask.address} has no workers yet: waiting 1 s for a first one\n"
    assert capsys.readouterr() == (waits, "")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://127.0.0.1"])
def test_a_scheduler_that_is_not_there_is_one_line(address, monkeypatch, capfd):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    monkeypatch.setenv("TALLER_SCHEDULER", address)
    told = f"^TALLER_SCHEDULER: expected a Dask scheduler at {address}, found none: [^\n]+$"
    with pytest.raises(Problem, match=told), cluster.fits_at_once(CPU):
        pass
    assert capfd.readouterr() == ("", "")


def test_without_a_scheduler_nothing_of_dask_is_loaded():
    code = """
import sys, stages.kfold_train, stages.finetune, torch
from taller.training import cluster
with cluster.fits_at_once(torch.device("cpu")):
    print({name.partition(".")[0] for name in sys.modules} & {"dask", "distributed"})
"""
    environment = {name: os.environ[name] for name in os.environ if name != "TALLER_SCHEDULER"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True,
        stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    assert run.stdout == "set()\n"
