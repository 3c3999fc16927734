"""The course of the learning rate against PyTorch's."""

import warnings

import pytest
import torch

from taller.training import schedules


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 10, 11, 600, 7500])
def test_one_cycle_is_pytorchs(steps):
    peak = 0.003
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak, total_steps=steps, cycle_momentum=False
    )
    expected = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no step was taken
        for step in range(steps):
            expected.append(optimizer.param_groups[0]["lr"])
            if step < steps - 1:
                scheduler.step()
    found = [peak * share for share in schedules.shares("one_cycle", steps)]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
def test_there_is_a_share_for_every_step(schedule, steps):
    found = schedules.shares(schedule, steps)
    assert len(found) == steps
    assert all(0 < share <= 1 for share in found)
    assert schedule != "constant" or found == [1.0] * steps
