"""AdamW against PyTorch's own, bit by bit."""

import copy

import pytest
import torch
from torch import nn

from taller.training.adamw import AdamW


def trained(make, steps: int, state: dict | None = None) -> tuple[list[torch.Tensor], dict]:
    """The weights after some steps, from `state` on; and the optimizer's state after them."""
    torch.manual_seed(0)
    # Of sizes that no vector register divides.
    network = nn.Sequential(nn.Linear(37, 13), nn.ReLU(), nn.Linear(13, 3), nn.Linear(3, 1))
    network[2].requires_grad_(False)
    optimizer = make(
        [{"params": network[0].parameters(), "lr": 0.02}, {"params": network[1:].parameters()}]
    )
    if state is not None:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))
    for step in range(steps):
        pen = torch.Generator().manual_seed(step)
        optimizer.zero_grad()
        network(torch.randn(8, 37, generator=pen)).square().mean().backward()
        optimizer.param_groups[0]["lr"] = 0.02 / (step + 1)
        optimizer.step()
    reached = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    return [*network.parameters()], copy.deepcopy(reached)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_the_steps_are_pytorchs(decay):
    ours, state = trained(lambda groups: AdamW(groups, 0.01, decay), 20)
    theirs, expected = trained(
        lambda groups: torch.optim.AdamW(groups, 0.01, weight_decay=decay, fused=True), 20
    )
    assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert state["optimizer"]["param_groups"] == expected["optimizer"]["param_groups"]
    for one, other in zip(
        state["optimizer"]["state"].values(), expected["optimizer"]["state"].values(), strict=True
    ):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_goes_on_from_a_state_of_pytorchs():
    def theirs(groups):
        return torch.optim.AdamW(groups, 0.01, weight_decay=0.1, fused=True)

    _, state = trained(theirs, 5)
    expected, _ = trained(theirs, 5, state)
    found, _ = trained(lambda groups: AdamW(groups, 0.01, 0.1), 5, state)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))
