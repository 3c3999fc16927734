"""AdamW with nothing around its kernel: to construct PyTorch's imports its compiler, in seconds."""

from collections.abc import Iterable

import torch
from torch import nn


class AdamW:
    """`torch.optim.AdamW` with ``fused=True``, bit for bit.

    Loshchilov and Hutter, Decoupled weight decay regularization (ICLR 2019), algorithm 2. All
    parameters that a group trains are on one device, of one type, and have a gradient in every
    step.

    Attributes
    ----------
    param_groups : list of dict
        Of each group its ``params``, without frozen ones, and the ``lr`` of the next step.
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8  # PyTorch's defaults

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict],
        lr: float,
        weight_decay: float,
    ) -> None:
        parameters = list(parameters)
        grouped = all(isinstance(one, dict) for one in parameters)
        self.param_groups = [
            {"lr": lr, **group, "params": [one for one in group["params"] if one.requires_grad]}
            for group in (parameters if grouped else [{"params": parameters}])
        ]
        self._weight_decay = weight_decay
        self._states = [
            {
                "step": [torch.zeros((), device=one.device) for one in group["params"][:1]],
                "means": [torch.zeros_like(one) for one in group["params"]],
                "squares": [torch.zeros_like(one) for one in group["params"]],
            }
            for group in self.param_groups
        ]

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters by their gradients."""
        beta1, beta2 = self.BETAS
        for group, state in zip(self.param_groups, self._states, strict=True):
            if not group["params"]:
                continue
            state["step"][0].add_(1)
            torch._fused_adamw_(
                group["params"],
                [one.grad for one in group["params"]],
                state["means"],
                state["squares"],
                [],
                state["step"] * len(group["params"]),
                lr=group["lr"], beta1=beta1, beta2=beta2, eps=self.EPSILON,
                weight_decay=self._weight_decay, amsgrad=False, maximize=False,
            )  # fmt: skip

    def state_dict(self) -> dict[str, list]:
        """Of each group, parameter by parameter: steps taken, and moving averages."""
        return {"groups": self._states}

    def load_state_dict(self, state: dict[str, list]) -> None:
        """Go on from what `state_dict` gave."""
        with torch.no_grad():
            for mine, its in zip(self._states, state["groups"], strict=True):
                for name, tensors in mine.items():
                    for one, other in zip(tensors, its[name], strict=True):
                        one.copy_(other)
