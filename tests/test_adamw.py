"""AdamW against PyTorch's own, bit by bit."""

import copy
import subprocess
import sys

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
        network.zero_grad()
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
    groups = state["optimizer"]["groups"]
    assert [group["step"] for group in groups] == [[20], [20]]
    for name, its in [("means", "exp_avg"), ("squares", "exp_avg_sq")]:
        found = [one for group in groups for one in group[name]]
        wanted = [of_one[its] for of_one in expected["optimizer"]["state"].values()]
        assert len(found) == 4
        assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


def test_it_goes_on_from_its_state():
    def ours(groups):
        return AdamW(groups, 0.01, 0.1)

    _, state = trained(ours, 5)
    expected, _ = trained(ours, 5, state)
    fresh, _ = trained(ours, 5, state | {"optimizer": trained(ours, 0)[1]["optimizer"]})
    theirs = trained(lambda groups: torch.optim.AdamW(groups, 0.01, weight_decay=0.1), 5)[1]
    again, _ = trained(lambda groups: torch.optim.AdamW(groups, 0.01, weight_decay=0.1), 5, theirs)
    assert all(torch.allclose(*pair) for pair in zip(expected, again, strict=True))
    assert not all(torch.allclose(*pair) for pair in zip(fresh, again, strict=True))


def test_to_train_with_it_imports_no_compiler():
    code = """
import sys, torch
from taller.training.adamw import AdamW
layer = torch.nn.Linear(2, 1)
optimizer = AdamW(layer.parameters(), 0.1, 0.0)
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
print("torch._dynamo" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert run.stdout == b"False\n"
