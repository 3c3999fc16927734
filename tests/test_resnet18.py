"""ResNet-18 against torchvision's, and cached fine-tuning against the same without a cache."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from torchvision.models import resnet18 as torchvision_resnet18

from taller.models import resnet18, surgery
from taller.models.scaling import Scaling
from taller.program import seeds
from taller.program.errors import Problem
from taller.training import activations, engine
from taller.training.batches import Batches
from taller.training.engine import Recipe

CPU = torch.device("cpu")
WORKSHOP = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return resnet18.build(10, (1, 28, 28))


def test_it_is_torchvisions_network_but_for_the_channels(network):
    theirs = torchvision_resnet18(num_classes=10)
    theirs.conv1 = torch.nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    theirs.load_state_dict(network.state_dict(), strict=True)
    images = torch.randn(4, 1, 28, 28)
    torch.testing.assert_close(network.eval()(images), theirs.eval()(images))


def test_summing_rgb_is_feeding_the_grey_image_three_times(network):
    colour = torchvision_resnet18(num_classes=10).eval()
    surgery.load(network, surgery.with_channels(colour.state_dict(), "conv1", 1), new=())
    grey = torch.randn(4, 1, 64, 64)
    torch.testing.assert_close(
        network.eval()(grey), colour(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4
    )


def test_a_grey_image_in_colour_is_the_grey_image():
    grey = resnet18.build(10, (1, 28, 28)).eval()
    colour = resnet18.build(10, (3, 28, 28)).eval()
    surgery.load(colour, surgery.with_channels(grey.state_dict(), "conv1", 3), new=())
    images = torch.randn(4, 1, 28, 28)
    torch.testing.assert_close(
        colour(images.expand(-1, 3, -1, -1)), grey(images), rtol=1e-4, atol=1e-4
    )


def test_channels_that_do_not_match_are_refused(network):
    state = resnet18.build(10, (3, 28, 28)).state_dict()
    with pytest.raises(Problem, match="expected 1 or 4 channels, found 3"):
        surgery.with_channels(state, "conv1", 4)


def test_loading_leaves_just_the_new_parts(network):
    other = resnet18.build(10, (1, 28, 28)).state_dict()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    surgery.load(network, other, new=("fc",))
    for key, value in network.state_dict().items():
        expected = before if key.startswith("fc.") else other
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("layer1.0.conv1.weight"), "expected layer1.0.conv1.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "found extra"),
    ],
)
def test_loading_other_keys_is_refused(network, change, message):
    state = resnet18.build(10, (1, 28, 28)).state_dict()
    change(state)
    with pytest.raises(Problem, match=message):
        surgery.load(network, state, new=("fc",))


@pytest.mark.parametrize("trainable", [("fc",), ("layer4", "fc"), ("conv1", "fc"), resnet18.PARTS])
def test_the_two_parts_are_the_whole(network, trainable):
    network.eval()
    frozen, trained = surgery.cut(network, trainable)
    images = torch.randn(3, 1, 28, 28)
    torch.testing.assert_close(trained(frozen(images)), network(images), rtol=0, atol=0)
    assert {name.split(".")[0] for name, p in trained.named_parameters() if p.requires_grad} == {
        *trainable
    }
    assert not any(p.requires_grad for p in frozen.parameters())


def test_the_head_has_a_learning_rate_of_its_own(network):
    _, trained = surgery.cut(network, ("layer4", "fc"))
    head, body = surgery.parameter_groups(trained, "fc", 0.5, 0.1)
    assert (head["lr"], body["lr"]) == (0.5, 0.05)
    assert [p.shape for p in head["params"]] == [(10, 512), (10,)]
    assert len(body["params"]) == len(list(network.layer4.parameters()))


@pytest.mark.parametrize("limit", [0, 2**30])
@pytest.mark.parametrize("trainable", [("fc",), ("layer4", "fc")])
def test_training_on_kept_activations_is_training_with_the_frozen_layers(
    network, trainable, limit, tmp_path
):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, size=(96, 1, 28, 28), dtype=np.uint8)
    labels = torch.from_numpy(random.integers(0, 10, size=96))
    frozen, trained = surgery.cut(network, trainable)
    start = {key: value.clone() for key, value in trained.state_dict().items()}

    def fresh():
        _, part = surgery.cut(resnet18.build(10, (1, 28, 28)), trainable)
        part.load_state_dict(start)
        return part

    def sgd(part):
        return torch.optim.SGD([p for p in part.parameters() if p.requires_grad], 0.01)

    with activations.cached(
        frozen, images, WORKSHOP, device=CPU, folder=tmp_path, limit=limit
    ) as inputs:
        assert isinstance(inputs, np.memmap) == (limit == 0)
        kept = torch.from_numpy(np.array(inputs))
    assert not list(tmp_path.iterdir())
    rows = torch.arange(96)
    data = Batches(kept, labels, rows, 32, CPU)
    found = engine.fit(Recipe(fresh, sgd, epochs=3), data, seed=0, device=CPU).model

    part = fresh().train()
    optimizer = sgd(part)
    frozen.eval()
    for epoch in range(1, 4):
        pen = torch.Generator().manual_seed(seeds.of_order(0, epoch))
        for chosen in rows[torch.randperm(96, generator=pen)].split(32):
            with torch.no_grad():
                below = frozen(WORKSHOP(torch.from_numpy(images)[chosen]))
            loss = cross_entropy(part(below), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for key, value in part.state_dict().items():
        torch.testing.assert_close(found.state_dict()[key], value, rtol=1e-3, atol=1e-4, msg=key)


def test_an_interrupt_leaves_no_activations_behind(network, tmp_path):
    frozen, _ = surgery.cut(network, ("fc",))
    images = np.zeros((4, 1, 28, 28), np.uint8)
    with (
        pytest.raises(KeyboardInterrupt),
        activations.cached(frozen, images, WORKSHOP, device=CPU, folder=tmp_path, limit=0) as kept,
    ):
        assert isinstance(kept, np.memmap)
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("trainable", "limit"), [(("fc",), 0), (("fc",), 2**30), (resnet18.PARTS, 0)]
)
def test_what_a_killed_process_left_is_removed(network, tmp_path, trainable, limit):
    frozen, _ = surgery.cut(network, trainable)
    images, left = np.zeros((4, 1, 28, 28), np.uint8), tmp_path / "taller-killed"
    left.mkdir()
    (tmp_path / "other").mkdir()
    with activations.cached(frozen, images, WORKSHOP, device=CPU, folder=tmp_path, limit=limit):
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_nothing_frozen_keeps_the_images(network, tmp_path):
    frozen, _ = surgery.cut(network, resnet18.PARTS)
    images = np.zeros((4, 1, 28, 28), np.uint8)
    with activations.cached(frozen, images, WORKSHOP, device=CPU, folder=tmp_path, limit=0) as kept:
        assert kept is images


def test_every_image_passes_the_frozen_layers_once(network, tmp_path):
    frozen, _ = surgery.cut(network, ("fc",))
    passed = []
    frozen.register_forward_pre_hook(lambda _, inputs: passed.append(len(inputs[0])))
    images = np.zeros((activations.BATCH + 3, 1, 28, 28), np.uint8)
    with activations.cached(frozen, images, WORKSHOP, device=CPU, folder=tmp_path, limit=2**30):
        pass
    assert sum(passed) == len(images)
