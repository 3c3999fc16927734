"""AdamW with little around its kernel: of a small network's step that would be a seventh."""

import torch
from torch import Tensor


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` with ``fused=True``, bit for bit: its state, its groups, its arithmetic.

    PyTorch's own sorts the parameters by device and type, and records itself for a profiler, in
    every step. Here all parameters of a group are on one device, of one type, and have a gradient
    or none from the first step on; and no step hooks are called.
    """

    def __init__(self, params: object, lr: float, weight_decay: float) -> None:
        super().__init__(params, lr, weight_decay=weight_decay, fused=True)

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters by their gradients."""
        for group in self.param_groups:
            trained = [one for one in group["params"] if one.grad is not None]
            states = [self.state[one] or self._fresh(one) for one in trained]
            beta1, beta2 = group["betas"]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                trained,
                [one.grad for one in trained],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"], beta1=beta1, beta2=beta2, eps=group["eps"],
                weight_decay=group["weight_decay"], amsgrad=False, maximize=False,
            )  # fmt: skip

    step.hooked = True  # or PyTorch would wrap it for its profiler

    def _fresh(self, parameter: Tensor) -> dict[str, Tensor]:
        self.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
        return self.state[parameter]
