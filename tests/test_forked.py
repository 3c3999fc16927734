"""Copies of a process: what they give, how they end, and when they can be made."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch

from taller.program.errors import Problem
from taller.training import forked, numerics
from taller.training.forked import Forked

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="copies are made on Linux alone: NOT tested"
)


def in_copies(calls, jobs: int = 2) -> list:
    with joblib.parallel_config(Forked(), n_jobs=jobs):
        return joblib.Parallel()(calls)


def test_each_call_has_a_copy_in_which_all_is_at_hand():
    kept, here = np.arange(5), os.getpid()

    def added(number: int) -> tuple[int, int, int]:  # which no pickle could send
        kept[0] += 1
        return int(kept.sum()) + number, os.getpid(), os.getppid()

    found = in_copies(joblib.delayed(added)(number) for number in range(7))
    sums, processes, parents = zip(*found, strict=True)
    assert sums == (*range(11, 18),) and kept[0] == 0
    assert len({*processes}) == 7 and here not in processes and {*parents} == {here}


@pytest.mark.parametrize("jobs", [1, 3])
def test_as_many_at_once_as_there_are_jobs(tmp_path, jobs):
    def met(number: int) -> int:
        (tmp_path / str(number)).touch()
        time.sleep(0.2)
        count = len([*tmp_path.iterdir()])
        (tmp_path / str(number)).unlink()
        return count

    assert max(in_copies((joblib.delayed(met)(number) for number in range(6)), jobs)) == jobs


def test_what_is_said_in_a_copy_is_heard(capfd):
    in_copies(joblib.delayed(print)(word) for word in "ab")
    assert sorted(capfd.readouterr().out.split()) == ["a", "b"]


def test_an_error_is_raised_with_where_it_was():
    def fails() -> None:
        raise Problem("expected a, found b")

    with pytest.raises(Problem) as raised:
        in_copies(joblib.delayed(one)() for one in (fails, fails))
    assert str(raised.value) == "expected a, found b"
    assert "in fails" in "".join(raised.value.__notes__)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL"),
        (lambda: os._exit(3), "status 3"),
    ],
)
def test_a_copy_that_is_lost_is_told(end, told):
    with pytest.raises(Problem, match=f"expected the process of a fit to last, .* by {told}$"):
        in_copies([joblib.delayed(end)(), joblib.delayed(int)()])


def test_where_one_fails_the_others_end(tmp_path):
    def waits(name: str) -> None:
        (tmp_path / name).write_text(str(os.getpid()))
        time.sleep(60)

    def fails() -> None:
        while not [*tmp_path.iterdir()]:
            time.sleep(0.01)
        raise KeyError("it")

    start = time.monotonic()
    with pytest.raises(KeyError):
        in_copies([joblib.delayed(waits)("a"), joblib.delayed(fails)(), joblib.delayed(waits)("b")])
    assert time.monotonic() - start < 30
    for path in tmp_path.iterdir():  # the third may have begun before the error came here
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)
    assert in_copies([joblib.delayed(int)("7")] * 3) == [7] * 3


def test_a_copy_computes_where_the_process_has_computed_in_several_threads():
    numbers = torch.rand(2000, 2000)
    with numerics.threads(3):
        expected = numbers.double().log_softmax(1).sum()
        found = in_copies([joblib.delayed(lambda: numbers.double().log_softmax(1).sum())()] * 3)
    assert all(torch.isclose(one, expected) for one in found)


class Module:
    """What a process imports when it is handed one."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple:
        return importlib.import_module, (self.name,)


def test_no_copy_waits_for_an_import_of_the_process(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("slow_a", "slow_b", "slow_c"):
        (tmp_path / f"{name}.py").write_text("import time; time.sleep(0.3)")

        def imports(number: int, name: str = name) -> object:
            time.sleep(number / 10)
            importlib.import_module(name)
            return number or Module(name)

        # While the first answer is imported the second copy ends, and another one begins.
        found = in_copies((joblib.delayed(imports)(number) for number in range(4)), jobs=2)
        assert found == [sys.modules[name], 1, 2, 3]


# In a process of its own: this one may have computed gradients already.
FITS = """
import joblib, numpy as np, torch
from taller.models.simple_nn import SimpleNN
from taller.training import cluster, forked
from taller.training.adamw import AdamW
from taller.training.cross_validation import cross_validate
from taller.training.engine import Recipe

def fits():
    recipe = Recipe(
        lambda: SimpleNN(2, (1, 28, 28)), lambda network: AdamW(network.parameters(), 1e-3, 0.0), 2
    )
    images = np.random.default_rng(0).random((200, 1, 28, 28), np.float32)
    return cross_validate(
        recipe, images, np.arange(200) % 2, np.arange(200) // 2 % 4, batch_size=16, seed=0,
        device=torch.device("cpu"),
    )

found = []
for _ in range(2):
    with cluster.fits_at_once(torch.device("cpu")):
        print("copies", forked.active())
        found.append(fits())
found.append(fits())  # here
with cluster.fits_at_once(torch.device("cpu")):
    print("copies", forked.active())
    found.append(fits())
for one in found:
    assert one.history.equals(found[0].history) and one.scores.equals(found[0].scores)
    assert all(torch.equal(one.state[key], value) for key, value in found[0].state.items())
"""


def test_fits_in_copies_are_the_same_fits_and_not_made_where_they_cannot_be():
    run = subprocess.run(
        [sys.executable, "-c", FITS], cwd=ROOT, env=os.environ | {"LOKY_MAX_CPU_COUNT": "2"},
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    said = [line for line in run.stdout.splitlines() if line.startswith("copies")]
    # Gradients that this process has computed keep a copy from it where there is a GPU.
    assert said == [*["copies True"] * 2, f"copies {not torch.cuda.is_available()}"]


def test_none_are_made_where_a_copy_cannot_compute_gradients(monkeypatch):
    assert not torch.cuda.is_initialized() and forked.possible()

    def refuses(*_: object) -> None:
        raise RuntimeError("Unable to handle autograd's threading in combination with fork")

    monkeypatch.setattr(torch.Tensor, "backward", refuses)
    assert not forked.possible()


def test_elsewhere_than_on_linux_none_are_made(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("a copy was made"))
    assert not forked.possible()
