"""Which weights fine-tuning changes, how, and from where it starts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from stages.finetune import finetune, read_config
from taller.common import files, seeds
from taller.common.errors import UserError
from taller.datasets import dataset
from taller.networks import efficientnet_lite0, resnet18
from taller.training import cost, store
from taller.training.batches import Scaling

IMAGES, BATCH, SHAPE = 64, 16, (1, 28, 28)
SECTION = {
    "trainable": ["fc"], "network": "resnet18", "start": "base", "stem": "sum_rgb",
    "image_size": 28, "learning_rate": 0.01, "body_lr_factor": 1.0, "weight_decay": 0.0,
    "schedule": "constant", "batch_size": BATCH, "epochs": 1, "min_steps": 0,
}  # fmt: skip
SCALING = Scaling((0.3,), (0.4,), (28, 28))
MODULES = {"resnet18": resnet18, "efficientnet_lite0": efficientnet_lite0}


@pytest.fixture
def folder(workdir, digits, monkeypatch) -> Path:
    """Real images, two repeats of two folds, and a network without pretraining for each repeat."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    rows = np.arange(IMAGES)
    dataset.save(Path("data/train"), digits.take(rows))
    put_folds(2)
    put_starts("resnet18", 2)
    return workdir


def put_folds(repeats: int) -> None:
    rows = np.arange(IMAGES)
    dataset.save_array(Path("data/train/folds.npy"), np.stack([rows % 2, rows // 2 % 2])[:repeats])


def put_starts(name: str, repeats: int) -> None:
    for repeat in range(repeats):
        torch.manual_seed(repeat)
        state = MODULES[name].build(52, SHAPE).state_dict()
        arguments = {"classes": 52, "shape": SHAPE}
        store.save(Path(f"base/{repeat + 1}.pth"), name, arguments, SCALING, [], state, "none")


def run(name: str = "resnet18", seed: int = 9, **changes) -> tuple[store.Classifier, dict]:
    """Run the stage; gives the model that it stores and the facts that it writes."""
    write(name, seed, **changes)
    finetune(name)
    facts = json.loads(Path(f"resultados/cv/finetuned/{name}/fit.json").read_text())
    return store.load(Path(f"modelos/finetuned/{name}.pth")), facts


def write(name: str, seed: int = 9, **changes) -> None:
    content = {"seed": seed, "threads": 1, "device": "cpu", "finetune": {name: SECTION | changes}}
    Path("params.yaml").write_text(yaml.safe_dump(content))


def base() -> dict[str, torch.Tensor]:
    return store.load(Path("base/1.pth")).network.state_dict()


@pytest.mark.parametrize("network", MODULES)
@pytest.mark.parametrize("trained", [["fc"], [-3, "fc"], "all"], ids=str)
def test_what_is_in_front_of_the_first_trainable_layer_stays(folder, network, trained):
    module = MODULES[network]
    put_folds(1)
    put_starts(network, 1)
    (folder / "base/2.pth").unlink()
    names = trained if trained == "all" else [module.LAYERS[-3], "fc"][-len(trained) :]
    model, facts = run(network, network=network, trainable=names)
    layers = [*module.LAYERS] if names == "all" else names
    for key, value in model.network.state_dict().items():
        same = value.shape == base()[key].shape and torch.equal(value, base()[key])
        behind = module.LAYERS.index(key.split(".")[0]) >= module.LAYERS.index(layers[0])
        moves = key.split(".")[0] in layers or (behind and "running" in key or "tracked" in key)
        assert same != (moves and behind), key
    training = facts["training"]
    assert training["trained"] == layers
    assert training["frozen"] == [one for one in module.LAYERS if one not in layers]


def test_the_workshops_code_trains_a_fresh_first_layer_and_the_last(folder):
    model, facts = run(trainable=["fc", "conv1"], stem="random")
    for key, value in model.network.state_dict().items():
        layer, kind = key.split(".")[0], key.rsplit(".", 1)[-1]
        # As model.train() has it, frozen batch normalisation still follows the images.
        follows = kind in ("running_mean", "running_var", "num_batches_tracked")
        assert torch.equal(value, base()[key]) != (layer in ("conv1", "fc") or follows), key
    assert facts["training"]["trained"] == ["conv1", "fc"]
    assert facts["training"]["frozen"] == ["bn1", "layer1", "layer2", "layer3", "layer4"]


def test_a_random_stem_that_is_frozen_is_not_the_pretrained_one(folder):
    state = run(stem="random")[0].network.state_dict()
    assert not torch.equal(state["conv1.weight"], base()["conv1.weight"])
    assert torch.equal(state["layer1.0.conv1.weight"], base()["layer1.0.conv1.weight"])


def test_activations_on_disk_give_the_weights_of_those_in_memory(folder, monkeypatch):
    states = []
    for limit in (dataset.LIMIT, 0):
        monkeypatch.setattr(dataset, "LIMIT", limit)
        states.append(run(trainable=["layer4", "fc"])[0].network.state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_a_fold_is_what_a_plain_loop_with_these_params_gives(folder):
    put_folds(1)
    (folder / "base/2.pth").unlink()
    rate, factor, decay, size = 0.02, 0.3, 1.0, 32
    model, _ = run(
        trainable=["layer4", "fc"], learning_rate=rate, body_lr_factor=factor,
        weight_decay=decay, image_size=size, schedule="one_cycle", epochs=2,
    )  # fmt: skip
    assert model.scaling == Scaling((0.3,), (0.4,), (size, size)) and model.source == "none"
    history = pd.read_csv("resultados/cv/finetuned/resnet18/history.csv").query("fold == 1")

    images, labels = load()
    inputs = torch.nn.functional.interpolate(
        (images / 255 - 0.3) / 0.4, size=(size, size), mode="bilinear"
    )
    rows, others = torch.arange(1, IMAGES, 2), torch.arange(0, IMAGES, 2)
    fit = seeds.of_fit(9, fold=0)
    torch.manual_seed(seeds.of_weights(fit))
    network = resnet18.build(10, SHAPE)
    fresh = {key: value for key, value in network.state_dict().items() if key.startswith("fc.")}
    network.load_state_dict(base() | fresh)
    layer4, fc = list(network.layer4.parameters()), list(network.fc.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": layer4, "lr": rate * factor}, {"params": fc, "lr": rate}], weight_decay=decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [rate * factor, rate], total_steps=4, cycle_momentum=False
    )
    for epoch, expected in enumerate(history["val_loss"], start=1):
        order = torch.Generator().manual_seed(seeds.of_order(fit, epoch))
        network.eval()
        network.layer4.train()
        for chosen in rows[torch.randperm(len(rows), generator=order)].split(BATCH):
            optimizer.zero_grad()
            cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            loss = cross_entropy(network(inputs[others]), labels[others])
        assert loss.item() == pytest.approx(expected, rel=2e-4)


def load() -> tuple[torch.Tensor, torch.Tensor]:
    data = dataset.load(Path("data/train"))
    return torch.from_numpy(np.array(data.images)), torch.from_numpy(data.labels)


LAST = {"learning_rate": 0.02, "weight_decay": 0.1, "schedule": "one_cycle", "epochs": 3}


def last_layer(
    repeat: int, images: torch.Tensor, labels: torch.Tensor, rows: np.ndarray, seed: int
):
    """Train it on the features of `rows`, standardized, in a plain loop.

    Gives, after each epoch, its logits of all images.
    """
    network = store.load(Path(f"base/{repeat + 1}.pth")).network.eval()
    with torch.no_grad():
        features = network[:-1]((images / 255 - 0.3) / 0.4).double().numpy()
    scaled = torch.from_numpy(StandardScaler().fit(features[rows]).transform(features)).float()
    torch.manual_seed(seeds.of_weights(seed))
    layer, rate = resnet18.build(10, SHAPE).fc, LAST["learning_rate"]
    optimizer = torch.optim.AdamW(layer.parameters(), rate, weight_decay=LAST["weight_decay"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=LAST["epochs"] * len(rows) // BATCH, cycle_momentum=False
    )
    for epoch in range(1, LAST["epochs"] + 1):
        order = torch.Generator().manual_seed(seeds.of_order(seed, epoch))
        for chosen in torch.randperm(len(rows), generator=order).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(layer(scaled[rows[chosen]]), labels[rows[chosen]]).backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            yield layer(scaled)


def test_each_repeat_trains_the_last_layer_on_its_own_networks_features(folder):
    model, facts = run(**LAST)
    (images, labels), folds = load(), np.load("data/train/folds.npy")
    history = pd.read_csv("resultados/cv/finetuned/resnet18/history.csv")
    losses = history.set_index(["repeat", "fold"])["val_loss"]
    assert len(history) == 2 * 2 * 3
    for repeat in range(2):
        for fold in range(2):
            validates, seed = folds[repeat] == fold, seeds.of_fit(9, repeat, fold)
            epochs = last_layer(repeat, images, labels, np.flatnonzero(~validates), seed)
            expected = [cross_entropy(one[validates], labels[validates]).item() for one in epochs]
            assert losses[(repeat + 1, fold + 1)].tolist() == pytest.approx(expected, rel=1e-3)
    # The model that is stored is the first repeat's, and takes images as they are.
    *_, logits = last_layer(0, images, labels, np.arange(IMAGES), seeds.of_fit(9))
    with torch.no_grad():
        found = model.network.eval()(model.scaling(images))
    torch.testing.assert_close(found, logits, rtol=1e-2, atol=1e-2)
    # Of the image in front of the last layer, once; of the last layer, and of the gradient of its
    # weights, in each of three epochs. tests/test_cost.py counts by hand.
    everything, head = cost.count(resnet18.build(10, SHAPE), SHAPE).inference, 2 * 512 * 10
    assert facts == {
        "kind": "finetuned", "network": "resnet18", "model": "ResNet18 (fine-tuning)",
        "short": "ResNet18", "trained_parameters": 5130, "parameters": 11_175_370,
        "flops": {
            "inference": everything, "training": IMAGES * (everything - head + 3 * 2 * head)
        },
        "training": {
            "optimizer": "AdamW", **LAST, "batch_size": BATCH, "trained": ["fc"],
            "frozen": ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"],
            "model_params": {"stem": "sum_rgb", "image_size": 28, "body_lr_factor": 1.0},
        },
        "start": {
            "path": "base", "source": "none", "networks": 2,
            "sha256": files.sha256(Path("base/1.pth")),
        },
    }  # fmt: skip


def test_imagenets_lite0_sees_larger_images_and_tells_digits_apart(folder, lite0_weights):
    start = str(lite0_weights.parent)
    model, facts = run(
        "mine", network="efficientnet_lite0", start=start, image_size="auto", epochs=30
    )
    assert facts["training"]["model_params"]["image_size"] == 112
    assert model.scaling == Scaling((0.5,), (0.5,), (112, 112)) and model.source == "imagenet"
    assert (facts["model"], facts["short"]) == ("mine (fine-tuning)", "mine")
    assert facts["start"]["networks"] == 1 and facts["start"]["source"] == "imagenet"
    scores = pd.read_csv("resultados/cv/finetuned/mine/scores.csv")
    accuracy = scores.query("metric == 'accuracy'")["value"]
    assert accuracy.mean() > 0.4  # of 32 images, by guessing 0.1


@pytest.mark.parametrize(("shape", "pixels"), [((1, 9, 150), 150), ((3, 300, 200), 224)])
def test_auto_is_as_the_images_are_but_224_at_most(folder, shape, pixels):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
    dataset.save(Path("data/train"), dataset.Dataset(images, np.arange(4) % 2, ("a", "b")))
    dataset.save_array(Path("data/train/folds.npy"), np.array([[0, 0, 1, 1]]))
    (folder / "base/2.pth").unlink()
    model, facts = run(image_size="auto", batch_size=2)
    assert facts["training"]["model_params"]["image_size"] == pixels == max(model.scaling.size)
    assert model.shape == shape


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"trainable": ["layer7", "fc"]},
            "trainable: expected all, or a list with fc and any of conv1, bn1, layer1, layer2, "
            "layer3, layer4, fc, found ['layer7', 'fc']",
        ),
        ({"trainable": ["bn1"]}, "trainable: expected all, or a list with fc and any of conv1, "),
        ({"network": "cnn"}, "network: expected one with LAYERS to freeze (resnet18, "),
        ({"network": "other"}, "network: expected a file of taller/networks "),
        ({"image_size": 15}, "image_size: expected auto, or an integer from 16 to 512, found 15"),
        ({"stem": "none"}, "stem: expected 'sum_rgb' or 'random', found 'none'"),
        ({"hidden": [3]}, "hidden: unknown key, expected one of learning_rate, "),
    ],
)
def test_a_wrong_param_is_one_line(workdir, changes, line):
    write("mine", **changes)
    with pytest.raises(UserError) as caught:
        read_config("mine")
    assert str(caught.value).startswith(f"params.yaml: finetune.mine.{line}")
