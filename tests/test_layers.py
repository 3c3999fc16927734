"""Our linear layer and convolution against PyTorch's own; the processor's kernels are pinned."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from taller.common import layers, numerics
from taller.common.layers import make_portable

ROOT = Path(__file__).parents[1]
of_x86 = pytest.mark.skipif(not numerics.is_x86(), reason="portable is of x86-64: NOT tested")


def agree(theirs: nn.Module, inputs: torch.Tensor) -> None:
    """The same outputs and gradients, of the inputs too, as PyTorch's layer has."""
    ours, results = make_portable(copy.deepcopy(theirs)), []
    assert type(ours) in (layers.Linear, layers.Conv2d)
    for layer in (theirs, ours):
        leaf = inputs.clone().requires_grad_()
        outputs = layer(leaf)
        outputs.backward(torch.linspace(-1, 1, outputs.numel()).view(outputs.shape))
        results.append([outputs, leaf.grad, *(one.grad for one in layer.parameters())])
    for expected, actual in zip(*results, strict=True):
        assert expected.shape == actual.shape
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("images", [1, 37])
@pytest.mark.parametrize(("features", "classes", "bias"), [(9, 3, True), (784, 128, False)])
def test_a_linear_layer(images, features, classes, bias):
    agree(nn.Linear(features, classes, bias), torch.randn(images, features))


@pytest.mark.parametrize("kernel, padding", [(1, 0), (3, 1), (5, 2), (3, 0), (2, 1)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("last", [False, True])
def test_a_convolution(kernel, padding, stride, last):
    layout = torch.channels_last if last else torch.contiguous_format
    for sides in [(1, 1), (2, 2), (1, 2), (3, 2), (5, 4)]:
        if min(sides) + 2 * padding >= kernel:
            theirs = nn.Conv2d(4, 6, kernel, stride, padding).to(memory_format=layout)
            agree(theirs, torch.randn(5, 4, *sides).contiguous(memory_format=layout))


@of_x86
@pytest.mark.parametrize("images", [2, 16])  # fewer than 16 take another way
def test_no_convolution_or_product_is_computed_by_mkl(images):
    assert numerics.is_pinned()
    assert torch.backends.cpu.get_cpu_capability() in ("AVX2", "DEFAULT")
    network, threads = make_portable(resnet18(num_classes=10)).eval(), torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.profiler.profile() as profile:
        network(torch.randn(images, 3, 32, 32)).sum().backward()
    torch.set_num_threads(threads)
    used = {event.key for event in profile.key_averages()}
    assert not used & {"aten::_slow_conv2d_forward", "aten::_slow_conv2d_backward"}
    assert not used & {"aten::mm", "aten::addmm", "aten::bmm"}


def test_native_numerics_are_pytorchs_own(monkeypatch):
    monkeypatch.setattr(layers, "_PORTABLE", False)
    theirs = nn.Linear(50, 20)
    images = torch.randn(64, 50)
    assert torch.equal(theirs(images), make_portable(copy.deepcopy(theirs))(images))


PROGRAM = """
import stages
from taller.common import numerics
print(numerics.is_pinned(), numerics.describe())
"""


@of_x86
def test_params_decide_the_kernels(tmp_path):
    (tmp_path / "params.yaml").write_text("numerics: native\n")
    # The process that started it has pinned its own.
    environment = os.environ | numerics.PINNED | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM]
    out = subprocess.check_output(command, cwd=tmp_path, env=environment, encoding="utf-8")
    assert out.startswith("False numerics: native on ")
