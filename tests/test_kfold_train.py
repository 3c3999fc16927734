"""What the stage writes of a network from scratch: the model, its scores, how and at what cost."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from stages.kfold_train import kfold_train
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.training import checkpoint, store

TRAINING = {
    "learning_rate": 0.01, "weight_decay": 0.0, "schedule": "one_cycle", "batch_size": 16,
    "epochs": 2, "augment": "none", "label_smoothing": 0.0, "class_weights": "none",
}  # fmt: skip
MODEL_PARAMS = {
    "simple_nn": {"hidden": [8, 6], "dropout": 0.25},
    "cnn": {"channels": [4, 5], "units": 7, "dropout": 0.0},
}
# Of one inference: a multiplication and an addition for each weight and place where it is used,
# first in the first layer. The image of 10 x 9 pixels becomes 5 x 5, then 3 x 3.
PRODUCTS = {
    "simple_nn": [2 * 270 * 8, 2 * 8 * 6, 2 * 6 * 3],
    "cnn": [2 * 25 * 3 * 4 * 25, 2 * 25 * 4 * 5 * 9, 2 * 45 * 7, 2 * 7 * 3],
}
SHAPE, IMAGES = (3, 10, 9), 90


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


def write(name: str, network: str, /, **changes) -> None:
    section = {"network": network, "min_steps": 0, "image_size": "auto"} | TRAINING
    section |= MODEL_PARAMS[network] | changes
    content = {"seed": 5, "device": "cpu", "kfold_train": {name: section}}
    Path("params.yaml").write_text(yaml.safe_dump(content))


def outputs(folder: Path) -> dict[str, bytes]:
    places = (folder / name for name in ("modelos", "resultados"))
    paths = (path for place in places for path in place.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("name", "network", "model", "decay"),
    [("simple_nn", "simple_nn", "SimpleNN", 0.0), ("mine", "cnn", "mine", 0.1)],
)
def test_what_it_writes(folder, name, network, model, decay):
    write(name, network, weight_decay=decay)
    kfold_train(name)
    results = Path("resultados/cv/scratch", name)
    written = {f"{results}/{one}" for one in ("fit.json", "history.csv", "scores.csv")}
    assert {*outputs(folder)} == {f"modelos/scratch/{name}.pth", *written}
    state = torch.load(f"modelos/scratch/{name}.pth", weights_only=True)["state_dict"]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    parameters = sum(one.numel() for key, one in state.items() if not key.endswith(statistics))
    layers = PRODUCTS[network]
    step = 3 * sum(layers) - layers[0]  # two gradients of each product, but none of the image's
    assert json.loads((results / "fit.json").read_text()) == {
        "kind": "scratch", "network": network, "model": model, "short": model,
        "trained_parameters": parameters, "parameters": parameters,
        "flops": {"inference": sum(layers), "training": 2 * IMAGES * step},
        "training": {
            **TRAINING, "optimizer": "AdamW" if decay else "Adam", "weight_decay": decay,
            "trained": [], "frozen": [],
            "model_params": {"image_size": 10, **MODEL_PARAMS[network]},
        },
        "start": None,
    }  # fmt: skip
    scores = pd.read_csv(results / "scores.csv")
    wide = scores.pivot(index=["repeat", "fold"], columns="metric", values="value")
    assert wide.index.tolist() == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert wide["val_images"].tolist() == [45] * 4 and wide["log_loss"].nunique() == 4

    # More repeats change neither the first one's scores nor the model.
    folds, first = np.load("data/train/folds.npy"), outputs(folder)
    dataset.save_array(Path("data/train/folds.npy"), folds[:1])
    kfold_train(name)
    assert outputs(folder)[f"modelos/scratch/{name}.pth"] == first[f"modelos/scratch/{name}.pth"]
    once = pd.read_csv(results / "scores.csv")
    pd.testing.assert_frame_equal(scores[scores["repeat"] == 1], once)


@pytest.mark.parametrize("network", MODEL_PARAMS)
def test_the_model_has_learnt_from_images_as_they_are_for_at_least_min_steps(
    folder, network, capsys
):
    write(network, network, min_steps=120)
    kfold_train(network)
    assert f"{network}: 20 epochs instead of 2: with 90 images" in capsys.readouterr().out
    results, data = Path("resultados/cv/scratch", network), dataset.load(Path("data/train"))
    assert json.loads((results / "fit.json").read_text())["training"]["epochs"] == 20
    assert pd.read_csv(results / "history.csv")["epoch"].max() == 20
    model = store.load(Path(f"modelos/scratch/{network}.pth"))
    assert (model.network_name, model.names, model.source) == (network, data.names, "scratch")
    inputs = (torch.from_numpy(np.array(data.images)) / 255 - 0.5) / 0.5
    assert (model.network.eval()(inputs).argmax(1).numpy() == data.labels).mean() > 0.9


def test_images_are_resized_for_one_network_and_stay_for_the_others(folder):
    network = "cnn"
    write(network, network, image_size=20, min_steps=120, augment="photographs")
    kfold_train(network)
    facts = json.loads(Path("resultados/cv/scratch", network, "fit.json").read_text())
    assert facts["training"]["model_params"]["image_size"] == 20
    model, data = store.load(Path("modelos/scratch/cnn.pth")), dataset.load(Path("data/train"))
    assert (model.shape, model.scaling.size) == (data.shape, (20, 18))
    inputs = model.scaling(torch.from_numpy(np.array(data.images)))
    assert inputs.shape == (IMAGES, 3, 20, 18)
    assert (model.network.eval()(inputs).argmax(1).numpy() == data.labels).mean() > 0.6


def test_an_interrupted_stage_goes_on_and_ends_in_the_same_bytes(folder, monkeypatch, capsys):
    write("simple_nn", "simple_nn", augment="photographs")
    kfold_train("simple_nn")
    expected, save, left = outputs(folder), checkpoint.FitCheckpoint.save, [0]

    def saves(self, reached) -> None:
        save(self, reached)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.FitCheckpoint, "save", saves)
    for epochs in (3, 4):  # of all fits, which have ten
        left[0] = epochs
        with pytest.raises(KeyboardInterrupt):
            kfold_train("simple_nn")
    capsys.readouterr()
    kfold_train("simple_nn")
    lines = capsys.readouterr().out.splitlines()
    assert outputs(folder) == expected and not [*Path(".cache/checkpoints").iterdir()]
    assert [line for line in lines if "goes on" in line] == [
        f"simple_nn: {fit}: goes on after epoch {epoch} of 2"
        for fit, epoch in (("all images", 2), ("fold 1", 2), ("fold 2", 2))
    ] + ["simple_nn, repeat 2: fold 1: goes on after epoch 1 of 2"]
    assert len([line for line in lines if ", epoch " in line]) == 4 + 10 - 7


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"units": 3}, "units: unknown key, expected one of hidden, dropout, learning_rate, "),
        ({"batch_size": 1}, "batch_size: expected greater than or equal to 2, found 1"),
    ],
)
def test_a_wrong_param_is_one_line(folder, changes, line):
    write("mine", "simple_nn", **changes)
    with pytest.raises(UserError) as caught:
        kfold_train("mine")
    assert str(caught.value).startswith(f"params.yaml: kfold_train.mine.{line}")
