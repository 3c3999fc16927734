"""Worker processes: what they give, how they end, and what is seen of them."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from taller.common.terminal import UserError
from taller.training import engine, workers

ROOT = Path(__file__).parents[1]
linux = pytest.mark.skipif(sys.platform != "linux", reason="forks are of Linux: NOT tested")


run = partial(workers.run, processes=2, report=lambda *_: None)


def test_results_come_in_order_and_reports_arrive():
    reports, shared = [], np.arange(5)
    with engine.threads(3):  # which are missing in a fork
        torch.rand(2000, 200, requires_grad=True).log_softmax(1).sum().backward()
    report = lambda *message: reports.append(message)  # noqa: E731
    results = run(work, [(number,) for number in range(5)], (shared,), report=report)
    assert [total for total, *_ in results] == [10, 11, 12, 13, 14]
    processes = {process for _, process, _ in results}
    assert len(processes) <= 2 and os.getpid() not in processes
    assert {threads for *_, threads in results} == {1}
    assert sorted(reports) == [(f"fit {number}", [], "a line") for number in range(5)]


def work(shared: np.ndarray, number: int, report) -> tuple[int, int, int]:
    torch.ones(9, requires_grad=True).sum().backward()  # also where the parent has done so
    report(f"fit {number}", [], "a line")
    return int(shared.sum()) + number, os.getpid(), torch.get_num_threads()


def end(how, report) -> None:
    how()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("how", "end_of_it"),
    [(killed, r"SIGKILL \(out of memory\?\)"), (partial(os._exit, 3), "status 3")],
)
@linux
def test_a_worker_that_is_lost_is_one_line(how, end_of_it):
    with pytest.raises(UserError, match=f"^expected the process of a fit .* ended by {end_of_it}$"):
        run(end, [(how,), (partial(time.sleep, 60),)], ())


# Two workers that say that they run, and then wait.
WAITING = """
import stages, os, time
from pathlib import Path
from taller.common import stage
from taller.training import workers

def waits(number, report):
    Path(str(os.getpid())).touch()
    time.sleep(60)

with stage.one_line("train"):
    workers.run(waits, [(0,), (1,)], (), processes=2, report=print)
"""


@pytest.mark.parametrize(
    ("kill", "number", "code", "line"),
    [
        (os.killpg, signal.SIGINT, 130, "\ntrain: interrupted\n"),  # Ctrl-C
        (os.kill, signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
@linux
def test_all_end_with_the_process_that_started_them(tmp_path, kill, number, code, line):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], cwd=tmp_path, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True, encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while len(workers := [*tmp_path.iterdir()]) < 2:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    kill(process.pid, number)
    assert (process.communicate(timeout=30)[1], process.returncode) == (line, code)
    end = time.monotonic() + 10
    while any(Path("/proc", one.name).exists() for one in workers):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_gpu_has_one_process_and_no_forks(monkeypatch):
    monkeypatch.setattr(workers.joblib, "cpu_count", lambda: 3)
    assert (workers.count(torch.device("cpu")), workers.count(torch.device("cuda"))) == (3, 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert workers.start_method() == "spawn"
