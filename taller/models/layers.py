"""PyTorch's linear layer and convolution, computed such that the processor's vendor is no input."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear as native_linear

from taller.program import portable

# Asked once, as the libraries do: each layer of each step would read the environment anew.
_PORTABLE = portable.is_pinned()
# Of fewer images, in one thread, PyTorch does not leave a 1 x 1 convolution to oneDNN.
_FEW = 16


class Linear(nn.Linear):
    """`torch.nn.Linear`; portable with OpenBLAS's products, as MKL's fast ones differ by vendor."""

    def forward(self, inputs: Tensor) -> Tensor:
        """From (n, in_features) to (n, out_features)."""
        return linear(inputs, self.weight, self.bias)


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d`; where its output is one pixel, without the taps that see only padding.

    A padded 3 x 3 convolution of a map of 1 x 1 is its centre tap: a linear layer, with a ninth
    of the arithmetic. A 1 x 1 convolution of few images is a linear layer of their pixels, which
    MKL would compute otherwise. For square kernels, without groups or dilation.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """From (n, in_channels, h, w) to (n, out_channels, h', w')."""
        (kernel, _), (padding, _), (stride, _) = self.kernel_size, self.padding, self.stride
        sides = inputs.shape[2:]
        if (kernel, padding, stride) == (1, 0, 1) and len(inputs) < _FEW:
            pixels = inputs.permute(0, 2, 3, 1)
            outputs = linear(pixels.flatten(0, 2), self.weight.flatten(1), self.bias)
            return outputs.unflatten(0, pixels.shape[:3]).permute(0, 3, 1, 2)
        if any((side + 2 * padding - kernel) // stride for side in sides):
            return super().forward(inputs)
        height, width = (min(side, kernel - padding) for side in sides)
        taps = self.weight[:, :, padding : padding + height, padding : padding + width]
        # In the order in which both lie in memory.
        pixels = inputs[:, :, :height, :width].permute(0, 2, 3, 1).flatten(1)
        outputs = linear(pixels, taps.permute(0, 2, 3, 1).flatten(1), self.bias)
        return outputs[:, :, None, None]


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
    """Of two matrices: NumPy's, whose OpenBLAS computes as it is told to, transposed or not."""
    return torch.from_numpy(np.matmul(a.detach().numpy(), b.detach().numpy()))
