"""Frozen layers run once per image; training behind them is training with them in front."""

from functools import partial

import pytest
import torch

from taller.common.terminal import UserError
from taller.networks import efficientnet_lite0, resnet18
from taller.training import freezing

every = pytest.mark.parametrize("module", [resnet18, efficientnet_lite0], ids=lambda one: one.NAME)


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
