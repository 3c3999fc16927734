"""Which weights fine-tuning changes, and that the cache on disk changes none of them."""

import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from stages import finetune as stage
from stages.pretrain import Params as Pretrain
from stages.pretrain import pretrain
from taller.data import dataset, idx
from taller.data.dataset import Dataset
from taller.models import architectures, resnet18, store
from taller.program import files, seeds
from taller.program.errors import Problem

PARAMS = {
    "trainable": ["fc"], "stem": "sum_rgb", "image_size": 28, "learning_rate": 0.01,
    "body_lr_factor": 1.0, "weight_decay": 0.0, "schedule": "constant", "batch_size": 32,
    "epochs": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(mnist_raw, tmp_path_factory):
    """Real images, two folds and a network without pretraining."""
    folder = tmp_path_factory.mktemp("finetune")
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:128, np.newaxis]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte")[:128].astype(np.int64)
    dataset.save(folder / "train.npz", Dataset(images, labels, tuple("0123456789")))
    np.save(folder / "folds.npy", [np.arange(128) % 2])
    files.write_json(folder / "pretrained.json", {"imagenet": {"available": False}})
    settings = Pretrain(
        source="none", images=8000, batch_size=128, learning_rate=0.1, weight_decay=0.0,
        label_smoothing=0.0,
    )  # fmt: skip
    pretrain(settings, 5, 1, "cpu", 1, folder, folder / "base.pth", folder / "bases", folder)
    return folder


def run(folder, **changes):
    """Run the stage with other params; gives the model's weights."""
    stage.finetune(
        stage.Params(**PARAMS | changes), 0, 1, "cpu", folder / "train.npz", folder / "folds.npy",
        folder / "base.pth", folder / "bases", folder / "model.pth", folder / "results",
        folder / "cache",
    )  # fmt: skip
    return torch.load(folder / "model.pth", weights_only=True)["state_dict"]


@pytest.mark.parametrize(
    ("trainable", "frozen_in_front"),
    [
        (["fc"], {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
        (["fc", "layer4"], {"conv1", "bn1", "layer1", "layer2", "layer3"}),
        ("all", set()),
    ],
)
def test_what_is_in_front_of_the_first_trainable_child_stays(folder, trainable, frozen_in_front):
    base = torch.load(folder / "base.pth", weights_only=True)["state_dict"]
    for key, value in run(folder, trainable=trainable).items():
        same = value.shape == base[key].shape and torch.equal(value, base[key])
        assert same == (key.split(".")[0] in frozen_in_front), key


def test_the_workshops_code_trains_a_fresh_first_layer_and_the_last(folder):
    base = torch.load(folder / "base.pth", weights_only=True)["state_dict"]
    state = run(folder, trainable=["conv1", "fc"], stem="random")
    for key, value in state.items():
        child, kind = key.split(".")[0], key.rsplit(".", 1)[-1]
        # As model.train() has it, frozen batch normalisation still follows the images.
        moves = child in ("conv1", "fc") or kind in (
            "running_mean",
            "running_var",
            "num_batches_tracked",
        )
        assert torch.equal(value, base[key]) != moves, key


def test_a_random_stem_that_is_frozen_is_not_the_pretrained_one(folder):
    base = torch.load(folder / "base.pth", weights_only=True)["state_dict"]
    state = run(folder, stem="random")
    assert not torch.equal(state["conv1.weight"], base["conv1.weight"])
    assert torch.equal(state["layer1.0.conv1.weight"], base["layer1.0.conv1.weight"])


def test_activations_on_disk_give_the_weights_of_those_in_memory(folder, monkeypatch):
    in_memory = run(folder, trainable=["layer4", "fc"])
    monkeypatch.setattr(stage, "MEMORY_LIMIT", 0)
    on_disk = run(folder, trainable=["layer4", "fc"])
    assert all(torch.equal(value, on_disk[key]) for key, value in in_memory.items())
    assert not list((folder / "cache").iterdir())


def test_a_fold_is_what_a_plain_loop_with_these_params_gives(folder, tmp_path):
    base = torch.load(folder / "base.pth", weights_only=True)
    base["scaling"] = {"mean": [0.3], "std": [0.4], "size": [28, 28]}
    torch.save(base, tmp_path / "base.pth")
    rate, factor, decay, size, seed = 0.02, 0.3, 1.0, 32, 7
    params = stage.Params(
        **PARAMS | {
            "trainable": ["layer4", "fc"], "learning_rate": rate, "body_lr_factor": factor,
            "weight_decay": decay, "image_size": size, "schedule": "one_cycle", "epochs": 2,
        }
    )  # fmt: skip
    stage.finetune(
        params, seed, 1, "cpu", folder / "train.npz", folder / "folds.npy", tmp_path / "base.pth",
        folder / "bases", tmp_path / "model.pth", tmp_path, tmp_path / "cache",
    )  # fmt: skip
    found = pd.read_csv(tmp_path / "history.csv").query("fold == 1")["val_loss"]

    data = dataset.load(folder / "train.npz")
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    inputs = torch.nn.functional.interpolate(
        (images / 255 - 0.3) / 0.4, size=(size, size), mode="bilinear"
    )
    rows, held_out = torch.arange(1, 128, 2), torch.arange(0, 128, 2)
    fit = seeds.of_fit(seed, fold=0)
    torch.manual_seed(seeds.of_weights(fit))
    network = resnet18.build(10, (1, 28, 28))
    fresh = {key: value for key, value in network.state_dict().items() if key.startswith("fc.")}
    network.load_state_dict(base["state_dict"] | fresh)
    layer4, fc = list(network.layer4.parameters()), list(network.fc.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": layer4, "lr": rate * factor}, {"params": fc, "lr": rate}], weight_decay=decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [rate * factor, rate], total_steps=4, cycle_momentum=False
    )
    for epoch, expected in enumerate(found, start=1):
        order = torch.Generator().manual_seed(seeds.of_order(fit, epoch))
        network.eval()
        network.layer4.train()
        for chosen in rows[torch.randperm(64, generator=order)].split(32):
            optimizer.zero_grad()
            cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            loss = cross_entropy(network(inputs[held_out]), labels[held_out])
        assert loss.item() == pytest.approx(expected, rel=2e-4)
    recorded = torch.load(tmp_path / "model.pth", weights_only=True)["scaling"]
    assert recorded == {"mean": [0.3], "std": [0.4], "size": [size, size]}


@pytest.mark.parametrize("trainable", [["bn1"], [], ["layer4", "conv1"], "fc", ["fc", "fc2"], 3])
def test_a_last_layer_that_would_stay_random_is_refused(trainable):
    with pytest.raises(ValueError, match="all, or a list with fc and any of conv1, bn1, layer1"):
        stage.Params(**PARAMS | {"trainable": trainable})


def test_the_last_layer_of_the_model_takes_what_the_network_gives_it(folder):
    """It was trained on standardized features: the file's own layer gives the same answers."""
    train = dataset.load(folder / "train.npz")
    run(folder, epochs=30)
    told = files.read_json(folder / "results/fit.json")
    assert told["training"]["trained"] == ["fc"] and told["trained_parameters"] == 5130
    assert told["parameters"] == 11_175_370
    # Every image through the frozen layers once, and through the last one in every epoch.
    assert told["flops"]["training"] == 128 * (66_011_648 + 30 * 20_480)
    model = store.load(folder / "model.pth", {resnet18.NAME: resnet18})
    with torch.no_grad():
        inputs = model.scaling(torch.from_numpy(train.images))
        logits = model.network.eval()(inputs)
    loss = float(cross_entropy(logits, torch.from_numpy(train.labels)))
    assert loss < 0.2  # on what it was fitted to; without the scale it would be anything


def test_repeats_start_from_networks_of_their_own(folder, tmp_path):
    halves = np.arange(128) % 2
    np.save(tmp_path / "folds.npy", [halves, halves[::-1]])
    settings = Pretrain.model_construct(source="none")
    pretrain(settings, 5, 1, "cpu", 2, folder, tmp_path / "b.pth", tmp_path / "bases", tmp_path)
    stage.finetune(
        stage.Params(**PARAMS), 0, 1, "cpu", folder / "train.npz", tmp_path / "folds.npy",
        tmp_path / "b.pth", tmp_path / "bases", tmp_path / "m.pth", tmp_path / "r", tmp_path / "c",
    )  # fmt: skip
    scores = pd.read_csv(tmp_path / "r/scores.csv").query("metric == 'accuracy'")
    assert scores[["repeat", "fold"]].to_numpy().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    # The second repeat's frozen layers are the second network's: other folds' loss moves with it.
    torch.save(torch.load(tmp_path / "b.pth", weights_only=True), tmp_path / "bases/2.pth")
    before = pd.read_csv(tmp_path / "r/history.csv")
    stage.finetune(
        stage.Params(**PARAMS), 0, 1, "cpu", folder / "train.npz", tmp_path / "folds.npy",
        tmp_path / "b.pth", tmp_path / "bases", tmp_path / "m.pth", tmp_path / "r", tmp_path / "c",
    )  # fmt: skip
    after = pd.read_csv(tmp_path / "r/history.csv")
    same = (before["val_loss"] == after["val_loss"]).groupby(before["repeat"]).all()
    assert same.to_dict() == {1: True, 2: False}


@pytest.mark.parametrize(
    "damage", [b"", b"no model", pickle.dumps({"architecture": "ResNet18"}), "simple_nn"]
)
def test_a_bad_base_is_one_line(folder, tmp_path, damage):
    base = tmp_path / "base.pth"
    if damage == "simple_nn":
        saved = torch.load(folder / "base.pth", weights_only=True)
        torch.save(saved | {"architecture": "SimpleNN"}, base)
    else:
        base.write_bytes(damage)
    with pytest.raises(Problem, match=r"base\.pth: expected a model \(ResNet18\), found another"):
        stage.finetune(
            stage.Params(**PARAMS), 0, 1, "cpu",
            folder / "train.npz", folder / "folds.npy", base,
        )  # fmt: skip


def test_activations_that_do_not_fit_on_the_disk_are_one_line(folder, monkeypatch):
    monkeypatch.setattr(stage, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(Problem, match=r"cache: expected 0\.0003 GB free .*, found 0\.0000 GB"):
        run(folder)
    assert not list((folder / "cache").iterdir())


def test_the_model_file_says_how_its_images_are_scaled(folder):
    run(folder, image_size=32)
    classifier = store.load(folder / "model.pth", architectures.ALL)
    assert classifier.scaling.size == (32, 32)
    assert classifier.names == tuple("0123456789")
    images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    assert classifier.network.eval()(classifier.scaling(images)).shape == (3, 10)
