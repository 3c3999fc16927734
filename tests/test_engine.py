"""The engine against a plain loop; and a fit that was interrupted against one that was not."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn.functional import cross_entropy

from taller.common import numerics
from taller.common.terminal import UserError
from taller.networks.simple_nn import SimpleNN
from taller.training import engine
from taller.training.batches import Batches, Scaling
from taller.training.engine import TrainingConfig

CPU = torch.device("cpu")
WORKSHOP = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))
CONFIG = TrainingConfig(
    learning_rate=0.003, weight_decay=0.1, schedule="one_cycle", batch_size=64, epochs=2,
    min_steps=0, augment="none", label_smoothing=0.0, class_weights="none",
)  # fmt: skip
network = partial(SimpleNN, classes=10, shape=(1, 28, 28))


def adamw(model: nn.Module) -> torch.optim.Optimizer:
    return CONFIG.optimizer(model.parameters())


@pytest.mark.parametrize(
    ("schedule", "smoothing", "weights"),
    [("constant", 0.0, "none"), ("one_cycle", 0.1, "balanced")],
)
def test_fit_is_a_plain_loop(digits, schedule, smoothing, weights):
    images, labels = torch.from_numpy(digits.images), torch.tensor(digits.labels)
    labels[labels == 9] = 8  # so that one class has more than the others
    data = Batches(images, labels, torch.arange(600), 64, CPU, WORKSHOP)
    of_classes = CONFIG.model_copy(update={"class_weights": weights}).weights(labels, 10)
    fit = engine.fit(
        network, adamw, [data] * 2, schedule=schedule, seed=3, device=CPU,
        label_smoothing=smoothing, class_weights=of_classes, validation=data,
    )  # fmt: skip
    expected = None
    if weights == "balanced":
        present = compute_class_weight("balanced", classes=np.arange(9), y=labels.numpy())
        # scikit-learn counts the classes that are there, of which the ninth is none.
        expected = torch.tensor([*present * 9 / 10, 60.0]).float()

    torch.manual_seed(numerics.weights_seed(3))
    plain = network()
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.003, weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.003, total_steps=20, cycle_momentum=False
    )
    for row in fit.history:
        plain.train()
        losses, counts = [], []
        torch.manual_seed(numerics.noise_seed(3, row["epoch"]))
        pen = torch.Generator().manual_seed(numerics.order_seed(3, row["epoch"]))
        for chosen in torch.randperm(600, generator=pen).split(64):
            if schedule == "constant":
                optimizer.param_groups[0]["lr"] = 0.003
            inputs = (images[chosen].float() / 255 - 0.5) / 0.5
            part = labels[chosen]
            loss = cross_entropy(plain(inputs), part, expected, label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            counts.append(len(part) if expected is None else expected[part].sum().item())
            losses.append(loss.item() * counts[-1])
        assert row["train_loss"] == pytest.approx(sum(losses) / sum(counts), rel=1e-4)
    plain.eval()
    logits = plain((images.float() / 255 - 0.5) / 0.5)
    torch.testing.assert_close(fit.logits, logits, rtol=1e-3, atol=1e-3)
    last = fit.history[-1]
    assert last["val_loss"] == pytest.approx(cross_entropy(logits, labels).item(), rel=1e-3)
    assert last["val_accuracy"] == (fit.logits.argmax(1) == labels).double().mean()


def small() -> nn.Sequential:
    """All that has a state: weights of four dimensions, statistics, dropout."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3)
    )


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, fused=True)


class Interrupted(Exception):
    """What a kill is to a process."""


class Memory:
    """A checkpoint that interrupts the fit after some epochs."""

    def __init__(self) -> None:
        self.reached, self.stop = None, 0

    def load(self) -> dict | None:
        return self.reached

    def save(self, reached: dict) -> None:
        self.reached = copy.deepcopy(reached)
        if len(reached["history"]) == self.stop:
            raise Interrupted


@pytest.mark.parametrize("optimizer", [sgd, adamw])
@pytest.mark.parametrize("schedule", ["constant", "one_cycle"])
@pytest.mark.parametrize("stops", [[1, 2], [4]], ids=str)
def test_an_interrupted_fit_ends_in_the_bits_of_an_undisturbed_one(optimizer, schedule, stops):
    pen = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(90, 2, 6, 6, generator=pen), torch.arange(90) % 3
    train = Batches(inputs, labels, torch.arange(60), 16, CPU)
    # Each epoch has images of its own, as letters are.
    data = [replace(train, rows=torch.arange(start, 60)) for start in (0, 10, 20, 37)]
    settings = {"validation": replace(train, rows=torch.arange(60, 90)), "seed": 7, "device": CPU}
    fit = partial(engine.fit, small, optimizer, data, schedule=schedule, **settings)

    memory, rows = Memory(), []
    for memory.stop in stops:
        with pytest.raises(Interrupted):
            fit(checkpoint=memory)
    memory.stop = 0
    resumed, expected = fit(checkpoint=memory, on_epochs=rows.append), fit()
    assert resumed.history == expected.history and torch.equal(resumed.logits, expected.logits)
    state = expected.model.state_dict()
    for name, weights in resumed.model.state_dict().items():
        assert torch.equal(weights, state[name]), name
    new = [[row["epoch"] for row in part] for part in rows]
    before = [*range(1, stops[-1] + 1)]
    assert new == [before, *([epoch] for epoch in range(stops[-1] + 1, 5))]  # none is trained twice


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_one_line():
    assert engine.choose_device("auto") == engine.choose_device("cpu") == CPU
    with pytest.raises(UserError, match=r"^params\.yaml: device: expected cpu or auto"):
        engine.choose_device("cuda")
