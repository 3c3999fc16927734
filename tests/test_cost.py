"""Counted operations against those counted by hand, layer by layer."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d
from torchvision.models import resnet18 as torchvision_resnet18

from taller.models import cnn, resnet18, simple_nn, surgery
from taller.training import cost
from taller.training.cost import Cost

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

    network = copy.deepcopy(network).eval()
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(of(name))
    network(torch.zeros(1, *shape))
    return counted


@pytest.fixture(scope="module")
def network():
    return resnet18.build(10, DIGIT)


@pytest.mark.parametrize(
    ("module", "layers", "answer"), [(simple_nn, SIMPLE_NN, 218_368), (cnn, CNN, 1_613_184)]
)
def test_networks_from_scratch(module, layers, answer):
    found = cost.count(module.build(10, DIGIT), DIGIT)
    assert found.answer == sum(layers) == answer
    # Each product has two gradients, of its weights and of its inputs; nobody asks for the image's.
    assert found.step == 3 * answer - layers[0]


@pytest.mark.parametrize("size", [28, 33, 64])
def test_an_answer_of_a_residual_network(size):
    network = torchvision_resnet18(num_classes=7)
    expected = sum(by_hand(network, (3, size, size)).values())
    found = cost.count(resnet18.build(7, (3, size, size)), (3, size, size))
    assert found.answer == expected
    stem = by_hand(network, (3, size, size))["conv1"]
    assert found.step == 3 * expected - stem


def test_what_torchvision_tells_of_its_network():
    # Its page of ResNet18_Weights: 1.81 GFLOPS, in multiplications with an addition, 11.7 M.
    network = resnet18.build(1000, (3, 224, 224))
    found = cost.count(network, (3, 224, 224))
    assert found.answer / 2 == pytest.approx(1.81e9, rel=0.005)
    assert cost.parameters(network) == 11_689_512


@pytest.mark.parametrize("part", resnet18.PARTS)
def test_frozen_and_trained_make_up_the_whole(network, part):
    whole = cost.count(network, DIGIT)
    frozen, trained = surgery.cut(copy.deepcopy(network), (part,))
    between = cost.output_shape(frozen, DIGIT)
    assert between == frozen.eval()(torch.zeros(1, *DIGIT)).shape[1:]
    below, above = cost.count(frozen, DIGIT), cost.count(trained, between)
    assert below.answer + above.answer == whole.answer
    # Without a gradient a step is an answer; with one it costs more, and at most three times that.
    assert below.step == below.answer
    assert above.answer < above.step <= 3 * above.answer or part == "bn1"
    assert cost.count(network, DIGIT) == whole


def test_a_step_counts_the_gradients_that_are_asked_for(network):
    layers = by_hand(network, DIGIT)
    head = layers.pop("fc")
    # The last layer alone: its weights' gradient, and none of what it is given.
    _, trained = surgery.cut(copy.deepcopy(network), ("fc",))
    assert cost.count(trained, (512,)) == Cost(head, 2 * head)
    # The workshop's code trains the first and the last: what is between hands gradients through,
    # and has none for its own weights.
    _, trained = surgery.cut(copy.deepcopy(network), ("conv1", "fc"))
    between = sum(layers.values()) - layers["conv1"]
    found = cost.count(trained, DIGIT)
    assert found.answer == head + between + layers["conv1"]
    assert found.step - found.answer == 2 * head + between + layers["conv1"]


@pytest.mark.parametrize("shape", [DIGIT, (3, 20, 24)])
def test_nothing_frozen_costs_nothing(shape):
    frozen, _ = surgery.cut(resnet18.build(4, shape), resnet18.PARTS)
    assert cost.count(frozen, shape) == Cost(0, 0)
    assert cost.output_shape(frozen, shape) == shape


def test_counting_leaves_the_network_as_it_is(network):
    network.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    cost.count(network, DIGIT)
    cost.output_shape(network, DIGIT)
    assert not network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(p.grad is None and p.device.type == "cpu" for p in network.parameters())
