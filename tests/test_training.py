"""The engine against a plain loop, and the independence of its results from the machine."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from taller.models.scaling import WORKSHOP
from taller.models.simple_nn import SimpleNN
from taller.training import engine
from taller.training.cross_validation import cross_validate
from taller.training.engine import Recipe

CPU = torch.device("cpu")


def adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0, fused=True)


def recipe(**changes) -> Recipe:
    settings = {"epochs": 2, "batch_size": 32, "prepare": WORKSHOP} | changes
    return Recipe(make_model=SimpleNN, make_optimizer=adam, **settings)


@pytest.fixture(scope="module")
def digits(mnist_raw):
    """600 real images, labels, and three folds."""
    from taller.data import idx

    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:600]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte")[:600].astype(np.int64)
    return images, labels, np.arange(600) % 3


def test_fit_is_the_workshops_loop(digits):
    images, labels = map(torch.from_numpy, digits[:2])
    rows = torch.arange(600)

    def batches():
        return engine.batches(images, labels, rows, 64, device=CPU, prepare=WORKSHOP)

    found = engine.fit(recipe(), batches, steps=10, seed=3, device=CPU, validation=batches)

    torch.manual_seed(3)
    network = SimpleNN()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for row in found.history:
        network.train()
        losses = []
        for start in range(0, 600, 64):
            x = (images[start : start + 64, None].float() / 255 - 0.5) / 0.5
            loss = cross_entropy(network(x), labels[start : start + 64])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item() * len(x))
        assert row["train_loss"] == pytest.approx(sum(losses) / 600, rel=1e-4)
    network.eval()
    logits = network((images[:, None].float() / 255 - 0.5) / 0.5)
    torch.testing.assert_close(found.logits, logits, rtol=1e-3, atol=1e-4)
    assert found.history[-1]["val_loss"] == pytest.approx(
        cross_entropy(logits, labels).item(), rel=1e-3
    )
    assert found.history[-1]["val_accuracy"] == pytest.approx(
        (logits.argmax(1) == labels).float().mean().item()
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
def test_every_image_is_in_one_batch_and_no_batch_has_a_single_one(size):
    labels = torch.arange(22)
    shuffle = torch.Generator().manual_seed(0)
    parts = [
        batch
        for _, batch in engine.batches(
            labels, labels, labels, size, device=CPU, prepare=engine.identity, generator=shuffle
        )
    ]
    assert sorted(torch.cat(parts).tolist()) == list(range(22))
    assert size == 1 or min(map(len, parts)) > 1


def test_one_cycle_rises_to_the_rate_and_falls():
    rates = []

    def spying_adam(network):
        optimizer = adam(network)
        optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
        return optimizer

    images, labels = torch.zeros(64, 28, 28, dtype=torch.uint8), torch.zeros(64, dtype=torch.int64)
    settings = Recipe(
        SimpleNN, spying_adam, epochs=5, batch_size=8, schedule="one_cycle", prepare=WORKSHOP
    )
    engine.fit(
        settings,
        lambda: engine.batches(images, labels, torch.arange(64), 8, device=CPU, prepare=WORKSHOP),
        steps=8, seed=0, device=CPU,
    )  # fmt: skip
    assert len(rates) == 40
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert rates[0] < max(rates) / 5 and rates[-1] < max(rates) / 100


def test_the_number_of_processes_changes_no_bit(digits):
    runs = [cross_validate(recipe(), *digits, seed=1, device=CPU, jobs=jobs) for jobs in (1, 2, 3)]
    for other in runs[1:]:
        assert other.history.equals(runs[0].history)
        assert other.scores.equals(runs[0].scores)
        assert all(torch.equal(other.state[key], value) for key, value in runs[0].state.items())


def test_folds_are_validated_on_what_they_were_not_trained_on(digits):
    images, _, folds = digits
    # Labels that nothing but memory can tell: whoever validates on training images does well.
    labels = np.random.default_rng(0).integers(0, 10, size=600)
    outcome = cross_validate(recipe(epochs=60), images, labels, folds, seed=1, device=CPU)
    assert outcome.history.groupby("fold")["train_accuracy"].max().min() > 0.5
    assert outcome.scores["accuracy"].max() < 0.25
    assert outcome.scores["val_images"].tolist() == [200] * 3
    assert outcome.scores["train_images"].tolist() == [400] * 3


def test_scores_are_those_of_the_last_epoch(digits):
    outcome = cross_validate(recipe(), *digits, seed=1, device=CPU)
    last = outcome.history[outcome.history["epoch"] == 2]
    np.testing.assert_allclose(outcome.scores["accuracy"], last["val_accuracy"])
    np.testing.assert_allclose(outcome.scores["log_loss"], last["val_loss"], rtol=1e-6)
