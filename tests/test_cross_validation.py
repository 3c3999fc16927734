"""Fits on folds, whose images they are not trained on, in repeats, on standardized inputs."""

from collections import OrderedDict
from functools import partial
from math import log

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from taller.data import idx
from taller.models.scaling import Scaling
from taller.models.simple_nn import SimpleNN
from taller.program import seeds
from taller.training import engine
from taller.training.adamw import AdamW
from taller.training.batches import Batches
from taller.training.cross_validation import cross_validate, joined
from taller.training.engine import Recipe

CPU = torch.device("cpu")
WORKSHOP = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))


def adam(network: nn.Module) -> AdamW:
    return AdamW(network.parameters(), 1e-3, weight_decay=0.0)


def recipe(epochs: int = 2) -> Recipe:
    return Recipe(partial(SimpleNN, classes=10, shape=(1, 28, 28)), adam, epochs)


validate = partial(cross_validate, batch_size=32, prepare=WORKSHOP, device=CPU)


@pytest.fixture(scope="module")
def digits(mnist_raw):
    """600 real images, labels, and three folds."""
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:600, np.newaxis]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte")[:600].astype(np.int64)
    return images, labels, np.arange(600) % 3


@pytest.fixture
def fits(monkeypatch):
    """Of every fit in this process: its seed, and the rows that it trains and validates on."""
    seen, fit = [], engine.fit

    def spied(recipe, data, *, seed, validation, **others):
        rows = None if validation is None else validation.rows.tolist()
        seen.append((seed, data.rows.tolist(), rows))
        return fit(recipe, data, seed=seed, validation=validation, **others)

    monkeypatch.setattr(engine, "fit", spied)
    return seen


def test_the_number_of_processes_changes_no_bit(digits):
    runs = []
    for jobs in (1, 2, 3):
        with joblib.parallel_config(n_jobs=jobs):
            runs.append(validate(recipe(), *digits, seed=1))
    for other in runs[1:]:
        assert other.history.equals(runs[0].history)
        assert other.scores.equals(runs[0].scores)
        assert all(torch.equal(other.state[key], value) for key, value in runs[0].state.items())


@pytest.mark.parametrize("repeat", [0, 1, 2])
def test_every_fold_has_its_own_seed_and_the_first_repeat_one_fit_on_all(digits, fits, repeat):
    outcome = validate(recipe(epochs=1), *digits, seed=5, repeat=repeat)
    of_folds = [
        (
            seeds.of_fit(5, repeat, fold),
            [row for row in range(600) if row % 3 != fold],
            [row for row in range(600) if row % 3 == fold],
        )
        for fold in range(3)
    ]
    of_all = [(seeds.of_fit(5), [*range(600)], None)] if repeat == 0 else []
    assert fits == of_all + of_folds
    assert bool(outcome.state) == (repeat == 0)
    assert outcome.trained_parameters == 109_386
    for table in (outcome.history, outcome.scores):
        assert set(table["repeat"]) == {repeat + 1} and set(table["fold"]) == {1, 2, 3}


def test_images_of_no_fold_never_validate_and_all_fits_train_on_them(digits, fits):
    images, labels, _ = digits
    folds = np.where(np.arange(600) < 100, 0, -1)  # as tools.tune asks
    outcome = validate(recipe(epochs=1), images, labels, folds, seed=5)
    assert [rows for _, *rows in fits] == [
        [[*range(600)], None],
        [[*range(100, 600)], [*range(100)]],
    ]
    assert (values(outcome, "train_images"), values(outcome, "val_images")) == ([500], [100])


def one_row_each() -> nn.Module:
    """A layer of one weight for each of 60 images, all 0, which only that image's steps move."""
    layer = nn.Linear(60, 2, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def test_nothing_of_an_image_reaches_the_fit_that_it_validates():
    inputs, folds = np.eye(60, dtype=np.float32), np.arange(60) % 4
    sgd = partial(torch.optim.SGD, lr=1.0)
    settings = Recipe(one_row_each, lambda layer: sgd(layer.parameters()), 1)
    outcome = cross_validate(
        settings, inputs, np.arange(60) // 4 % 2, folds,
        batch_size=7, seed=1, device=CPU,
    )  # fmt: skip
    assert outcome.state["weight"].any(dim=0).all()  # the fit on all images met each of them
    assert outcome.history["val_loss"].tolist() == [pytest.approx(log(2), rel=1e-12)] * 4


def linear(features: int, classes: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(fc=nn.Linear(features, classes)))


def on_features(rate: float, epochs: int, features: int = 12) -> Recipe:
    """A last layer, trained as `finetune` does."""
    return Recipe(
        lambda: linear(features, 3),
        lambda layer: torch.optim.AdamW(layer.parameters(), rate, weight_decay=0, fused=True),
        epochs,
        "one_cycle",
    )


@pytest.fixture(scope="module")
def features():
    """Of 600 images of three classes that overlap; their scales differ by some thousand times."""
    random = np.random.default_rng(0)
    labels, centres = random.integers(0, 3, 600), random.normal(0, 0.6, (3, 12))
    drawn = centres[labels] + random.normal(2, 1, (600, 12))
    inputs = (drawn * 10.0 ** np.linspace(-3, 0.5, 12)).astype(np.float32)
    return inputs, labels, np.arange(600) % 3


def test_each_fit_standardizes_by_its_own_training_images(features):
    inputs, labels, folds = features
    # What one fold has otherwise would change the mean and the spread of all by a lot.
    inputs = np.where((folds == 1)[:, None], 3 * inputs + 5, inputs).astype(np.float32)
    settings = on_features(0.03, epochs=2)
    found = cross_validate(
        settings, inputs, labels, folds, batch_size=32, standardize=True, seed=4, device=CPU
    )
    for fold in range(3):
        training, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        scaler = StandardScaler().fit(inputs[training].astype(np.float64))
        scaled = torch.from_numpy(scaler.transform(inputs.astype(np.float64)).astype(np.float32))
        batches = [
            Batches(scaled, torch.from_numpy(labels), torch.from_numpy(rows), size, CPU)
            for rows, size in ((training, 32), (held_out, 1000))
        ]
        seed = seeds.of_fit(4, fold=fold)
        expected = engine.fit(settings, batches[0], seed=seed, device=CPU, validation=batches[1])
        history = found.history.query("fold == @fold + 1")
        for name in ("train_loss", "val_loss"):
            losses = [row[name] for row in expected.history]
            np.testing.assert_allclose(history[name], losses, rtol=1e-3)


def loss_of(state: dict[str, torch.Tensor], inputs: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy of a linear layer on inputs as they are, in double precision."""
    weight, bias = (state[f"fc.{name}"].double().numpy() for name in ("weight", "bias"))
    logits = inputs.astype(np.float64) @ weight.T + bias
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(labels)), labels]
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen))


def test_the_last_layer_converges_where_features_are_standardized(features):
    inputs, labels, folds = features
    scaler = StandardScaler().fit(inputs.astype(np.float64))
    best = LogisticRegression(C=1e6, max_iter=10_000, tol=1e-8)
    best.fit(scaler.transform(inputs.astype(np.float64)), labels)
    weight = best.coef_ / scaler.scale_
    best = {"fc.weight": weight, "fc.bias": best.intercept_ - weight @ scaler.mean_}
    optimum = loss_of({key: torch.from_numpy(value) for key, value in best.items()}, inputs, labels)

    beyond = {}
    for standardize in (True, False):
        outcome = cross_validate(
            on_features(0.03, epochs=10), inputs, labels, folds,
            batch_size=16, standardize=standardize, seed=1, device=CPU,
        )  # fmt: skip
        # The layer that is stored takes raw inputs either way.
        beyond[standardize] = loss_of(outcome.raw_state("fc"), inputs, labels) - optimum
        assert (outcome.raw_state("fc") is outcome.state) == (not standardize)
    assert 0 < beyond[True] < 0.01
    assert beyond[False] > 0.1


def test_joined_repeats_have_all_scores_and_the_first_ones_weights(features):
    inputs, labels, folds = features
    first, second = parts = [
        cross_validate(
            on_features(0.03, epochs=2), inputs, labels, np.roll(folds, repeat),
            batch_size=64, standardize=True, seed=1, repeat=repeat, device=CPU,
        )
        for repeat in range(2)
    ]  # fmt: skip
    found = joined(parts)
    assert found.state is first.state and found.standardizer is first.standardizer
    assert (second.state, second.standardizer) == ({}, None)
    for name in ("history", "scores"):
        table, both = getattr(found, name), [getattr(one, name) for one in parts]
        assert len(table) == sum(map(len, both)) and table.index.is_unique
        for repeat, one in enumerate(both, start=1):
            part = table[table["repeat"] == repeat].reset_index(drop=True)
            pd.testing.assert_frame_equal(part, one)
    assert not np.array_equal(values(first, "log_loss"), values(second, "log_loss"))


def values(outcome, metric: str) -> list[float]:
    records = outcome.scores
    return records[records["metric"] == metric]["value"].tolist()


def test_scores_are_those_of_the_last_epoch(digits):
    outcome = validate(recipe(), *digits, seed=1)
    last = outcome.history[outcome.history["epoch"] == 2]
    np.testing.assert_allclose(values(outcome, "accuracy"), last["val_accuracy"])
    np.testing.assert_allclose(values(outcome, "log_loss"), last["val_loss"], rtol=1e-6)
    assert (values(outcome, "train_images"), values(outcome, "val_images")) == (
        [400] * 3,
        [200] * 3,
    )


def test_records_are_long_and_name_their_model(digits, tmp_path):
    outcome = validate(recipe(epochs=1), *digits, seed=1)
    outcome.save(tmp_path / "some_model")
    records = pd.read_csv(tmp_path / "some_model/scores.csv")
    assert list(records) == ["model", "repeat", "fold", "metric", "value"]
    assert set(records["model"]) == {"some_model"}
    wide = records.pivot(index=["repeat", "fold"], columns="metric", values="value")
    assert wide.shape == (3, 7) and wide.notna().all(axis=None)
    assert wide["accuracy"].tolist() == pytest.approx(values(outcome, "accuracy"), rel=1e-7)
