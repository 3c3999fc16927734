"""The engine against a plain loop, its batches and its seeds."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from taller.models.scaling import Scaling
from taller.models.simple_nn import SimpleNN
from taller.program import seeds
from taller.training import engine
from taller.training.batches import Batches
from taller.training.engine import Recipe

CPU = torch.device("cpu")
WORKSHOP = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))
network = partial(SimpleNN, classes=10, shape=(1, 28, 28))


def adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0, fused=True)


def recipe(epochs: int = 2) -> Recipe:
    return Recipe(network, adam, epochs)


@pytest.fixture(scope="module")
def digits(mnist_raw):
    """600 real images, and their labels."""
    from taller.data import idx

    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:600, np.newaxis]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte")[:600].astype(np.int64)
    return images, labels


def test_fit_is_the_workshops_loop(digits):
    images, labels = map(torch.from_numpy, digits)
    data = Batches(images, labels, torch.arange(600), 64, CPU, WORKSHOP)
    found = engine.fit(recipe(), data, seed=3, device=CPU, validation=data)

    torch.manual_seed(seeds.of_weights(3))
    plain = network()
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    for row in found.history:
        plain.train()
        losses = []
        torch.manual_seed(seeds.of_noise(3, row["epoch"]))
        pen = torch.Generator().manual_seed(seeds.of_order(3, row["epoch"]))
        for chosen in torch.randperm(600, generator=pen).split(64):
            x = (images[chosen].float() / 255 - 0.5) / 0.5
            loss = cross_entropy(plain(x), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item() * len(x))
        assert row["train_loss"] == pytest.approx(sum(losses) / 600, rel=1e-4)
    plain.eval()
    logits = plain((images.float() / 255 - 0.5) / 0.5)
    torch.testing.assert_close(found.logits, logits, rtol=1e-3, atol=1e-4)
    assert found.history[-1]["val_loss"] == pytest.approx(
        cross_entropy(logits, labels).item(), rel=1e-3
    )
    assert found.history[-1]["val_accuracy"] == pytest.approx(
        (logits.argmax(1) == labels).float().mean().item()
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 21, 22, 50])
def test_every_image_is_in_one_batch_and_no_batch_has_a_single_one(size):
    labels = torch.arange(22)
    data = Batches(labels, labels, labels, size, CPU)
    parts = [batch for _, batch in data.shuffled(0)]
    assert sorted(torch.cat(parts).tolist()) == list(range(22))
    assert len(parts) == len(data)
    assert size == 1 or min(map(len, parts)) > 1
    assert torch.equal(torch.cat(list(data.inputs_only())), labels)


def test_the_order_of_an_epoch_hangs_on_the_fits_seed_and_its_number_alone():
    labels = torch.arange(50)
    data = Batches(labels, labels, labels, 7, CPU)

    def order(seed, epoch):
        return torch.cat([part for part, _ in data.shuffled(seeds.of_order(seed, epoch))])

    second = order(1, 2)  # without the first having been drawn
    torch.manual_seed(99)
    order(1, 1)
    assert torch.equal(order(1, 2), second)
    assert not torch.equal(order(1, 1), second)
    assert not torch.equal(order(2, 2), second)


def test_no_two_fits_share_a_seed_whatever_the_runs_seed():
    drawn = [
        seeds.of_fit(seed, repeat, fold)
        for seed in range(40, 50)
        for repeat in range(3)
        for fold in [None, *range(10)]
    ] + [seeds.of_pretraining(seed, repeat) for seed in range(40, 50) for repeat in range(3)]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= seed < 2**63 for seed in drawn)
    splits = [
        of(seed)
        for seed in range(40, 50)
        for of in (*(partial(seeds.of_split, repeat=r) for r in range(3)), seeds.of_tuning)
    ]
    assert len(set(splits)) == len(splits)
    assert all(0 <= seed < 2**32 for seed in splits)
    # As NumPy's own generator of such trees has it.
    (child,) = np.random.SeedSequence(42).spawn(2)[1].spawn(1)
    assert seeds.of_fit(42, 1) == int(child.generate_state(1, np.uint64)[0] >> np.uint64(1))


def test_one_cycle_rises_to_the_rate_and_falls():
    rates = []

    def spying_adam(network):
        optimizer = adam(network)
        optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[0]["lr"]))
        return optimizer

    images = torch.zeros(64, 1, 28, 28, dtype=torch.uint8)
    labels = torch.zeros(64, dtype=torch.int64)
    settings = Recipe(network, spying_adam, epochs=5, schedule="one_cycle")
    data = Batches(images, labels, torch.arange(64), 8, CPU, WORKSHOP)
    engine.fit(settings, data, seed=0, device=CPU)
    assert len(rates) == 40
    assert max(rates) == pytest.approx(1e-3, rel=0.01)
    assert rates[0] < max(rates) / 5 and rates[-1] < max(rates) / 100
