"""Which weights fine-tuning changes, and that the cache on disk changes none of them."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import on_a_small_disk
from made_up import NO_IMAGENET
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from stages import finetune as stage
from stages.pretrain import Params as Pretrain
from stages.pretrain import pretrain
from taller.data import dataset, idx
from taller.data.dataset import Dataset
from taller.models import (
    architectures,
    backbones,
    bases,
    efficientnet_lite0,
    resnet18,
    store,
)
from taller.models.scaling import Scaling
from taller.program import files, seeds
from taller.program.errors import Problem
from taller.training import cost

IMAGES, BATCH = 64, 16
PARAMS = {
    "trainable": ["fc"], "stem": "sum_rgb", "image_size": 28, "learning_rate": 0.01,
    "body_lr_factor": 1.0, "weight_decay": 0.0, "schedule": "constant", "batch_size": BATCH,
    "epochs": 1,
    "min_steps": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(mnist_raw, tmp_path_factory):
    """Real images, two folds and a network without pretraining."""
    folder = tmp_path_factory.mktemp("finetune")
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:IMAGES, np.newaxis]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte")[:IMAGES].astype(np.int64)
    dataset.save(folder / "train.npz", Dataset(images, labels, tuple("0123456789")))
    np.save(folder / "folds.npy", np.arange(IMAGES)[np.newaxis] % 2)
    files.write_json(folder / "pretrained.json", NO_IMAGENET)
    made(folder, repeats=1)
    return folder


def made(folder, repeats, network="resnet18", source="none"):
    """Networks to start from, by default without pretraining and one for each repeat."""
    settings = Pretrain(
        source=source, network=network, images=8000, batch_size=128, learning_rate=0.1,
        weight_decay=0.0, label_smoothing=0.0,
    )  # fmt: skip
    pretrain(settings, 5, 1, "cpu", repeats, folder, folder, folder, folder / "cache")


def run(folder, **changes):
    """Run the stage with other params; gives the model's weights."""
    stage.finetune(
        stage.Params(**PARAMS | changes), "resnet18", 0, 1, "cpu", folder / "train.npz",
        folder / "folds.npy", folder, folder / "results", folder / "cache",
    )  # fmt: skip
    return torch.load(folder / "resnet18.pth", weights_only=True)["state_dict"]


@pytest.mark.parametrize(
    ("trainable", "frozen_in_front"),
    [
        (["fc"], {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
        (["fc", "layer4"], {"conv1", "bn1", "layer1", "layer2", "layer3"}),
        ("all", set()),
    ],
)
def test_what_is_in_front_of_the_first_trainable_child_stays(folder, trainable, frozen_in_front):
    base = torch.load(folder / "resnet18_base.pth", weights_only=True)["state_dict"]
    for key, value in run(folder, trainable=trainable).items():
        same = value.shape == base[key].shape and torch.equal(value, base[key])
        assert same == (key.split(".")[0] in frozen_in_front), key


def test_the_workshops_code_trains_a_fresh_first_layer_and_the_last(folder):
    base = torch.load(folder / "resnet18_base.pth", weights_only=True)["state_dict"]
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
    base = torch.load(folder / "resnet18_base.pth", weights_only=True)["state_dict"]
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
    base = torch.load(folder / "resnet18_base.pth", weights_only=True)
    base["scaling"] = {"mean": [0.3], "std": [0.4], "size": [28, 28]}
    torch.save(base, tmp_path / "resnet18_base.pth")
    bases.tell(tmp_path / "resnet18_bases", 1)
    rate, factor, decay, size, seed = 0.02, 0.3, 1.0, 32, 7
    params = stage.Params(
        **PARAMS | {
            "trainable": ["layer4", "fc"], "learning_rate": rate, "body_lr_factor": factor,
            "weight_decay": decay, "image_size": size, "schedule": "one_cycle", "epochs": 2,
        }
    )  # fmt: skip
    stage.finetune(
        params, "resnet18", seed, 1, "cpu", folder / "train.npz", folder / "folds.npy", tmp_path,
        tmp_path, tmp_path / "cache",
    )  # fmt: skip
    found = pd.read_csv(tmp_path / "resnet18/history.csv").query("fold == 1")["val_loss"]

    data = dataset.load(folder / "train.npz")
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    inputs = torch.nn.functional.interpolate(
        (images / 255 - 0.3) / 0.4, size=(size, size), mode="bilinear"
    )
    rows, held_out = torch.arange(1, IMAGES, 2), torch.arange(0, IMAGES, 2)
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
        for chosen in rows[torch.randperm(len(rows), generator=order)].split(BATCH):
            optimizer.zero_grad()
            cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.no_grad():
            loss = cross_entropy(network(inputs[held_out]), labels[held_out])
        assert loss.item() == pytest.approx(expected, rel=2e-4)
    recorded = torch.load(tmp_path / "resnet18.pth", weights_only=True)["scaling"]
    assert recorded == {"mean": [0.3], "std": [0.4], "size": [size, size]}


LAST = {"learning_rate": 0.02, "weight_decay": 0.1, "schedule": "one_cycle", "epochs": 3}


@pytest.fixture(scope="module")
def repeated(folder, tmp_path_factory):
    """The last layer alone, in two repeats that start from networks of their own."""
    place = tmp_path_factory.mktemp("repeats")
    files.write_json(place / "pretrained.json", NO_IMAGENET)
    made(place, repeats=2)
    rows = np.arange(IMAGES)
    np.save(place / "folds.npy", np.stack([rows % 2, rows // 2 % 2]))
    stage.finetune(
        stage.Params(**PARAMS | LAST), "resnet18", 9, 1, "cpu", folder / "train.npz",
        place / "folds.npy", place, place / "results", place / "cache",
    )  # fmt: skip
    return place


def features_of(path, images) -> np.ndarray:
    """What a stored network hands to its last layer."""
    network = store.load(path, architectures.ALL).network.eval()
    with torch.no_grad():
        return network[:-1](images / 255).double().numpy()


def last_layer(features: np.ndarray, labels: torch.Tensor, rows: np.ndarray, seed: int):
    """Train it on the features of `rows`, standardized, in a plain loop.

    Gives, after each epoch, what it says of all images.
    """
    scaler = StandardScaler().fit(features[rows])
    inputs = torch.from_numpy(scaler.transform(features)).float()
    torch.manual_seed(seeds.of_weights(seed))
    layer, rate = resnet18.build(10, (1, 28, 28)).fc, LAST["learning_rate"]
    optimizer = torch.optim.AdamW(layer.parameters(), rate, weight_decay=LAST["weight_decay"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=LAST["epochs"] * len(rows) // BATCH, cycle_momentum=False
    )
    for epoch in range(1, LAST["epochs"] + 1):
        order = torch.Generator().manual_seed(seeds.of_order(seed, epoch))
        for chosen in torch.randperm(len(rows), generator=order).split(BATCH):
            optimizer.zero_grad()
            cross_entropy(layer(inputs[rows[chosen]]), labels[rows[chosen]]).backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            yield layer(inputs)


def test_each_repeat_trains_the_last_layer_on_its_own_networks_features(folder, repeated):
    data, folds = dataset.load(folder / "train.npz"), np.load(repeated / "folds.npy")
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    history = pd.read_csv(repeated / "results/resnet18/history.csv").set_index(["repeat", "fold"])
    assert len(history) == 2 * 2 * 3
    for repeat, base in enumerate(("resnet18_base.pth", "resnet18_bases/2.pth")):
        features = features_of(repeated / base, images)
        for fold in range(2):
            held_out, seed = folds[repeat] == fold, seeds.of_fit(9, repeat, fold)
            epochs = last_layer(features, labels, np.flatnonzero(~held_out), seed)
            losses = [cross_entropy(one[held_out], labels[held_out]).item() for one in epochs]
            found = history.loc[(repeat + 1, fold + 1), "val_loss"]
            assert found.tolist() == pytest.approx(losses, rel=1e-3)


def test_the_stored_model_is_the_first_repeats_and_takes_images_as_they_are(folder, repeated):
    data = dataset.load(folder / "train.npz")
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    features = features_of(repeated / "resnet18_base.pth", images)
    *_, expected = last_layer(features, labels, np.arange(IMAGES), seeds.of_fit(9))
    model = store.load(repeated / "resnet18.pth", architectures.ALL)
    with torch.no_grad():
        logits = model.network.eval()(model.scaling(images))
    torch.testing.assert_close(logits, expected, rtol=1e-2, atol=1e-2)
    assert expected.std() > 1


def test_the_facts_of_the_fit(repeated):
    facts = files.read_json(repeated / "results/resnet18/fit.json")
    # Of the one image in front of the last layer, once; of the last layer, and of the gradient of
    # its weights, in each of three epochs. tests/test_cost.py counts the answer by hand.
    whole, head = cost.count(resnet18.build(10, (1, 28, 28)), (1, 28, 28)).answer, 2 * 512 * 10
    assert facts["flops"] == {
        "answer": whole, "training": IMAGES * (whole - head + 3 * 2 * head),
    }  # fmt: skip
    assert (facts["trained_parameters"], facts["parameters"]) == (5130, 11_175_370)
    assert facts["training"] == {
        "optimizer": "AdamW", **LAST, "batch_size": BATCH,
        "trained": ["fc"],
        "frozen": ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"],
        "knobs": {"stem": "sum_rgb", "image_size": 28, "body_lr_factor": 1.0},
    }  # fmt: skip


def test_the_facts_of_a_network_that_is_trained_as_a_whole(folder):
    run(folder, trainable="all", epochs=2, image_size=32)
    facts = files.read_json(folder / "results/resnet18/fit.json")
    each = cost.count(resnet18.build(10, (1, 28, 28)), (1, 32, 32))
    assert facts["flops"] == {"answer": each.answer, "training": 2 * IMAGES * each.step}
    assert facts["trained_parameters"] == facts["parameters"]
    training = facts["training"]
    assert (training["trained"], training["frozen"]) == ([*resnet18.PARTS], [])
    assert (training["optimizer"], training["knobs"]["image_size"]) == ("Adam", 32)


def test_the_facts_of_the_workshops_training(folder):
    run(folder, trainable=["conv1", "fc"], stem="random")
    training = files.read_json(folder / "results/resnet18/fit.json")["training"]
    assert training["trained"] == ["conv1", "fc"]
    # Not what stands in front of the first that is trained, but what takes no gradients.
    assert training["frozen"] == ["bn1", "layer1", "layer2", "layer3", "layer4"]


def test_repeats_without_as_many_networks_are_one_line(folder, repeated):
    np.save(repeated / "three.npy", np.tile(np.arange(IMAGES) % 2, (3, 1)))
    with pytest.raises(Problem, match="bases: expected networks for 3 repeats, found 2"):
        stage.finetune(
            stage.Params(**PARAMS), "resnet18", 0, 1, "cpu", folder / "train.npz",
            repeated / "three.npy", repeated,
        )  # fmt: skip


@pytest.mark.parametrize("trainable", [["bn1"], [], ["layer4", "conv1"], "fc", ["fc", "fc2"], 3])
def test_a_last_layer_that_would_stay_random_is_refused(trainable):
    with pytest.raises(ValueError, match="all, or a list with fc and any of conv1, bn1, layer1"):
        stage.Params(**PARAMS | {"trainable": trainable})


@pytest.mark.parametrize(
    "damage", [b"", b"no model", pickle.dumps({"architecture": "ResNet18"}, 2), "simple_nn"]
)
def test_a_bad_base_is_one_line(folder, tmp_path, damage):
    base = tmp_path / "resnet18_base.pth"
    bases.tell(tmp_path / "resnet18_bases", 1)
    if damage == "simple_nn":
        saved = torch.load(folder / "resnet18_base.pth", weights_only=True)
        torch.save(saved | {"architecture": "SimpleNN"}, base)
    else:
        base.write_bytes(damage)
    with pytest.raises(Problem, match=r"base\.pth: expected a model \(ResNet18 or .*found another"):
        stage.finetune(
            stage.Params(**PARAMS), "resnet18", 0, 1, "cpu",
            folder / "train.npz", folder / "folds.npy", tmp_path,
        )  # fmt: skip


LITE0_PARTS = {
    "conv1", "bn1", "conv2", "bn2", "fc", *(f"layer{number}" for number in range(1, 8)),
}  # fmt: skip


def lite0(place, folder, **changes):
    """Run the stage on EfficientNet-Lite0 in `place`; gives the weights, and what is told."""
    stage.finetune(
        stage.Params(**PARAMS | changes), "efficientnet_lite0", 0, 1, "cpu", folder / "train.npz",
        folder / "folds.npy", place, place, place / "cache",
    )  # fmt: skip
    model = torch.load(place / "efficientnet_lite0.pth", weights_only=True)
    return model, files.read_json(place / "efficientnet_lite0/fit.json")


@pytest.mark.parametrize("trained", [["fc"], ["conv2", "fc", "bn2"]])
def test_lite0_is_cut_and_frozen_as_resnet18_is(folder, tmp_path, trained):
    files.write_json(tmp_path / "pretrained.json", NO_IMAGENET)
    made(tmp_path, repeats=1, network="efficientnet_lite0")
    path = tmp_path / "efficientnet_lite0_base.pth"
    base = torch.load(path, weights_only=True)["state_dict"]
    model, told = lite0(tmp_path, folder, trainable=trained, image_size="auto")
    assert model["architecture"] == "EfficientNet-Lite0"
    for key, value in model["state_dict"].items():
        same = value.shape == base[key].shape and torch.equal(value, base[key])
        assert same == (key.split(".")[0] not in trained), key
    assert {*told["training"]["trained"]} == {*trained}
    assert {*told["training"]["frozen"]} == LITE0_PARTS - {*trained}
    # Nothing of ImageNet: images are as they are.
    assert told["training"]["knobs"]["image_size"] == 28
    assert model["scaling"]["size"] == [28, 28]


def test_imagenets_lite0_sees_larger_images_and_tells_digits_apart(folder, tmp_path, lite0_weights):
    got = tmp_path / lite0_weights.name
    got.write_bytes(lite0_weights.read_bytes())
    told = {
        "requested": True, "available": True, "network": "efficientnet_lite0", "file": got.name,
        "sha256": files.sha256(got), "origin": None,
    }  # fmt: skip
    files.write_json(tmp_path / "pretrained.json", {"imagenet": told})
    made(tmp_path, repeats=1, network="efficientnet_lite0", source="imagenet")
    model, told = lite0(tmp_path, folder, image_size="auto", epochs=30)
    assert told["training"]["knobs"]["image_size"] == 112
    assert model["scaling"] == {"mean": [0.5], "std": [0.5], "size": [112, 112]}
    image = (1, 112, 112)
    whole = cost.count(efficientnet_lite0.build(10, image), image).answer
    assert told["flops"]["answer"] == whole
    records = pd.read_csv(tmp_path / "efficientnet_lite0/scores.csv")
    accuracy = records.query("metric == 'accuracy'")["value"]
    assert accuracy.mean() > 0.4  # of 32 images, by guessing 0.1


@pytest.mark.parametrize("trainable", [["layer7", "fc"], ["conv2", "fc"]])
def test_a_part_of_the_other_network_is_one_line(folder, trainable):
    with pytest.raises(Problem) as caught:
        run(folder, trainable=trainable)
    assert str(caught.value) == (
        "params.yaml: finetune.trainable: expected of ResNet18 all, or a list with fc and any of "
        f"conv1, bn1, layer1, layer2, layer3, layer4, fc, found {trainable}"
    )


@pytest.mark.parametrize(
    ("shape", "letters", "imagenet"),
    [
        ((1, 28, 28), 28, 112),
        ((3, 20, 24), 24, 112),
        ((3, 300, 200), 224, 224),
        ((1, 9, 150), 150, 150),
    ],
)
@pytest.mark.parametrize("module", backbones.ALL.values(), ids=backbones.ALL)
def test_auto_is_as_the_images_are_but_enough_for_imagenets_networks(
    module, shape, letters, imagenet
):
    images = np.zeros((2, *shape), np.uint8)
    data = Dataset(images, np.arange(2), ("a", "b"))
    params = stage.Params(**PARAMS | {"image_size": "auto", "trainable": "all"})
    for base, size in ((Scaling((0.0,), (1.0,), (28, 28)), letters), (module.IMAGENET, imagenet)):
        found = stage.of_network(params, module, data, base)
        assert (found.image_size, found.trainable) == (size, module.PARTS)
        fixed = params.model_copy(update={"image_size": 40})
        assert stage.of_network(fixed, module, data, base).image_size == 40


FILLED = """
import sys
from pathlib import Path
import numpy as np, torch
from taller.models.scaling import Scaling
from taller.program.errors import Problem
from taller.training import activations
frozen, scaling = torch.nn.Sequential(torch.nn.Identity()), Scaling((0.5,), (0.5,), (28, 28))
images = np.zeros((1000, 1, 28, 28), np.uint8)
def kept():
    return activations.cached(
        frozen, images, scaling, device=torch.device("cpu"), folder=Path(sys.argv[1]), limit=0
    )
try:
    with kept() as found:
        print(found.shape, found.max())
except Problem as problem:
    print(problem)
print(*Path(sys.argv[1]).iterdir())
"""


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (
            "2m",
            "expected 0.0031 GB free for the frozen layers' activations, found 0.0021 GB; "
            "train fewer layers, or on fewer or smaller images",
        ),
        ("4m", "(1000, 1, 28, 28) -1.0"),
    ],
)
def test_activations_that_do_not_fit_on_the_disk_are_one_line(size, told):
    run = on_a_small_disk(size, sys.executable, "-c", FILLED, "DISK")
    first, left = run.stdout.splitlines()
    assert first.endswith(told) and left == ""


def test_the_model_file_says_how_its_images_are_scaled(folder):
    run(folder, image_size=32)
    classifier = store.load(folder / "resnet18.pth", architectures.ALL)
    assert classifier.scaling.size == (32, 32)
    assert classifier.names == tuple("0123456789")
    images = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    assert classifier.network.eval()(classifier.scaling(images)).shape == (3, 10)
