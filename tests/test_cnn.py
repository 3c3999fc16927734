"""The small convolutional network against its description, layer by layer."""

import pytest
import torch
from torch import nn

from taller.models import cnn, simple_nn

DIGITS = {"classes": 10, "shape": (1, 28, 28)}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def by_hand(**drop) -> nn.Sequential:
    """Of the defaults, on MNIST: 28 pixels become 14, then 7."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2, padding=2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, 10),
    )


def test_it_is_what_it_says():
    ours, expected = cnn.build(**DIGITS), by_hand()
    assert repr(ours) == repr(expected)
    expected.load_state_dict(ours.state_dict())
    images = torch.randn(4, 1, 28, 28)
    for mode in (True, False):
        drawn = []
        for network in (ours, expected):
            torch.manual_seed(0)
            drawn.append(network.train(mode)(images))
        torch.testing.assert_close(*drawn)


def test_it_is_of_simple_nns_size():
    by_hand = (
        (1 * 25 + 1) * 16 + 2 * 16  # each convolution with its batch normalisation
        + (16 * 25 + 1) * 32 + 2 * 32
        + (32 * 7 * 7 + 1) * 64
        + (64 + 1) * 10
    )  # fmt: skip
    assert parameters(cnn.build(**DIGITS)) == by_hand == 114_410
    assert parameters(cnn.build(**DIGITS)) / parameters(simple_nn.build(**DIGITS)) < 1.05


@pytest.mark.parametrize(
    ("shape", "channels", "left"),
    [
        ((1, 28, 28), [5], (14, 14)),
        ((3, 33, 17), [4, 6], (9, 5)),  # 33, 17, 9 and 17, 9, 5: a half is rounded up
        ((3, 20, 24), [4, 6, 7], (3, 3)),
        ((2, 1, 6), [3, 3, 3, 3], (1, 1)),
    ],
)
def test_every_convolution_halves_the_image(shape, channels, left):
    network = cnn.build(7, shape, channels, units=11, dropout=0.0).eval()
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    assert [layer.in_channels for layer in convolutions] == [shape[0], *channels[:-1]]
    assert [layer.out_channels for layer in convolutions] == channels
    images = torch.randn(2, *shape)
    features = network[: 3 * len(channels)](images)
    assert features.shape == (2, channels[-1], *left)
    assert network(images).shape == (2, 7)
    hidden = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in hidden] == [11, 7]


def test_dropout_is_of_the_hidden_layer_in_training_alone():
    network = cnn.build(3, (1, 8, 8), [4], units=400, dropout=0.5)
    (dropout,) = (layer for layer in network if isinstance(layer, nn.Dropout))
    seen = []
    dropout.register_forward_hook(lambda _, inputs, output: seen.append((*inputs, output)))
    images = torch.randn(6, 1, 8, 8)
    network.eval()(images)
    network.train()(images)
    (before, same), (inputs, dropped) = seen
    assert before.shape == (6, 400) and torch.equal(before, same)
    lost = (dropped[inputs > 0] == 0).float().mean()
    assert 0.4 < lost < 0.6
