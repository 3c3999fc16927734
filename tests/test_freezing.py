"""Frozen layers run once per image; training behind them is training with them in front."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torchvision.models import resnet18 as torchvision_resnet18

from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.networks import efficientnet_lite0, resnet18
from taller.training import freezing
from taller.training.batches import Scaling

CPU = torch.device("cpu")
every = pytest.mark.parametrize("module", [resnet18, efficientnet_lite0], ids=lambda one: one.NAME)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 28, 28), np.uint8)


@every
def test_a_network_can_be_cut_at_any_layer(module):
    network = module.build(4, (1, 28, 28)).eval()
    inputs = torch.randn(3, 1, 28, 28)
    expected = network(inputs)
    for trainable in [*([layer] for layer in module.LAYERS), ["conv1", "fc"], [*module.LAYERS]]:
        frozen, trained = freezing.cut(network, trainable)
        torch.testing.assert_close(trained(frozen(inputs)), expected, rtol=0, atol=0)
        learning = {name for name, one in trained.named_parameters() if one.requires_grad}
        assert {name.split(".")[0] for name in learning} == {*trainable}
        assert not any(one.requires_grad for one in frozen.parameters())


@every
@pytest.mark.parametrize(("trainable", "limit"), [((-1,), 0), ((-3, -1), 2**30)])
def test_activations_are_what_the_frozen_layers_make(
    module, trainable, limit, workdir, monkeypatch
):
    monkeypatch.setattr(dataset, "LIMIT", limit)
    network = module.build(4, (1, 28, 28))
    frozen, trained = freezing.cut(network, [module.LAYERS[place] for place in trainable])
    before, passed = copy.deepcopy(network.state_dict()), []
    frozen.register_forward_pre_hook(lambda _, inputs: passed.append(len(inputs[0])))
    scaling = Scaling(module.MEAN, module.STD, (9, 9)).suited((1, 28, 28), 40)
    array = freezing.activations(frozen, images(253), scaling, CPU)
    assert isinstance(array, np.memmap) == (limit == 0) and sum(passed) == 253
    with torch.no_grad():
        expected = network.eval()(scaling(torch.from_numpy(images(253)[:5])))
        logits = trained.eval()(torch.from_numpy(np.array(array[:5])))
    # They have lost the memory layout, and with it the order of some sums.
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert [*workdir.glob(".cache/*")] == []  # not even a kill leaves anything
    assert freezing.activations(frozen[:0], array, scaling, CPU) is array


@every
def test_one_channel_is_the_grey_image_three_times_and_three_are_the_grey_image(module):
    colour, grey = module.build(4, (3, 28, 28)).eval(), module.build(4, (1, 28, 28)).eval()
    inputs = torch.randn(4, 1, 64, 48)
    for source, target, channels in ((colour, grey, 1), (grey, colour, 3)):
        state = freezing.with_channels(source.state_dict(), module.STEM, channels)
        freezing.load(target, state, new=[])
        with torch.no_grad():
            torch.testing.assert_close(
                grey(inputs), colour(inputs.expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4
            )
    with pytest.raises(UserError, match="expected 1 or 4 channels, found 3"):
        freezing.with_channels(colour.state_dict(), module.STEM, 4)


def test_loading_leaves_just_the_new_layers_and_refuses_other_keys():
    network, other = resnet18.build(10, (1, 28, 28)), torchvision_resnet18(num_classes=7)
    before = copy.deepcopy(network.state_dict())
    freezing.load(network, state := other.state_dict(), new=["conv1", "fc"])
    for key, value in network.state_dict().items():
        expected = before if key.startswith(("conv1.", "fc.")) else state
        assert torch.equal(value, expected[key]), key
    with pytest.raises(RuntimeError, match="extra"):
        freezing.load(network, before | {"extra": torch.zeros(1)}, new=[])


def test_new_layers_do_not_depend_on_what_is_trainable():
    build, heads = partial(resnet18.build, 10, (1, 28, 28)), []
    for trainable in (["fc"], ["layer4", "fc"], [*resnet18.LAYERS]):
        _, part = freezing.cut(build(), trainable)
        zeros = {key: torch.zeros_like(value) for key, value in part.state_dict().items()}
        torch.manual_seed(3)
        part = freezing.rebuild(build, trainable, zeros, new=["fc"])
        heads.append(part.fc.weight)
        assert not any(one.any() for key, one in part.state_dict().items() if key[:3] != "fc.")
    assert torch.equal(heads[0], heads[1]) and torch.equal(heads[0], heads[2])


@every
def test_layers_are_named_in_the_networks_order(module):
    layers, key = module.LAYERS, "finetune.net.trainable"
    assert freezing.trained_layers("all", module, key) == [*layers]
    assert freezing.trained_layers(["fc", layers[1]], module, key) == [layers[1], "fc"]
    for wrong in ([layers[1]], [], ["fc", "other"], "fc", None, 3, [["fc"]], {"fc": 1}):
        line = r"^params\.yaml: finetune\.net\.trainable: expected all, or a list with fc and .*,"
        with pytest.raises(UserError, match=line):
            freezing.trained_layers(wrong, module, key)
