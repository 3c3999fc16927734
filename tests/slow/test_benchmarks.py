"""The benchmark's runner, on one small part: its rounds and its table."""

from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks import table

ROOT = Path(__file__).parents[2]
SMALL = {"images": 600, "epochs": 1}


@pytest.fixture
def place(workdir, mnist_raw, monkeypatch):
    """A folder with MNIST, whose results and picture are not the committed ones."""
    (workdir / "data/MNIST").mkdir(parents=True)
    (workdir / "data/MNIST/raw").symlink_to(mnist_raw)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(table, "FILE", workdir / "results.csv")
    return workdir


def test_cases_run_in_rounds_and_what_fails_is_named(place, monkeypatch, capsys):
    cases = [
        runner.training_case(table.OURS, "ours:simple_nn", **SMALL),
        runner.training_case("workshop's loop", "workshop:simple_nn", runner.ONE_FOLD, **SMALL),
        runner.training_case("broken", "workshop:absent", **SMALL),
    ]
    monkeypatch.setattr(runner, "PARTS", {"simple_nn": cases})
    monkeypatch.setattr("sys.argv", ["benchmarks", "--rounds", "2"])
    with pytest.raises(SystemExit, match="failed: broken"):
        runner.main()
    frame = table.read()
    rows = [case.row for case in cases[:2]]
    assert frame["row"].tolist() == rows * 2 and frame["round"].tolist() == [1] * 2 + [2] * 2
    assert frame["images"].tolist() == [2400, 480] * 2  # one of five folds, or all
    assert frame["accuracy"].between(0.15, 1).all() and (frame["memory_mb"] > 50).all()
    assert frame.groupby("row")["accuracy"].nunique().eq(1).all()  # the seed decides
    printed = capsys.readouterr().out
    assert "AttributeError" in printed and "workshop's loop" in printed.split("### simple_nn")[1]
