"""Fits on a machine of their own: other addresses, other processes, other files; the same bytes.

Two network namespaces, joined by a cable that counts its bytes: the stage and the scheduler at one
end, two workers at the other, with their own processes' numbers and a checkout without data.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_project import ROOT, Project, copy

pytest.importorskip("distributed")

HERE, THERE = (f"taller-{end}-{os.getpid()}" for end in "ab")
ADDRESS = "tcp://10.213.7.1:8786"
SECONDS = 60


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], stderr=subprocess.PIPE, encoding="utf-8")
    if done.returncode:
        raise OSError(done.stderr.strip())


@pytest.fixture
def cable() -> Iterator[None]:
    """Two network namespaces and what joins them."""
    try:
        for number, name in enumerate((HERE, THERE), start=1):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
            if number == 2:
                ip("-n", HERE, "link", "add", "end1", "type", "veth", "peer", "end2", "netns", name)
        for number, name in enumerate((HERE, THERE), start=1):
            ip("-n", name, "addr", "add", f"10.213.7.{number}/24", "dev", f"end{number}")
            ip("-n", name, "link", "set", f"end{number}", "up")
        yield
    except OSError as error:
        pytest.skip(f"no network namespaces here ({error}): two machines are NOT tested")
    finally:
        for name in (HERE, THERE):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def start(
    namespace: str, folder: Path, log: Path, *command: str, alone: bool = False
) -> subprocess.Popen:
    """A program at one end, which ends with all that it starts."""
    own = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if alone else []
    with log.open("wb") as out:
        return subprocess.Popen(
            ["ip", "netns", "exec", namespace, *own, sys.executable, "-m", *command], cwd=folder,
            stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip


def sent() -> int:
    """Bytes that went from here to the workers."""
    command = ["ip", "netns", "exec", HERE, "cat", "/sys/class/net/end1/statistics/tx_bytes"]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def outputs(project: Project) -> dict[str, bytes]:
    places = (project.folder / name for name in ("modelos", "resultados/simple_nn"))
    found = (path for place in places for path in place.rglob("[!.]*") if path.is_file())
    return {str(path.relative_to(project.folder)): path.read_bytes() for path in found}


def test_workers_on_another_machine_give_the_same_bytes(cable, tmp_path, mnist_raw):
    project = copy(tmp_path / "project", mnist_raw)
    # Two repeats of four folds: nine fits of the same 12,000 images.
    project.set(
        "preprocess.subset=12000", "preprocess.folds=4", "preprocess.repeats=2",
        "kfold_train.simple_nn.batch_size=512",
    )  # fmt: skip
    for stage in ("download", "preprocess"):
        project.run(sys.executable, "-m", f"stages.{stage}")
    stage = ("stages.kfold_train", "simple_nn")
    project.run(sys.executable, "-m", *stage)
    expected = outputs(project)
    assert {"modelos/simple_nn.pth", "resultados/simple_nn/scores.csv"} <= expected.keys()
    for name in expected:
        (project.folder / name).unlink()

    checkout = tmp_path / "checkout"
    for name in ("taller", "stages", "tools"):
        shutil.copytree(ROOT / name, checkout / name)
    shutil.copy(project.folder / "params.yaml", checkout)
    before, running = sent(), []
    try:
        host = ADDRESS.removeprefix("tcp://").partition(":")[0]
        scheduler = ("distributed.cli.dask_scheduler", "--host", host, "--no-dashboard")
        running.append(start(HERE, tmp_path, tmp_path / "scheduler", *scheduler))
        worker = ("tools.worker", ADDRESS, "--nworkers", "2")
        running.append(start(THERE, checkout, tmp_path / "workers", *worker, alone=True))
        until = time.monotonic() + SECONDS
        while (tmp_path / "scheduler").read_text().count("Register worker") < 2:
            assert time.monotonic() < until, (tmp_path / "workers").read_text()
            time.sleep(0.2)
        environment = {"TALLER_SCHEDULER": ADDRESS}
        run = subprocess.run(
            ["ip", "netns", "exec", HERE, sys.executable, "-m", *stage], cwd=project.folder,
            env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8",
        )  # fmt: skip
        crossed = sent() - before
    finally:
        for one in running:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()
    assert run.returncode == 0, run.stdout
    assert f"fits on the 2 workers of {ADDRESS}" in run.stdout.splitlines()
    assert run.stdout.count(", epoch ") > 0
    assert outputs(project) == expected
    images = 12_000 * 28 * 28
    # Once from here; the second worker, at the same end, may have them from here or the first.
    assert images < crossed < 2.5 * images, f"{crossed / images:.2f} times the images"
