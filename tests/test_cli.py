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
import joblib
import numpy as np, torch
from taller.program import cli
from taller.training.adamw import AdamW
from taller.training.cross_validation import cross_validate
from taller.models.simple_nn import SimpleNN
from taller.training.engine import Recipe
from taller.training.forked import Forked

def model():
    os.write(1, b"at work\\n")
    return SimpleNN(2, (1, 28, 28))

def endless():
    "A stage."
    recipe = Recipe(
        model, lambda network: AdamW(network.parameters(), 0.1, weight_decay=0.0), 10**6,
    )
    # Epochs of a second or two: each tells a line, which nobody reads yet.
    images, labels = np.zeros((60_000, 1, 28, 28), np.float32), np.arange(60_000) % 2
    with joblib.parallel_config(BACKEND, n_jobs=2):
        cross_validate(
            recipe, images, labels, labels, batch_size=32, seed=0, device=torch.device("cpu")
        )

cli.main(endless)
"""


@pytest.fixture
def endless(request):
    script = ENDLESS.replace("BACKEND", request.param)
    stage = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, start_new_session=True, preexec_fn=interruptible,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
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


@pytest.mark.parametrize(
    ("endless", "sent"),
    [("'loky'", signal.SIGINT), ("Forked()", signal.SIGINT), ("Forked()", signal.SIGTERM)],
    indirect=["endless"],
)
def test_an_interrupted_stage_ends_in_one_line_with_its_workers(endless, sent):
    endless.send_signal(sent)
    # Returns when the last process that holds the pipes is gone, workers included.
    _, told = endless.communicate(timeout=SECONDS)
    assert endless.returncode == 130
    assert told.splitlines()[-1] == "endless: interrupted"


@pytest.mark.parametrize("endless", ["'loky'", "Forked()"], indirect=True)
def test_the_workers_of_a_killed_stage_end_too(endless):
    endless.kill()
    endless.communicate(timeout=SECONDS)


@pytest.fixture
def called(tmp_path, monkeypatch):
    """Call a stage's program, in a folder with nothing but params.yaml; gives how it exits."""
    copied_params(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's process keeps its own

    def call(stage: str, *arguments: str) -> int | str:
        monkeypatch.setattr(sys, "argv", [stage, *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main(getattr(importlib.import_module(f"stages.{stage}"), stage))
        return ended.value.code

    return call


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("kfold_train simple_nn", "data/processed/train.npz"),
        ("kfold_train cnn", "data/processed/train.npz"),
        ("pretrain", "data/pretrained/pretrained.json"),
        ("finetune", "data/processed/train.npz"),
        ("compare", "resultados/datos.json"),
    ],
)
def test_a_stage_without_its_input_names_it_in_one_line(called, capsys, command, file):
    stage, *arguments = command.split()
    assert called(stage, *arguments) == (
        f"{stage}: {file}: No such file or directory; run it with: dvc repro {stage}"
    )
    assert capsys.readouterr().err == ""


# A module of taller/models that cannot be trained from scratch is none either.
@pytest.mark.parametrize("name", ["typo", "resnet18", "scaling", "", "..cnn", "cnn.Knobs"])
def test_an_unknown_network_is_one_line(called, capsys, name):
    told = called("kfold_train", name)
    assert (
        told == f"kfold_train: expected a network, taller/models/NAME.py with Knobs, found {name}"
    )
    assert capsys.readouterr().err == ""


def test_a_network_that_is_not_in_params_is_one_line(called, tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("  cnn:", "  other:"), "utf-8")
    told = called("kfold_train", "cnn")
    assert told == "kfold_train: params.yaml: kfold_train.cnn: expected a value, found nothing"


def test_a_network_whose_library_is_not_installed_says_so(tmp_path, monkeypatch):
    from stages.kfold_train import architecture

    (tmp_path / "lacking.py").write_text("import a_library_that_is_not_there\n", encoding="utf-8")
    models = importlib.import_module("taller.models")
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        architecture("lacking")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("kfold_train", "the following arguments are required: ITEM"),
        ("kfold_train cnn simple_nn", "unrecognized arguments: simple_nn"),
        ("preprocess cnn", "unrecognized arguments: cnn"),
    ],
)
def test_another_number_of_arguments_is_told_with_the_usage(called, capsys, command, told):
    assert called(*command.split()) == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: python -m stages.") and error.endswith(told)


def test_the_help_of_a_stage_for_every_network_tells_how_to_name_one(called, capsys):
    assert called("kfold_train", "--help") == 0
    shown = capsys.readouterr().out
    assert "python -m stages.kfold_train [-h] ITEM" in shown
    listed = shown.partition("Reads from params.yaml")[2].partition("\n\n")[0].splitlines()[1:]
    assert listed == ["  numerics", "  kfold_train.ITEM", "  seed", "  device"]


def test_as_a_program_it_exits_with_1(tmp_path):
    copied_params(tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "stages.preprocess"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    assert run.returncode == 1
    assert [line.partition(":")[0] for line in run.stdout.splitlines()] == ["numerics"]
    assert run.stderr.startswith("preprocess: data/MNIST/files/train-images-idx3-ubyte: expected ")
    assert run.stderr.count("\n") == 1


def copied_params(folder: Path) -> None:
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
