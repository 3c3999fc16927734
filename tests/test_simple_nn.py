"""SimpleNN against the workshop's definition."""

import torch
from torch import nn

from taller.models.simple_nn import SimpleNN

DIGITS = {"classes": 10, "shape": (1, 28, 28)}


def workshop_network() -> nn.Module:
    """The network of the workshop, layer by layer."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(28 * 28, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def test_layers_are_the_workshops():
    assert repr(SimpleNN(**DIGITS).net) == repr(workshop_network())


def test_outputs_are_the_workshops_for_the_same_weights():
    ours, theirs = SimpleNN(**DIGITS), workshop_network()
    theirs.load_state_dict(
        {key.removeprefix("net."): value for key, value in ours.state_dict().items()}
    )
    images = torch.randn(5, 1, 28, 28)
    for mode in (True, False):
        torch.manual_seed(0)
        found = ours.train(mode)(images)
        torch.manual_seed(0)
        torch.testing.assert_close(found, theirs.train(mode)(images))


def test_parameters_are_counted_by_hand():
    expected = 784 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10
    assert sum(p.numel() for p in SimpleNN(**DIGITS).parameters()) == expected


def test_layer_sizes_and_dropout_are_free():
    network = SimpleNN(**DIGITS, hidden=[7], dropout=0.5)
    kinds = [nn.Flatten, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert all(isinstance(*pair) for pair in zip(network.net, kinds, strict=True))
    assert network.net[3].p == 0.5
