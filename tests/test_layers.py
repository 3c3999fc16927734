"""Our linear layer and convolution against PyTorch's own: values and gradients."""

import copy

import pytest
import torch
from torch import nn

from taller.models import efficientnet_lite0, layers, resnet18
from taller.program import portable
from taller.training import numerics


def pair(theirs: nn.Module, ours: type) -> tuple[nn.Module, nn.Module]:
    """A layer of PyTorch's and ours, of the same weights."""
    own = copy.deepcopy(theirs)
    own.__class__ = ours
    return theirs, own


def agree(both: tuple[nn.Module, nn.Module], inputs: torch.Tensor) -> None:
    """The same outputs and gradients, of the inputs too."""
    found = []
    for layer in both:
        leaf = inputs.clone().requires_grad_()
        outputs = layer(leaf)
        outputs.backward(torch.linspace(-1, 1, outputs.numel()).view(outputs.shape))
        found.append([outputs, leaf.grad, *(one.grad for one in layer.parameters())])
    for theirs, ours in zip(*found, strict=True):
        assert theirs.shape == ours.shape
        torch.testing.assert_close(ours, theirs)


def test_these_tests_run_pinned():
    assert portable.is_pinned() == portable.is_x86()


@pytest.mark.parametrize("images", [1, 2, 37, 64])
@pytest.mark.parametrize(("features", "classes", "bias"), [(9, 3, True), (784, 128, False)])
def test_a_linear_layer(images, features, classes, bias):
    agree(pair(nn.Linear(features, classes, bias), layers.Linear), torch.randn(images, features))


@pytest.mark.parametrize("kernel, padding", [(1, 0), (3, 1), (5, 2), (3, 0), (2, 1)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("sides", [(1, 1), (2, 2), (1, 2), (3, 2), (5, 4)])
@pytest.mark.parametrize("last", [False, True])
def test_a_convolution(kernel, padding, stride, sides, last):
    if min(sides) + 2 * padding < kernel:
        pytest.skip("PyTorch refuses a kernel that is larger than the padded map")
    layout = torch.channels_last if last else torch.contiguous_format
    theirs = nn.Conv2d(4, 6, kernel, stride, padding).to(memory_format=layout)
    inputs = torch.randn(5, 4, *sides).contiguous(memory_format=layout)
    agree(pair(theirs, layers.Conv2d), inputs)


def test_the_arithmetic_of_the_smallest_maps_is_a_linear_layers(monkeypatch):
    asked = []
    product = layers.linear
    monkeypatch.setattr(layers, "linear", lambda *of: asked.append(of[1].shape) or product(*of))
    network = resnet18.build(10, (1, 28, 28)).eval()
    network(torch.zeros(2, 1, 28, 28))
    first = [(512, 256 * 4), (512, 512), (512, 256)]  # with the two that make the map so small
    small = [(256 * 4, 256 * 4)] * 3  # of 2 x 2, each of whose outputs sees all four
    assert sorted(asked) == sorted([*small, *first, (512, 512), (512, 512), (10, 512)])


@pytest.mark.parametrize(("images", "computed"), [(1, True), (15, True), (16, False)])
def test_pixels_of_few_images_are_a_linear_layers(monkeypatch, images, computed):
    asked = []
    product = layers.linear
    monkeypatch.setattr(layers, "linear", lambda *of: asked.append(of[0].shape) or product(*of))
    layers.Conv2d(4, 6, 1)(torch.zeros(images, 4, 5, 3))
    assert asked == [(images * 15, 4)] * computed


@pytest.mark.skipif(not portable.is_x86(), reason="portable numerics are of x86-64: NOT tested")
@pytest.mark.parametrize("images", [2, 15, 16])  # no batch that is trained on has one alone
@pytest.mark.parametrize("build", [resnet18.build, efficientnet_lite0.build])
def test_no_convolution_or_product_is_computed_by_mkl(build, images):
    network = build(10, (1, 28, 28))
    inputs = torch.randn(images, 1, 56, 56)
    with numerics.threads(1), torch.profiler.profile() as profile:
        network.eval()(inputs).sum().backward()
    # With fewer than 16 images and one thread PyTorch's own 1 x 1 convolution is one of these.
    used = {event.key for event in profile.key_averages()}
    assert not used & {"aten::_slow_conv2d_forward", "aten::_slow_conv2d_backward"}
    assert not used & {"aten::mm", "aten::addmm", "aten::bmm"}


def test_native_numerics_are_pytorchs_own(monkeypatch):
    monkeypatch.setattr(layers, "_PORTABLE", False)
    theirs, ours = pair(nn.Linear(50, 20), layers.Linear)
    images = torch.randn(64, 50)
    assert torch.equal(theirs(images), ours(images))
