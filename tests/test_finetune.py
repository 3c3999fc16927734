"""Which weights fine-tuning changes, how, and from where it starts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import balanced_accuracy_score
from torch.nn.functional import cross_entropy, interpolate

from stages.finetune import finetune
from taller.common import files, numerics
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.networks import cnn, resnet18
from taller.training import contestants, store
from taller.training.batches import Scaling

IMAGES, BATCH, SHAPE = 64, 16, (1, 28, 28)
SECTION = {
    "trainable": ["fc"], "network": "resnet18", "start": "base", "stem": "sum_rgb",
    "image_size": 28, "learning_rate": 0.01, "body_lr_factor": 1.0, "weight_decay": 0.0,
    "schedule": "constant", "batch_size": BATCH, "epochs": 1, "min_steps": 0, "augment": "none",
    "label_smoothing": 0.0, "class_weights": "none", "folds": "all",
}  # fmt: skip
SCALING = Scaling((0.3,), (0.4,), (28, 28))


@pytest.fixture
def folder(workdir, digits, monkeypatch) -> Path:
    """Real images, two folds, and a network without pretraining."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    dataset.save(Path("data/train"), digits.take(np.arange(IMAGES)))
    prepare(repeats=1)
    return workdir


def prepare(repeats: int, network: str = "resnet18") -> None:
    rows = np.arange(IMAGES)
    dataset.save_array(Path("data/train/folds.npy"), np.stack([rows % 2, rows // 2 % 2])[:repeats])
    for repeat in range(repeats):
        torch.manual_seed(repeat)
        state = store.network_module(network).build(52, SHAPE).state_dict()
        arguments, path = {"classes": 52, "shape": SHAPE}, Path(f"base/{repeat + 1}.pth")
        store.save(path, network, arguments, SCALING, [], state, "none")


def write(name: str, **changes) -> None:
    content = {"seed": 9, "threads": 1, "device": "cpu", "finetune": {name: SECTION | changes}}
    Path("params.yaml").write_text(yaml.safe_dump(content))


def run(name: str = "resnet18", **changes) -> tuple[store.Classifier, dict]:
    """Run the stage; gives the model that it stores and the facts that it writes."""
    write(name, **changes)
    finetune(name)
    facts = json.loads(Path(f"resultados/cv/finetuned/{name}/fit.json").read_text())
    return store.load(Path(f"modelos/finetuned/{name}.pth")), facts


def load() -> tuple[torch.Tensor, torch.Tensor]:
    data = dataset.load(Path("data/train"))
    return torch.from_numpy(np.array(data.images)), torch.from_numpy(data.labels)


@pytest.mark.parametrize(
    ("network", "trainable", "stem"),
    [
        ("resnet18", ["fc", "conv1"], "random"),  # as in the workshop's code
        ("efficientnet_lite0", ["fc", "conv2"], "sum_rgb"),
        ("cnn", "all", "sum_rgb"),
    ],
)
def test_which_weights_change(folder, network, trainable, stem):
    prepare(1, network)
    module, start = store.network_module(network), store.load(Path("base/1.pth"))
    before = start.network.state_dict()
    model, facts = run(network, network=network, trainable=trainable, stem=stem)
    trained = [one for one in module.LAYERS if trainable == "all" or one in trainable]
    assert facts["training"]["trained"] == trained
    assert facts["training"]["frozen"] == [one for one in module.LAYERS if one not in trained]
    for key, value in model.network.state_dict().items():
        layer, statistics = key.split(".")[0], "running" in key or "tracked" in key
        # As model.train() has it, batch normalisation behind the first trained layer follows.
        follows = module.LAYERS.index(layer) > module.LAYERS.index(trained[0]) and statistics
        changes = layer in trained or follows or (layer == module.STEM and stem == "random")
        same = value.shape == before[key].shape and torch.equal(value, before[key])
        assert same != changes, key


def test_a_fold_is_what_a_plain_loop_with_these_params_gives(folder, monkeypatch):
    monkeypatch.setattr(dataset, "LIMIT", 0)  # activations are mapped
    rate, factor, decay, size = 0.02, 0.3, 1.0, 32
    model, _ = run(
        trainable=["layer4", "fc"], learning_rate=rate, body_lr_factor=factor,
        weight_decay=decay, image_size=size, schedule="one_cycle", epochs=2,
    )  # fmt: skip
    assert model.scaling == Scaling((0.3,), (0.4,), (size, size)) and model.source == "none"
    history = pd.read_csv("resultados/cv/finetuned/resnet18/history.csv").query("fold == 1")

    images, labels = load()
    inputs = interpolate((images / 255 - 0.3) / 0.4, size=(size, size), mode="bilinear")
    rows, others = torch.arange(1, IMAGES, 2), torch.arange(0, IMAGES, 2)
    fit, start = numerics.fit_seed(9, fold=0), store.load(Path("base/1.pth")).network.state_dict()
    torch.manual_seed(numerics.weights_seed(fit))
    network = resnet18.build(10, SHAPE)
    fresh = {key: value for key, value in network.state_dict().items() if key.startswith("fc.")}
    network.load_state_dict(start | fresh)
    layer4, fc = list(network.layer4.parameters()), list(network.fc.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": layer4, "lr": rate * factor}, {"params": fc, "lr": rate}], weight_decay=decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [rate * factor, rate], total_steps=4, cycle_momentum=False
    )
    for epoch, expected in enumerate(history["val_loss"], start=1):
        order = torch.Generator().manual_seed(numerics.order_seed(fit, epoch))
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


def test_features_are_computed_once_and_each_repeat_has_its_own_network(folder):
    prepare(repeats=2)
    _, facts = run(epochs=3)
    # Of the image in front of the last layer, once; of the last layer, and of the gradient of its
    # weights, in each of three epochs. tests/test_cost.py counts by hand.
    everything = store.count_operations(resnet18.build(10, SHAPE), SHAPE).inference
    head = 2 * 512 * 10
    training = IMAGES * (everything - head + 3 * 2 * head)
    assert facts["flops"] == {"inference": everything, "training": training}
    assert (facts["trained_parameters"], facts["parameters"]) == (5130, 11_175_370)
    sha256 = files.sha256(Path("base/1.pth"))
    assert facts["start"] == {"path": "base", "source": "none", "networks": 2, "sha256": sha256}
    scores = pd.read_csv("resultados/cv/finetuned/resnet18/scores.csv")
    assert scores.query("metric == 'log_loss'")["value"].nunique() == 4


def test_imagenets_own_head_votes_on_validation_images(folder, lite0_weights):
    changes = {"network": "efficientnet_lite0", "start": str(lite0_weights.parent)}
    model, facts = run("mine", image_size="auto", folds=2, **changes)
    assert model.scaling == Scaling((0.5,), (0.5,), (112, 112)) and model.source == "imagenet"
    assert facts["start"]["networks"] == 1 and facts["start"]["source"] == "imagenet"
    (images, labels), folds = load(), np.load("data/train/folds.npy")[0]
    network = store.load_start(lite0_weights.parent, "efficientnet_lite0", 1, "key")[0].network
    inputs = interpolate(images.expand(-1, 3, -1, -1) / 127.5 - 1, size=(112, 112), mode="bilinear")
    with torch.no_grad():
        logits = network.eval()(inputs).numpy()
    scores = pd.read_csv("resultados/cv/finetuned/mine/scores.csv")
    scores = scores.set_index(["fold", "metric"])["value"]
    for fold in range(2):
        fired = logits[folds != fold].argmax(1)
        stands_for = pd.crosstab(fired, labels[folds != fold].numpy()).idxmax(axis=1)
        # Outputs that fired on no training image have no vote.
        voting = pd.DataFrame(logits[folds == fold])[stands_for.index].idxmax(axis=1)
        predicted = stands_for[voting]
        truth = labels[folds == fold].numpy()
        accuracy = (predicted == truth).mean()
        assert scores[(fold + 1, "imagenet_votes")] == pytest.approx(accuracy)
        balanced = balanced_accuracy_score(truth, predicted)
        assert scores[(fold + 1, "imagenet_votes_balanced")] == pytest.approx(balanced)


def test_a_network_for_so_many_pixels_goes_on_as_it_was_built(folder):
    arguments = {"classes": 52, "shape": SHAPE, "channels": [4], "units": 6, "dropout": 0.5}
    state = cnn.build(**arguments).state_dict()
    store.save(Path("base/1.pth"), "cnn", arguments, SCALING, [], state, "none")
    model, facts = run("mine", network="cnn", trainable="all", image_size="auto", folds=2)
    assert model.network.hidden.weight.shape == (6, 4 * 14 * 14)
    assert model.network.dropout.p == 0.5 and facts["training"]["frozen"] == []
    with pytest.raises(
        UserError, match=r"^params\.yaml: finetune\.mine\.image_size: expected 28, "
    ):
        run("mine", network="cnn", trainable="all", image_size=30)


def test_a_part_of_the_folds_is_the_same_in_full_and_views_are_new(folder):
    shown, changes = [], {"network": "cnn", "trainable": "all", "epochs": 2}
    prepare(2, "cnn")
    for part in ({}, {"folds": 2}, {"augment": "photographs"}):
        dataset.save_array(Path("data/train/folds.npy"), np.arange(2 * IMAGES).reshape(2, -1) % 3)
        run("mine", **changes, **part)
        shown.append(pd.read_csv("resultados/cv/finetuned/mine/scores.csv"))
    everything, part, augmented = shown
    expected = everything[everything["fold"] < 3].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)
    assert not everything["value"].equals(augmented["value"])


def test_what_was_chosen_is_told_and_the_model_is_trained_so(folder):
    prepare(1, "cnn")
    lists = {"weight_decay": [0.0, 0.5, 1.0], "epochs": [1, 3]}
    lists |= {"network": "cnn", "trainable": "all"}
    _, facts = run(**lists)
    places = [(row.pop("repeat"), row.pop("fold")) for row in facts["chosen"]]
    assert places == [(1, None), (1, 1), (1, 2)]
    assert facts["chosen"] == [{"weight_decay": 0.5, "epochs": 3, "fixed": True}] * 3
    assert (facts["training"]["weight_decay"], facts["training"]["epochs"]) == (0.5, 3)
    assert pd.read_csv("resultados/cv/finetuned/resnet18/history.csv")["epoch"].max() == 3
    fixed = Path("modelos/finetuned/resnet18.pth").read_bytes()
    run(**lists | {"weight_decay": 0.5, "epochs": 3})
    assert Path("modelos/finetuned/resnet18.pth").read_bytes() == fixed


@pytest.mark.parametrize(("shape", "pixels"), [((1, 9, 50), 50), ((3, 300, 200), 224)])
def test_auto_is_as_the_images_are_but_224_at_most(folder, shape, pixels):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
    dataset.save(Path("data/train"), dataset.Dataset(images, np.arange(4) % 2, ("a", "b")))
    dataset.save_array(Path("data/train/folds.npy"), np.array([[0, 0, 1, 1]]))
    model, facts = run(image_size="auto", batch_size=2)
    assert facts["training"]["model_params"]["image_size"] == pixels == max(model.scaling.size)
    assert model.shape == shape


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"trainable": ["layer7", "fc"]}, "trainable: expected all, or a list with fc and any of "),
        (
            {"network": "simple_nn"},
            "network: expected one with LAYERS to freeze (cnn, efficientnet_lite0, ",
        ),
        ({"image_size": 15}, "image_size: expected auto, or an integer from 16 to 512, found 15"),
        ({"folds": 1}, "folds: expected all, or an integer from 2 to 50, found 1"),
        ({"epochs": [1, 0]}, "epochs.1: expected greater than or equal to 1, found 0"),
        ({"augment": "photographs"}, "augment: expected none where the first layers are frozen"),
    ],
)
def test_a_wrong_param_is_one_line(workdir, changes, line):
    write("mine", **changes)
    with pytest.raises(UserError) as caught:
        contestants.read_finetuning("finetune.mine")
    assert str(caught.value).startswith(f"params.yaml: finetune.mine.{line}")
