"""PyTorch's linear layer and convolution, computed such that the processor's vendor is no input."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear as native_linear

from taller.common import numerics

# Asked once, as the libraries do: each layer of each step would read the environment anew.
_PORTABLE = numerics.is_pinned()
# Of fewer images, in one thread, PyTorch does not leave a 1 x 1 convolution to oneDNN.
_FEW = 16


def make_portable(network: nn.Module) -> nn.Module:
    """Give another library's network these layers, with the weights that it has; returns it.

    Layers with groups, and subclasses that pad in ways of their own, stay as they are.
    """
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear
        elif type(module) is nn.Conv2d and module.groups == 1:
            module.__class__ = Conv2d
    return network


class Linear(nn.Linear):
    """`torch.nn.Linear`; portable with OpenBLAS's products, as MKL's fast ones differ by vendor."""

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d`; of maps so small that each output sees every pixel, a linear layer.

    A padded 3 x 3 convolution of a map of 1 x 1 is its centre tap, and one of 2 x 2 four taps for
    each of four outputs: without those that see only padding, and in products that are faster than
    convolutions of so small maps. A 1 x 1 convolution of few images is a linear layer of their
    pixels, which MKL would compute otherwise. For square kernels, without groups or dilation.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        (kernel, _), (padding, _), (stride, _) = self.kernel_size, self.padding, self.stride
        if (kernel, padding, stride) == (1, 0, 1) and len(inputs) < _FEW:
            pixels = inputs.permute(0, 2, 3, 1)
            outputs = linear(pixels.flatten(0, 2), self.weight.flatten(1), self.bias)
            return outputs.unflatten(0, pixels.shape[:3]).permute(0, 3, 1, 2)
        rows, columns = (taps_along(side, kernel, padding, stride) for side in inputs.shape[2:])
        if not rows or not columns:
            return super().forward(inputs)
        # Everything in the order in which it lies in memory, or gradients would be copied anew.
        taps = Taps.apply(self.weight.permute(0, 2, 3, 1), rows, columns)
        height, width = (part[0].stop - part[0].start for part in (rows, columns))
        pixels = inputs[:, :, :height, :width].permute(0, 2, 3, 1).flatten(1)
        bias = None if self.bias is None else self.bias.repeat(len(rows) * len(columns))
        outputs = linear(pixels, taps, bias)
        return outputs.unflatten(1, (len(rows), len(columns), -1)).permute(0, 3, 1, 2)


def taps_along(side: int, kernel: int, padding: int, stride: int) -> list[slice]:
    """For each output along a side, the taps through which it sees all pixels, if all do so.

    Pixels behind the last one that any output sees do not count.
    """
    outputs = (side + 2 * padding - kernel) // stride + 1
    pixels = min(side, (outputs - 1) * stride - padding + kernel)
    starts = [padding - place * stride for place in range(outputs)]
    if min(starts) < 0 or max(starts) + pixels > kernel:
        return []
    return [slice(start, start + pixels) for start in starts]


class Taps(torch.autograd.Function):
    """The linear layer that a convolution is: kernels (o, k, k, i) to rows (outputs o, h w i)."""

    @staticmethod
    def forward(ctx, kernels: Tensor, rows: list[slice], columns: list[slice]) -> Tensor:
        ctx.shape, ctx.places = kernels.shape, [(row, column) for row in rows for column in columns]
        return torch.cat([kernels[:, row, column].flatten(1) for row, column in ctx.places])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        kernels = gradient.new_zeros(ctx.shape)
        for (row, column), part in zip(ctx.places, gradient.chunk(len(ctx.places)), strict=True):
            taps = kernels[:, row, column]
            taps += part.view(taps.shape)
        return kernels, None, None


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``inputs @ weight.T + bias``: shapes (n, i), (o, i), (o,) to (n, o), float32."""
    if _PORTABLE and inputs.device.type == "cpu":
        return _Linear.apply(inputs, weight, bias)
    return native_linear(inputs, weight, bias)


class _Linear(torch.autograd.Function):
    """The linear layer with NumPy's products: of one thread, whatever PyTorch has."""

    @staticmethod
    def forward(ctx, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        outputs = _product(inputs, weight.t())
        return outputs if bias is None else outputs.add_(bias)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(gradient, weight) if of_inputs else None,
            _product(gradient.t(), inputs) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _product(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices by NumPy, whose OpenBLAS has one kernel on every processor."""
    return torch.from_numpy(np.matmul(a.detach().numpy(), b.detach().numpy()))
