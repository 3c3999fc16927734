"""A fit that was stopped goes on after its last epoch, in the very bits of one that was not."""

import os
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stages import kfold_train as stage
from taller.data import dataset
from taller.data.dataset import Dataset
from taller.program import files, sources
from taller.program.errors import Problem
from taller.training import engine, journal
from taller.training.adamw import AdamW
from taller.training.batches import Batches
from taller.training.engine import Recipe

CPU = torch.device("cpu")
EPOCHS = 4


def network() -> nn.Sequential:
    """All that has a state: weights of four dimensions, statistics, dropout."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3)
    )


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True, fused=True)


def adam(network: nn.Module) -> AdamW:
    groups = [{"params": [p], "lr": 0.01 * k} for k, p in enumerate(network.parameters(), start=1)]
    return AdamW(groups, 0.0, weight_decay=0.1)


RECIPES = {
    f"{make.__name__}, {schedule}": Recipe(network, make, EPOCHS, schedule, 0.1)
    for make in (sgd, adam)
    for schedule in ("constant", "one_cycle")
}
ADAM = RECIPES["adam, one_cycle"]


@pytest.fixture(scope="module")
def batches() -> dict:
    """Noise to train on, and to validate on."""
    pen = torch.Generator().manual_seed(0)
    inputs = torch.randn(90, 2, 6, 6, generator=pen)
    labels = torch.randint(3, (90,), generator=pen)
    rows = torch.arange(90)
    return {
        "data": Batches(inputs, labels, rows[:60], 16, CPU),
        "validation": Batches(inputs, labels, rows[60:], 30, CPU),
    }


class Stopped(Exception):
    """What a kill is to a process."""


def stop_after(epoch: int):
    def on_epoch(row: dict) -> None:
        if row["epoch"] == epoch:
            raise Stopped

    return on_epoch


def of(folder: Path, **settings) -> journal.FitJournal:
    return journal.of_stage("stage", folder, [], **settings).of_fit("fit", "fold 1", EPOCHS)


def same(one: engine.Fit, other: engine.Fit) -> bool:
    states = one.model.state_dict(), other.model.state_dict()
    return (
        one.history == other.history
        and torch.equal(one.logits, other.logits)
        and all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    )


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("stops", [[1], [3], [1, 2, 3], [EPOCHS]], ids=str)
def test_a_stopped_fit_ends_in_the_bits_of_an_undisturbed_one(
    tmp_path, batches, recipe, stops, capsys
):
    kept, told = of(tmp_path), []
    for stop in stops:
        with pytest.raises(Stopped):
            engine.fit(recipe, **batches, seed=7, device=CPU, kept=kept, on_epoch=stop_after(stop))
    found = engine.fit(recipe, **batches, seed=7, device=CPU, kept=kept, on_epoch=told.append)
    assert same(found, engine.fit(recipe, **batches, seed=7, device=CPU))
    # None is trained twice; and it says from where it goes on.
    assert [row["epoch"] for row in told] == [*range(stops[-1] + 1, EPOCHS + 1)]
    lines = [f"fold 1: goes on after epoch {stop} of {EPOCHS}" for stop in stops]
    assert capsys.readouterr().out.splitlines() == lines
    assert [path.name for path in kept.folder.iterdir()] == [f"000{EPOCHS}.pt"]


def test_data_of_its_own_for_each_epoch_is_taken_up_at_its_place(tmp_path, batches):
    parts = [replace(batches["data"], rows=torch.arange(start, 60)) for start in (0, 10, 20, 37)]
    run = {"validation": batches["validation"], "seed": 7, "device": CPU}
    with pytest.raises(Stopped):
        engine.fit(ADAM, parts, **run, kept=of(tmp_path), on_epoch=stop_after(2))
    found = engine.fit(ADAM, parts, **run, kept=of(tmp_path))
    assert same(found, engine.fit(ADAM, parts, **run))
    assert not same(found, engine.fit(ADAM, batches["data"], **run))


def damaged(content: bytes) -> dict[str, bytes]:
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    return {"cut": content[:-1], "flipped": bytes(flipped), "empty": b"", "text": b"no journal"}


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "another fit's", "a folder"])
def test_a_file_that_is_damaged_or_of_another_fit_is_told_and_left_out(
    tmp_path, batches, damage, capsys
):
    kept = of(tmp_path)
    with pytest.raises(Stopped):
        engine.fit(ADAM, **batches, seed=7, device=CPU, kept=kept, on_epoch=stop_after(2))
    file = kept.folder / "0002.pt"
    content = file.read_bytes()
    file.unlink()
    if damage == "a folder":
        (kept.folder / "0003.pt").mkdir()
        file = kept.folder / "0003.pt"
    elif damage == "another fit's":
        other = replace(kept, folder=kept.folder.with_name("other"))
        other.save({"history": [1], "model": {}})
        file.write_bytes((other.folder / "0001.pt").read_bytes())
    else:
        file.write_bytes(damaged(content)[damage])
    told = f"{file}: expected what fold 1 has reached, found another file; it is left out\n"
    assert kept.load() is None
    assert capsys.readouterr().out == told
    if damage != "a folder":  # which is the user's to remove, by its name in the error
        found = engine.fit(ADAM, **batches, seed=7, device=CPU, kept=kept)
        assert same(found, engine.fit(ADAM, **batches, seed=7, device=CPU))
        assert capsys.readouterr().out == told


def test_a_full_disk_keeps_what_was_reached_before(tmp_path, monkeypatch):
    kept = of(tmp_path)
    kept.save({"history": [1]})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Problem, match=r"0002\.pt: expected 0\.00\d MB free on the disk, found "):
        kept.save({"history": [1, 2]})
    assert kept.load() == {"history": [1]}
    assert [path.name for path in kept.folder.iterdir()] == ["0001.pt"]


def keys(folder: Path, inputs=(), **settings) -> str:
    return journal.of_stage("stage", folder, inputs, **settings).key


def test_the_key_is_another_one_after_any_change(tmp_path, monkeypatch):
    (tmp_path / "bases").mkdir()
    one, array = tmp_path / "one", np.arange(6)
    one.write_bytes(b"12")
    (tmp_path / "bases/2.pth").write_bytes(b"34")
    inputs = [one, tmp_path / "bases", array]

    def key(*changed, **settings):
        return keys(tmp_path, changed or inputs, **{"seed": 1, "rate": 0.1} | settings)

    first = key()
    assert first == key()
    found = [
        key(seed=2), key(rate=0.1 + 1e-17 + 2e-17), key(threads=1), key(one, array),
        key(one, tmp_path / "bases", array.reshape(2, 3)),
        key(one, tmp_path / "bases", array.astype(np.int32)),
    ]  # fmt: skip
    (tmp_path / "bases/2.pth").write_bytes(b"35")
    found.append(key())
    (tmp_path / "bases/2.pth").rename(tmp_path / "bases/3.pth")
    found.append(key())
    one.write_bytes(b"13")
    found.append(key())
    before = key()
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    found.append(key())
    monkeypatch.setenv("UNRELATED", "1")
    assert key() == found[-1]
    monkeypatch.undo()
    assert key() == before
    for owner, name in ((torch, "__version__"), (np, "__version__")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, "0")
            found.append(key())
    with monkeypatch.context() as patch:
        patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "other")
        found.append(key())
    assert len({first, before, *found}) == len(found) + 1  # `before` is one of them


def test_the_key_follows_the_code_that_is_loaded_and_no_other(tmp_path, monkeypatch):
    code = tmp_path / "taller"
    code.mkdir()
    (code / "a.py").write_text("x = 1\n")
    (code / "b.py").write_text("y = 1\n")
    (tmp_path / "test_c.py").write_text("z = 1\n")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    for name in ("a", "test_c"):
        module = types.ModuleType(name)
        module.__file__ = str((code if name == "a" else tmp_path) / f"{name}.py")
        monkeypatch.setitem(sys.modules, f"loaded_{name}", module)
    first = keys(tmp_path)
    (code / "b.py").write_text("y = 2\n")
    (tmp_path / "test_c.py").write_text("z = 2\n")
    assert keys(tmp_path) == first
    (code / "a.py").write_text("x = 2\n")
    assert keys(tmp_path) != first


PARAMS = {
    "learning_rate": 0.003, "weight_decay": 0.0, "schedule": "one_cycle", "batch_size": 16,
    "epochs": 3, "min_steps": 0, "hidden": [8], "dropout": 0.1,
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """Run a stage on noise, in two repeats of two folds; gives the bytes of what it writes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 1, 6, 6), dtype=np.uint8)
    dataset.save(tmp_path / "train.npz", Dataset(images, np.arange(60) % 3, ("a", "b", "c")))
    np.save(tmp_path / "folds.npy", np.stack([np.arange(60) % 2, np.arange(60) // 3 % 2]))

    def ran(cache: str, **changes) -> dict[str, bytes]:
        out = tmp_path / "out"
        params = stage.section("simple_nn")(**PARAMS | changes)
        places = tmp_path / "train.npz", tmp_path / "folds.npy", out, out, tmp_path / cache
        stage.kfold_train("simple_nn", params, 5, "cpu", *places)
        return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    return ran


@pytest.fixture
def stop(monkeypatch):
    """Have the `count`-th epoch from now on be the last of this process, once it is kept."""
    save = journal.FitJournal.save

    def after(count: int) -> None:
        left = [count]

        def counted(self, reached: dict) -> None:
            save(self, reached)
            left[0] -= 1
            if left[0] == 0:
                raise Stopped

        monkeypatch.setattr(journal.FitJournal, "save", counted)

    return after


def stopped(run, *arguments, **changes) -> None:
    with pytest.raises(Stopped):
        run(*arguments, **changes)


def test_a_stage_goes_on_in_every_fit_and_removes_its_journal(
    run, stop, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    expected = run("undisturbed")
    assert not (tmp_path / "undisturbed/journal").exists()
    stop(8)  # 3 on all images, 3 on the first fold, 2 on the second
    stopped(run, "cache")
    stop(5)  # 1 on it, 3 on the next repeat's first fold, 1 on its second
    stopped(run, "cache")
    stop(0)
    capsys.readouterr()
    assert run("cache") == expected
    told = [line for line in capsys.readouterr().out.splitlines() if "goes on" in line]
    assert told == [
        f"SimpleNN: {which}: goes on after epoch {epoch} of 3"
        for which, epoch in (
            ("all images", 3), ("fold 1", 3), ("fold 2", 3), ("fold 1", 3), ("fold 2", 1),
        )
    ]  # fmt: skip
    assert not (tmp_path / "cache/journal").exists()


def test_what_was_reached_with_other_params_is_kept_until_the_stage_succeeds(
    run, stop, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    expected = run("undisturbed", learning_rate=0.01)
    stop(4)
    stopped(run, "cache")
    stop(2)
    stopped(run, "cache", learning_rate=0.01)
    stop(0)
    assert len(list((tmp_path / "cache/journal/kfold_train.simple_nn").iterdir())) == 2
    files.write_text(tmp_path / "cache/journal/other stage/key/fit/0001.pt", "")
    capsys.readouterr()
    assert run("cache", learning_rate=0.01) == expected
    assert "all images: goes on after epoch 2 of 3" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "cache/journal").iterdir()] == ["other stage"]
