"""Checkpoints: what is damaged or hostile is ignored, and any change makes another key."""

import pickle

import numpy as np
import pytest
import torch

from taller.training import checkpoint

REACHED = {
    "model": {"weight": torch.arange(6.0).view(2, 3)},
    "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
    "history": [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}],
    "logits": None,
}


@pytest.fixture
def fit(workdir) -> checkpoint.FitCheckpoint:
    return checkpoint.of_stage("kfold_train.cnn", []).of_fit("fold 1", "cnn: fold 1", 4)


def test_what_is_saved_last_is_loaded(fit, capsys):
    assert fit.load() is None
    fit.save({**REACHED, "history": REACHED["history"][:1]})
    fit.save(REACHED)
    reached = fit.load()
    assert torch.equal(reached["model"].pop("weight"), REACHED["model"]["weight"])
    assert reached["history"] == REACHED["history"]
    assert capsys.readouterr().out == "cnn: fold 1: goes on after epoch 2 of 4\n"
    assert [path.name for path in fit.path.parent.iterdir()] == ["fold 1.pt"]
    # What is under other keys is there, until the stage that it is of has ended.
    other = checkpoint.of_stage("kfold_train.cnn", [], seed=2)
    assert other.of_fit("fold 1", "cnn: fold 1", 4).load() is None and fit.load()
    other.remove()
    assert fit.load() is None


class Hostile:
    def __reduce__(self):
        return print, ("code from a pickle ran",)


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1], flipped,
        lambda content: sealed(pickle.dumps(Hostile(), 2)), None,
    ],
    ids=["cut", "flipped", "hostile", "folder"],
)  # fmt: skip
def test_what_is_damaged_is_ignored_in_a_line(fit, damage, capsys):
    fit.save(REACHED)
    content = fit.path.read_bytes()
    fit.path.unlink()
    fit.path.write_bytes(damage(content)) if damage else fit.path.mkdir()
    assert fit.load() is None
    line = f"{fit.path}: expected a checkpoint, found another file; ignored\n"
    assert capsys.readouterr() == (line, "")
    if damage:
        fit.save(REACHED)
        assert fit.load()["history"] == REACHED["history"]


def sealed(content: bytes) -> bytes:
    return checkpoint.hashlib.sha256(content).digest() + content


def test_the_key_is_another_one_after_any_change(workdir, monkeypatch):
    data, start, code = workdir / "data", workdir / "1.pth", workdir / "taller"
    for path in (data / "images.npy", data / "labels.npy", start, code / "engine.py"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12")
    monkeypatch.setattr(checkpoint, "CODE", [code])

    def key(**settings):
        settings = {"seed": 1, "rate": 0.1} | settings
        return checkpoint.of_stage("stage", [data, start], **settings).key

    first = key()
    (code / "__pycache__").mkdir()
    (code / "__pycache__/engine.pyc").write_bytes(b"1")
    assert key() == first
    keys = [first, key(seed=2), key(rate=0.1 + 2e-17), key(threads=1)]
    for path in (data / "images.npy", start, code / "engine.py"):
        path.write_bytes(b"13")
        keys.append(key())
    (data / "labels.npy").rename(data / "groups.npy")
    keys.append(key())
    monkeypatch.setenv("UNRELATED", "1")
    assert key() == keys[-1]
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    keys.append(key())
    for owner in (torch, np):
        monkeypatch.setattr(owner, "__version__", "0")
        keys.append(key())
    assert len({*keys}) == len(keys)
