"""How a stage's program ends: in one line, and with nothing left running."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import interruptible

from taller.program import cli

ROOT = Path(__file__).parents[1]
SECONDS = 60  # for what takes two or three

# Folds that do not end by themselves, in two processes.
ENDLESS = """
import os
import numpy as np, torch
from taller.program import cli
from taller.training.cross_validation import cross_validate
from taller.models.simple_nn import SimpleNN
from taller.training.engine import Recipe

def model():
    os.write(1, b"at work\\n")
    return SimpleNN(2, (1, 28, 28))

def endless():
    "A stage."
    recipe = Recipe(
        model, lambda network: torch.optim.SGD(network.parameters(), 0.1), 10**6,
    )
    # Epochs of a second or two: each tells a line, which nobody reads yet.
    images, labels = np.zeros((60_000, 1, 28, 28), np.float32), np.arange(60_000) % 2
    cross_validate(
        recipe, images, labels, labels, batch_size=32, seed=0, device=torch.device("cpu"), jobs=2
    )

cli.main(endless)
"""


@pytest.fixture
def endless():
    stage = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], cwd=ROOT, start_new_session=True,
        preexec_fn=interruptible, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    try:
        working = 0
        while working < 2:
            line = stage.stdout.readline()
            assert line, "the stage ended"
            working += line == "at work\n"
        yield stage
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(stage.pid, signal.SIGKILL)
        stage.communicate()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_an_interrupted_stage_ends_in_one_line_with_its_workers(endless, sent):
    endless.send_signal(sent)
    # Returns when the last process that holds the pipes is gone, workers included.
    _, told = endless.communicate(timeout=SECONDS)
    assert endless.returncode == 130
    assert told.splitlines()[-1] == "endless: interrupted"


def test_the_workers_of_a_killed_stage_end_too(endless):
    endless.kill()
    endless.communicate(timeout=SECONDS)


@pytest.mark.parametrize(
    ("stage", "file"),
    [
        ("kfold_train", "data/processed/train.npz"),
        ("pretrain", "data/pretrained/pretrained.json"),
        ("compare", "resultados/datos.json"),
    ],
)
def test_a_stage_without_its_input_names_it_in_one_line(tmp_path, monkeypatch, capsys, stage, file):
    copied_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [stage])
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's process keeps its own
    with pytest.raises(SystemExit) as caught:
        cli.main(getattr(importlib.import_module(f"stages.{stage}"), stage))
    assert caught.value.code == missing_line(stage, file)
    assert capsys.readouterr().err == ""


def test_as_a_program_it_exits_with_1(tmp_path):
    copied_params(tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "stages.preprocess"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("preprocess: data/MNIST/raw/train-images-idx3-ubyte: expected ")
    assert run.stderr.count("\n") == 1


def copied_params(folder: Path) -> None:
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())


def missing_line(stage: str, file: str) -> str:
    return f"{stage}: {file}: No such file or directory; run it with: dvc repro {stage}"
