"""A network whose batches several processes share: each computes a part, all get the whole answer.

Whoever trains it sees an ordinary network that takes whole batches and gives all their logits, so
that loss, accuracy and steps are those of one process.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, distributed, nn
from torch.nn.functional import batch_norm
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from taller.training.batches import Prepare
from taller.training.engine import Recipe

# All but the second: the images and the channel's pixels.
PIXELS = (0, 2, 3)


class SharedNetwork(nn.Module):
    """A network that takes the same batch in every process, and computes its own share of it.

    Shares follow each other in the batch and differ by one image at most. In training the
    gradients are those of the whole batch, and so are batch normalisation's statistics; dropout,
    which no network that is fine-tuned has, would draw each share's noise by itself.

    Parameters
    ----------
    network : Module
        With the same weights in all processes; the state dict is its own.
    prepare : callable
        From stored inputs to the network's, for the share alone.
    """

    def __init__(self, network: nn.Module, prepare: Prepare) -> None:
        super().__init__()
        self.network = network
        self._prepare = prepare
        self._parallel: Callable[[Tensor], Tensor] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """From stored inputs of the whole batch to its outputs, in every process.

        A batch with fewer images than there are processes, which may be the last one of a
        validation, is computed by each of them.
        """
        shares = inputs.tensor_split(distributed.get_world_size())
        rank = distributed.get_rank()
        if not len(shares[-1]):
            return self.network(self._prepare(inputs))
        own, start = self._prepare(shares[rank]), sum(map(len, shares[:rank]))
        if not self.training:
            return _gathered(self.network(own), start, len(inputs))
        with _WholeBatch():
            outputs = self._in_parallel()(own)
        return _Gathered.apply(outputs, start, len(inputs))

    def state_dict(self, **arguments: object) -> dict[str, Tensor]:
        """The network's."""
        return self.network.state_dict(**arguments)

    def load_state_dict(self, state: Mapping[str, Tensor], **arguments: object) -> object:
        """Into the network."""
        return self.network.load_state_dict(state, **arguments)

    def _in_parallel(self) -> Callable[[Tensor], Tensor]:
        """Made once the network is where it is trained; not a child, which it has for its own."""
        if self._parallel is None:
            # Statistics that follow the whole batch are equal by themselves.
            parallel = DistributedDataParallel(self.network, forward_sync_buffers=False)
            self._parallel = parallel.__call__
        return self._parallel


def shared(recipe: Recipe, prepare: Prepare) -> Recipe:
    """The same recipe, for all processes together.

    Parameters
    ----------
    prepare : callable
        As `SharedNetwork` takes it: the batches are to bring stored inputs.
    """
    return replace(
        recipe,
        make_model=lambda: SharedNetwork(recipe.make_model(), prepare),
        make_optimizer=lambda model: recipe.make_optimizer(model.network),
    )


def _gathered(part: Tensor, start: int, total: int) -> Tensor:
    """What all processes have, `total` rows in all, of which `part` are this one's from `start`."""
    whole = part.new_zeros(total, *part.shape[1:])
    whole[start : start + len(part)] = part
    distributed.all_reduce(whole)
    return whole


class _Gathered(torch.autograd.Function):
    """`_gathered`, where each process computes the loss of the whole and takes its rows' gradient.

    Such parts are to be added, and DistributedDataParallel takes their mean.
    """

    @staticmethod
    def forward(ctx, part: Tensor, start: int, total: int) -> Tensor:
        ctx.rows = slice(start, start + len(part))
        return _gathered(part, start, total)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.rows] * distributed.get_world_size(), None, None


class _WholeBatch(TorchFunctionMode):
    """While it lasts, batch normalisation of any layer has the statistics of the whole batch.

    PyTorch's own such layer is for GPUs alone, and takes the place of none that does more.
    """

    def __torch_function__(
        self, function: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        kwargs = kwargs or {}
        if function is batch_norm and kwargs["training"]:
            return _normalised(*args, **kwargs)
        return function(*args, **kwargs)


def _normalised(
    inputs: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """`torch.nn.functional.batch_norm` in training, over the shares of all processes."""
    outputs, mean, var, count = _Normalised.apply(inputs, weight, bias, eps)
    with torch.no_grad():
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(var * (count / (count - 1)), momentum)
    return outputs


class _Normalised(torch.autograd.Function):
    """Gives the outputs; and, as they take no gradients, mean, variance and count of the whole."""

    @staticmethod
    def forward(ctx, inputs: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple:
        var, mean = torch.var_mean(inputs, PIXELS, correction=0)
        own = torch.cat([mean, var, mean.new_tensor([inputs.numel() / len(mean)])])
        all_shares = _gathered(own[None], distributed.get_rank(), distributed.get_world_size())
        means, variances = all_shares[:, :-1].unflatten(1, (2, -1)).unbind(1)
        count = all_shares[:, -1:].sum()
        weights = all_shares[:, -1:] / count
        mean = (weights * means).sum(0)
        var = (weights * (variances + (means - mean) ** 2)).sum(0)
        ctx.save_for_backward(inputs, weight, mean, var, count)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, count)
        return batch_norm(inputs, mean, var, weight, bias, eps=eps), mean, var, count

    @staticmethod
    def backward(ctx, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight, mean, var, count = ctx.saved_tensors
        # As if mean and variance were constants; then what hangs on them, by every process.
        of_inputs, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, inputs, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
        )
        of_all = torch.stack([of_weight, of_bias])
        distributed.all_reduce(of_all)
        by_weight, by_bias = of_all / count
        inverse = (var + ctx.eps).rsqrt()
        slope = weight * inverse**2 * by_weight
        level = weight * inverse * by_bias - slope * mean
        of_inputs -= inputs * slope[:, None, None] + level[:, None, None]
        return of_inputs, of_weight, of_bias, None
