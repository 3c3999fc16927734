"""Counted operations against those counted by hand, layer by layer."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torchvision.models import resnet18 as torchvision_resnet18

from taller.networks import cnn, resnet18, simple_nn
from taller.training import freezing, store
from taller.training.store import Cost

DIGIT = (1, 28, 28)
# A multiplication and an addition for each weight and each place where it is used.
SIMPLE_NN = [2 * 784 * 128, 2 * 128 * 64, 2 * 64 * 10]
CNN = [2 * 14 * 14 * 16 * 25, 2 * 7 * 7 * 32 * 25 * 16, 2 * 7 * 7 * 32 * 64, 2 * 64 * 10]


def by_hand(network: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """Operations of one image in each layer that multiplies, from the shapes that it sees."""
    counted = {}

    def of(name):
        def hook(layer, inputs, output):
            places = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else 1
            counted[name] = 2 * layer.weight.numel() * places
            if isinstance(layer, nn.Conv2d):
                # Each tap that sees a pixel rather than padding adds a one.
                ones = torch.ones_like(inputs[0][:1]), torch.ones_like(layer.weight)
                seen = conv2d(*ones, stride=layer.stride, padding=layer.padding)
                if places == 1 or int(seen.min()) == inputs[0][0].numel():
                    counted[name] = 2 * int(seen.sum())

        return hook

    for name, layer in network.eval().named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(of(name))
    network(torch.zeros(1, *shape))
    return counted


@pytest.mark.parametrize(
    ("module", "layers", "inference"), [(simple_nn, SIMPLE_NN, 218_368), (cnn, CNN, 1_613_184)]
)
def test_networks_from_scratch(module, layers, inference):
    counted = store.count_operations(module.build(10, DIGIT), DIGIT)
    assert counted.inference == sum(layers) == inference
    # Each product has two gradients, of its weights and of its inputs; nobody asks for the image's.
    assert counted.step == 3 * inference - layers[0]


def test_a_residual_network():
    shape = (3, 33, 33)
    layers = by_hand(torchvision_resnet18(num_classes=7), shape)
    counted = store.count_operations(resnet18.build(7, shape), shape)
    assert counted.inference == sum(layers.values())
    assert counted.step == 3 * counted.inference - layers["conv1"]


def test_a_step_counts_the_gradients_that_are_asked_for_and_the_network_stays_as_it_is():
    network = resnet18.build(10, DIGIT).eval()
    layers, before = by_hand(copy.deepcopy(network), DIGIT), copy.deepcopy(network.state_dict())
    head = layers.pop("fc")
    # The last layer alone: its weights' gradient, and none of its inputs; what is frozen has none.
    frozen, trained = freezing.cut(network, ["fc"])
    assert store.output_shape(frozen, DIGIT) == (512,)
    assert store.count_operations(frozen, DIGIT) == Cost(sum(layers.values()), sum(layers.values()))
    assert store.count_operations(trained, (512,)) == Cost(head, 2 * head)
    # The workshop's code trains the first and the last: what is between passes gradients on, and
    # has none for its own weights.
    frozen, trained = freezing.cut(network, ["conv1", "fc"])
    between = sum(layers.values()) - layers["conv1"]
    counted = store.count_operations(trained, DIGIT)
    assert counted.step - counted.inference == 2 * head + between + layers["conv1"]
    assert (store.count_operations(frozen, DIGIT), store.output_shape(frozen, DIGIT)) == (
        Cost(0, 0),
        DIGIT,
    )
    assert not network.training and all(p.grad is None for p in network.parameters())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
