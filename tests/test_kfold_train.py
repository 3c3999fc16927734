"""What `kfold_train` hands over of each network: the model, its scores, how and at what cost."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from stages import kfold_train as stage
from taller.data import dataset
from taller.data.dataset import Dataset
from taller.models import architectures, store

TRAINING = {
    "learning_rate": 0.003, "weight_decay": 0.0, "schedule": "one_cycle", "batch_size": 16,
    "epochs": 2,
    "min_steps": 0,
}  # fmt: skip
KNOBS = {
    "simple_nn": {"hidden": [8, 6], "dropout": 0.25},
    "cnn": {"channels": [4, 5], "units": 7, "dropout": 0.0},
}
SHAPE, IMAGES = (3, 10, 9), 90
# Of one answer: a multiplication and an addition for each weight and place where it is used, first
# in the first layer. The image of 10 x 9 pixels becomes 5 x 5, then 3 x 3.
PRODUCTS = {
    "simple_nn": [2 * 270 * 8, 2 * 8 * 6, 2 * 6 * 3],
    "cnn": [2 * 25 * 3 * 4 * 25, 2 * 25 * 4 * 5 * 9, 2 * 45 * 7, 2 * 7 * 3],
}
every = pytest.mark.parametrize("network", KNOBS)


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Three classes, each of a pattern under noise."""
    random = np.random.default_rng(0)
    labels = np.arange(IMAGES) % 3
    patterns = random.integers(0, 256, (3, *SHAPE))
    images = patterns[labels] + random.normal(0, 60, (IMAGES, *SHAPE))
    return Dataset(np.clip(images, 0, 255).astype(np.uint8), labels, ("cat", "dog", "owl"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Run the stage, by default on two repeats of two folds; gives the folder."""
    source = tmp_path_factory.mktemp("data")
    dataset.save(source / "train.npz", data)

    def of(network: str, repeats: int = 2, **changes):
        folder = tmp_path_factory.mktemp(network)
        rows = np.arange(IMAGES)
        np.save(folder / "folds.npy", np.stack([rows % 2, rows // 3 % 2])[:repeats])
        params = stage.section(network)(**TRAINING | KNOBS[network] | changes)
        stage.kfold_train(
            network, params, 5, "cpu", source / "train.npz", folder / "folds.npy", folder, folder,
            folder / "cache",
        )  # fmt: skip
        return folder

    return of


@pytest.fixture(scope="module")
def ran(run):
    return {network: run(network) for network in KNOBS}


@every
def test_the_facts_of_the_fit(ran, network):
    facts = json.loads((ran[network] / network / "fit.json").read_text(encoding="utf-8"))
    state = torch.load(ran[network] / f"{network}.pth", weights_only=True)["state_dict"]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    parameters = sum(v.numel() for key, v in state.items() if not key.endswith(statistics))
    layers = PRODUCTS[network]
    step = 3 * sum(layers) - layers[0]  # two gradients of each product, but none of the image's
    told = {key: value for key, value in TRAINING.items() if key != "min_steps"}
    assert facts == {
        "trained_parameters": parameters,
        "parameters": parameters,
        "flops": {"answer": sum(layers), "training": 2 * IMAGES * step},
        "training": {
            "optimizer": "Adam", **told, "trained": [], "frozen": [], "knobs": KNOBS[network],
        },
    }  # fmt: skip


@pytest.mark.parametrize(("decay", "name"), [(0.0, "Adam"), (0.01, "AdamW")])
def test_with_weight_decay_the_optimizer_has_another_name(run, decay, name):
    folder = run("simple_nn", repeats=1, weight_decay=decay, epochs=1)
    training = json.loads((folder / "simple_nn/fit.json").read_text(encoding="utf-8"))["training"]
    assert (training["optimizer"], training["weight_decay"]) == (name, decay)


@every
def test_every_repeat_is_scored_on_its_folds(ran, network):
    scores = pd.read_csv(ran[network] / network / "scores.csv")
    assert set(scores["model"]) == {network}
    wide = scores.pivot(index=["repeat", "fold"], columns="metric", values="value")
    assert wide.index.tolist() == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert wide["val_images"].tolist() == [45, 45, 45, 45]
    assert wide["log_loss"].nunique() == 4
    history = pd.read_csv(ran[network] / network / "history.csv")
    assert history.groupby(["repeat", "fold"])["epoch"].apply(list).tolist() == [[1, 2]] * 4


@every
def test_more_repeats_change_neither_the_first_nor_the_model(ran, run, network):
    once = run(network, repeats=1)
    for name in ("scores", "history"):
        both = pd.read_csv(ran[network] / network / f"{name}.csv")
        first = pd.read_csv(once / network / f"{name}.csv")
        pd.testing.assert_frame_equal(both[both["repeat"] == 1], first)
    name = f"{network}.pth"
    assert (once / name).read_bytes() == (ran[network] / name).read_bytes()


@every
def test_the_stored_model_has_learnt_from_images_as_they_are(run, data, network):
    folder = run(network, repeats=1, epochs=20, learning_rate=0.01)
    model = store.load(folder / f"{network}.pth", architectures.ALL)
    assert (model.architecture, model.names) == (
        {"simple_nn": "SimpleNN", "cnn": "CNN"}[network], data.names,
    )  # fmt: skip
    images = torch.from_numpy(data.images)
    torch.testing.assert_close(model.scaling(images), (images / 255 - 0.5) / 0.5)
    answers = model.network.eval()(model.scaling(images)).argmax(1).numpy()
    assert (answers == data.labels).mean() > 0.9
    saved = torch.load(folder / f"{network}.pth", weights_only=True)["arguments"]
    assert saved == {"classes": 3, "shape": list(SHAPE), **KNOBS[network]}


def test_each_network_has_a_schema_of_its_own():
    common = set(stage.Params.model_fields)
    assert common == set(TRAINING)
    for network, knobs in KNOBS.items():
        assert set(stage.section(network).model_fields) == common | set(knobs)
