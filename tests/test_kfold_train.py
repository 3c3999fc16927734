"""What the stage writes of a network from scratch: the model, its scores, how and at what cost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from stages.kfold_train import kfold_train
from taller.common.errors import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.training import checkpoint, store

ROOT = Path(__file__).parents[1]
TRAINING = {
    "learning_rate": 0.003, "weight_decay": 0.0, "schedule": "one_cycle", "batch_size": 16,
    "epochs": 2,
}  # fmt: skip
MODEL_PARAMS = {
    "simple_nn": {"hidden": [8, 6], "dropout": 0.25},
    "cnn": {"channels": [4, 5], "units": 7, "dropout": 0.0},
}
NAMES = {"simple_nn": "SimpleNN", "cnn": "CNN"}
SHAPE, IMAGES = (3, 10, 9), 90
# Of one inference: a multiplication and an addition for each weight and place where it is used,
# first in the first layer. The image of 10 x 9 pixels becomes 5 x 5, then 3 x 3.
PRODUCTS = {
    "simple_nn": [2 * 270 * 8, 2 * 8 * 6, 2 * 6 * 3],
    "cnn": [2 * 25 * 3 * 4 * 25, 2 * 25 * 4 * 5 * 9, 2 * 45 * 7, 2 * 7 * 3],
}
every = pytest.mark.parametrize("network", NAMES)


@pytest.fixture
def folder(workdir, monkeypatch) -> Path:
    """Three classes, each of a pattern under noise; two repeats of two folds."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    random = np.random.default_rng(0)
    labels, rows = np.arange(IMAGES) % 3, np.arange(IMAGES)
    patterns = random.integers(0, 256, (3, *SHAPE))
    images = np.clip(patterns[labels] + random.normal(0, 60, (IMAGES, *SHAPE)), 0, 255)
    dataset.save(Path("data/train"), Dataset(images.astype(np.uint8), labels, (*"abc",)))
    dataset.save_array(Path("data/train/folds.npy"), np.stack([rows % 2, rows // 3 % 2]))
    return workdir


def write(name: str, network: str, **changes) -> None:
    section = {"network": network, "min_steps": 0} | TRAINING | MODEL_PARAMS[network] | changes
    content = {"seed": 5, "device": "cpu", "numerics": "portable", "kfold_train": {name: section}}
    Path("params.yaml").write_text(yaml.safe_dump(content))


def outputs(folder: Path) -> dict[str, bytes]:
    places = (folder / name for name in ("modelos", "resultados"))
    paths = (path for place in places for path in place.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@every
@pytest.mark.parametrize("named", [True, False])
def test_the_facts_of_the_fit(folder, network, named):
    name = network if named else "mine"
    write(name, network, weight_decay=0.0 if named else 0.1)
    kfold_train(name)
    assert {*outputs(folder)} == {
        f"modelos/scratch/{name}.pth",
        *(
            f"resultados/cv/scratch/{name}/{one}"
            for one in ("fit.json", "history.csv", "scores.csv")
        ),
    }
    state = torch.load(f"modelos/scratch/{name}.pth", weights_only=True)["state_dict"]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    parameters = sum(v.numel() for key, v in state.items() if not key.endswith(statistics))
    layers, shown = PRODUCTS[network], NAMES[network] if named else "mine"
    step = 3 * sum(layers) - layers[0]  # two gradients of each product, but none of the image's
    facts = json.loads(Path(f"resultados/cv/scratch/{name}/fit.json").read_text())
    assert facts == {
        "kind": "scratch", "network": network, "model": shown, "short": shown,
        "trained_parameters": parameters, "parameters": parameters,
        "flops": {"inference": sum(layers), "training": 2 * IMAGES * step},
        "training": {
            **TRAINING, "optimizer": "Adam" if named else "AdamW",
            "weight_decay": 0.0 if named else 0.1,
            "trained": [], "frozen": [], "model_params": MODEL_PARAMS[network],
        },
        "start": None,
    }  # fmt: skip


def test_every_repeat_is_scored_on_its_folds_and_more_change_neither_the_first_nor_the_model(
    folder,
):
    write("cnn", "cnn")
    kfold_train("cnn")
    scores = pd.read_csv("resultados/cv/scratch/cnn/scores.csv")
    wide = scores.pivot(index=["repeat", "fold"], columns="metric", values="value")
    assert wide.index.tolist() == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert wide["val_images"].tolist() == [45] * 4 and wide["log_loss"].nunique() == 4
    history = pd.read_csv("resultados/cv/scratch/cnn/history.csv")
    assert history.groupby(["repeat", "fold"])["epoch"].apply(list).tolist() == [[1, 2]] * 4

    model = Path("modelos/scratch/cnn.pth").read_bytes()
    folds = np.load("data/train/folds.npy")
    dataset.save_array(Path("data/train/folds.npy"), folds[:1])
    kfold_train("cnn")
    assert Path("modelos/scratch/cnn.pth").read_bytes() == model
    once = pd.read_csv("resultados/cv/scratch/cnn/scores.csv")
    pd.testing.assert_frame_equal(scores[scores["repeat"] == 1], once)


@every
def test_the_stored_model_has_learnt_from_images_as_they_are(folder, network):
    write(network, network, epochs=20, learning_rate=0.01)
    kfold_train(network)
    model, data = (
        store.load(Path(f"modelos/scratch/{network}.pth")),
        dataset.load(Path("data/train")),
    )
    assert (model.network_name, model.names, model.source) == (network, data.names, "scratch")
    images = torch.from_numpy(np.array(data.images))
    torch.testing.assert_close(model.scaling(images), (images / 255 - 0.5) / 0.5)
    predicted = model.network.eval()(model.scaling(images)).argmax(1).numpy()
    assert (predicted == data.labels).mean() > 0.9


def test_few_images_are_trained_on_for_as_many_epochs_as_the_facts_say(folder, capsys):
    write("cnn", "cnn", epochs=1, min_steps=18)
    kfold_train("cnn")
    facts = json.loads(Path("resultados/cv/scratch/cnn/fit.json").read_text())
    assert facts["training"]["epochs"] == 3 == pd.read_csv(
        "resultados/cv/scratch/cnn/history.csv"
    )["epoch"].max()  # fmt: skip
    assert "cnn: 3 epochs instead of 1: with 90 images" in capsys.readouterr().out


def test_an_interrupted_stage_goes_on_and_ends_in_the_same_bytes(folder, monkeypatch, capsys):
    write("simple_nn", "simple_nn")
    kfold_train("simple_nn")
    expected, save, left = outputs(folder), checkpoint.FitCheckpoint.save, []
    for stop in (3, 4):  # epochs of all fits, of which there are ten
        left[:] = [stop]

        def saves(self, reached, left=left):
            save(self, reached)
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        monkeypatch.setattr(checkpoint.FitCheckpoint, "save", saves)
        with pytest.raises(KeyboardInterrupt):
            kfold_train("simple_nn")
    monkeypatch.setattr(checkpoint.FitCheckpoint, "save", save)
    capsys.readouterr()
    kfold_train("simple_nn")
    lines = capsys.readouterr().out.splitlines()
    assert (
        outputs(folder) == expected
        and not Path(".cache/checkpoints/kfold_train.simple_nn").exists()
    )
    assert [line for line in lines if "goes on" in line] == [
        f"simple_nn: {fit}: goes on after epoch {epoch} of 2"
        for fit, epoch in (("all images", 2), ("fold 1", 2), ("fold 2", 2), ("fold 1", 1))
    ]
    assert len([line for line in lines if ", epoch " in line]) == 10 - 7


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"network": "other"}, "network: expected a file of taller/networks "),
        ({"units": 3}, "units: unknown key, expected one of learning_rate, "),
        ({"hidden": []}, "hidden: expected "),
        ({"batch_size": 1}, "batch_size: expected greater than or equal to 2, found 1"),
        ({"learning_rate": "fast"}, "learning_rate: expected a valid number, found 'fast'"),
    ],
)
def test_a_wrong_param_is_one_line(folder, changes, line):
    write("mine", "simple_nn", **changes)
    with pytest.raises(UserError) as caught:
        kfold_train("mine")
    assert str(caught.value).startswith(f"params.yaml: kfold_train.mine.{line}")


def test_it_is_a_program_that_says_what_it_does(folder):
    write("mine", "cnn")
    run = subprocess.run(
        [sys.executable, "-m", "stages.kfold_train", "mine"], cwd=folder, encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    first, *lines, last = run.stdout.splitlines()
    assert first.startswith("numerics: ") and last.startswith("mine: accuracy ")
    assert len(lines) == 5 * 2 and lines[0].startswith(
        "mine: all images, epoch 1 of 2: train loss "
    )
