"""Fits on folds, whose images they are not trained on, in repeats, on standardized inputs."""

from collections import OrderedDict
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)
from sklearn.preprocessing import StandardScaler
from torch import nn

from taller.common import numerics
from taller.networks.simple_nn import SimpleNN
from taller.training import engine
from taller.training.batches import Scaling
from taller.training.cross_validation import Training, cross_validate, join
from taller.training.engine import TrainingConfig

CPU = torch.device("cpu")
CONFIG = TrainingConfig(
    learning_rate=0.001, weight_decay=0.0, schedule="constant", batch_size=32, epochs=2,
    min_steps=0, augment="none", label_smoothing=0.0, class_weights="none",
)  # fmt: skip
ONCE = CONFIG.model_copy(update={"epochs": 1})
build = partial(SimpleNN, classes=10, shape=(1, 28, 28))
TRAINING = Training(CONFIG, build, 5, CPU, prepare=Scaling((0.5,), (0.5,), (28, 28)))
FOLDS = np.arange(600) % 3


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")


@pytest.fixture
def fits(monkeypatch):
    """Of every fit in this process: its seed, and the rows that it trains and validates on."""
    seen, fit = [], engine.fit

    def spied(build, make_optimizer, data, *, seed, validation, **others):
        rows = None if validation is None else validation.rows.tolist()
        seen.append((seed, data[0].rows.tolist(), rows))
        return fit(build, make_optimizer, data, seed=seed, validation=validation, **others)

    monkeypatch.setattr(engine, "fit", spied)
    return seen


def test_the_number_of_processes_changes_no_bit(digits, tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", digits.images)
    images, runs = np.load(tmp_path / "images.npy", mmap_mode="r"), []
    for count in ("1", "2"):
        monkeypatch.setenv("LOKY_MAX_CPU_COUNT", count)
        runs.append(cross_validate(TRAINING, images, digits.labels, FOLDS))
    one, two = runs
    assert (one.history, one.scores) == (two.history, two.scores)
    assert all(torch.equal(two.state[name], weights) for name, weights in one.state.items())


@pytest.mark.parametrize("repeat", [0, 2])
def test_every_fold_has_its_own_seed_and_the_first_repeat_one_fit_on_all(digits, fits, repeat):
    training = replace(TRAINING, config=ONCE)
    folds = np.where(np.arange(600) < 100, -1, FOLDS)  # images of no fold never validate
    outcome = cross_validate(training, digits.images, digits.labels, folds, repeat=repeat)
    of_folds = [
        (
            numerics.fit_seed(5, repeat, fold),
            [row for row in range(600) if row < 100 or row % 3 != fold],
            [row for row in range(100, 600) if row % 3 == fold],
        )
        for fold in range(3)
    ]
    of_all = [(numerics.fit_seed(5), [*range(600)], None)] if repeat == 0 else []
    assert fits == of_all + of_folds
    assert bool(outcome.state) == (repeat == 0)
    assert outcome.trained_parameters == 109_386
    places = {(row["repeat"], row["fold"]) for row in outcome.history + outcome.scores}
    assert places == {(repeat + 1, fold) for fold in (1, 2, 3)}


@pytest.fixture(scope="module")
def features():
    """Of 600 images of three classes that overlap; their scales differ by some thousand times."""
    random = np.random.default_rng(0)
    labels, centres = random.integers(0, 3, 600), random.normal(0, 0.6, (3, 12))
    drawn = centres[labels] + random.normal(2, 1, (600, 12))
    return (drawn * 10.0 ** np.linspace(-3, 0.5, 12)).astype(np.float32), labels


def last_layer() -> nn.Sequential:
    return nn.Sequential(OrderedDict(fc=nn.Linear(12, 3)))


def test_the_last_layer_converges_where_features_are_standardized(features):
    inputs, labels = features
    scaler = StandardScaler().fit(inputs.astype(np.float64))
    best = LogisticRegression(C=1e6, max_iter=10_000, tol=1e-8)
    best.fit(scaler.transform(inputs.astype(np.float64)), labels)
    optimum = log_loss(labels, best.predict_proba(scaler.transform(inputs.astype(np.float64))))
    beyond, changes = {}, {"schedule": "one_cycle", "epochs": 10, "batch_size": 16}
    config = CONFIG.model_copy(update={"learning_rate": 0.03, **changes})
    for standardize in ("fc", ""):
        training = Training(config, last_layer, 4, CPU, standardize=standardize)
        state = cross_validate(training, inputs, labels, FOLDS).state
        # The layer that is stored takes raw inputs either way.
        logits = torch.from_numpy(inputs).double() @ state["fc.weight"].double().T
        chances = (logits + state["fc.bias"].double()).softmax(1)
        beyond[standardize] = log_loss(labels, chances.numpy()) - optimum
    assert 0 < beyond["fc"] < 0.02
    assert beyond[""] > 0.1


def test_scores_are_scikit_learns_of_the_last_epoch(digits, monkeypatch, tmp_path):
    fits, fit = [], engine.fit
    monkeypatch.setattr(engine, "fit", lambda *a, **b: fits.append(fit(*a, **b)) or fits[-1])
    outcome = cross_validate(TRAINING, digits.images, digits.labels, FOLDS, repeat=1)
    for fold, one in enumerate(fits):
        truth, predicted = digits.labels[fold == FOLDS], one.logits.argmax(1).numpy()
        macro = {"average": "macro", "zero_division": 0}
        largest = np.bincount(digits.labels[fold != FOLDS]).argmax()
        expected = {
            "accuracy": float((truth == predicted).mean()),
            "precision": precision_score(truth, predicted, **macro),
            "recall": recall_score(truth, predicted, **macro),
            "f1": f1_score(truth, predicted, **macro),
            "log_loss": log_loss(truth, one.logits.double().softmax(1).numpy()),
            "balanced_accuracy": balanced_accuracy_score(truth, predicted),
            "largest_class": float((truth == largest).mean()), "largest_class_balanced": 0.1,
            "train_images": 400, "val_images": 200,
        }  # fmt: skip
        scores = {row["metric"]: row["value"] for row in outcome.scores if row["fold"] == fold + 1}
        assert scores == pytest.approx(expected, rel=1e-9)
        assert scores["log_loss"] == pytest.approx(one.history[-1]["val_loss"], rel=1e-6)
    both = join([cross_validate(TRAINING, digits.images, digits.labels, FOLDS), outcome])
    assert len(both.scores) == 2 * len(outcome.scores) and both.state and not outcome.state
    outcome.save(tmp_path)
    assert list(pd.read_csv(tmp_path / "scores.csv")) == ["repeat", "fold", "metric", "value"]
    history = pd.read_csv(tmp_path / "history.csv")
    assert history.groupby("fold")["epoch"].apply(list).tolist() == [[1, 2]] * 3


def test_settings_are_chosen_inside_the_training_images_of_a_fold(digits, fits):
    decays, config = (1.0, 0.0), ONCE.model_copy(update={"learning_rate": 0.1})
    options = [config.model_copy(update={"weight_decay": one}) for one in decays]
    training = replace(TRAINING, config=options[1], options=options, image_groups=digits.groups)
    outcome = cross_validate(training, digits.images, digits.labels, FOLDS, repeat=1, limit=2)
    assert [row["fold"] for row in outcome.scores if row["metric"] == "accuracy"] == [1, 2]
    made = [*fits]
    for fold, chosen in enumerate(outcome.chosen):
        *inner, (_, rows, _) = made[3 * fold : 3 * fold + 3]
        assert {*rows} == {*np.flatnonzero(fold != FOLDS).tolist()}
        for _, training_rows, validation_rows in inner:
            # None of the fold's, each once, about a fifth, and no writer on both sides.
            assert sorted(training_rows + validation_rows) == rows
            assert 40 < len(validation_rows) < 120
            writers = [{*digits.groups[part].tolist()} for part in (training_rows, validation_rows)]
            assert not writers[0] & writers[1]
        losses = []
        for option in options:
            folds = np.where(np.isin(np.arange(600), inner[0][1]), -1, -2)
            folds[inner[0][2]] = 0
            alone = replace(TRAINING, config=option)
            one = cross_validate(alone, digits.images, digits.labels, folds, repeat=1)
            losses += [row["value"] for row in one.scores if row["metric"] == "log_loss"]
        assert chosen == {
            "repeat": 2, "fold": fold + 1, "weight_decay": decays[int(np.argmin(losses))],
            "epochs": 1, "fixed": False,
        }  # fmt: skip


def test_fits_on_some_images_draw_them_by_class_outside_the_fold(digits, fits):
    training = replace(TRAINING, images=100, every_epoch=False)
    outcome = cross_validate(training, digits.images, digits.labels, FOLDS)
    for fold, (_, rows, validates) in enumerate(fits):  # and none on all images
        assert len({*rows}) == 100 and not {*rows} & {*validates}
        assert validates == np.flatnonzero(fold == FOLDS).tolist()
        shares = np.bincount(digits.labels[fold != FOLDS]) / 4
        assert np.abs(np.bincount(digits.labels[rows]) - shares).max() < 1
    assert [("val_loss" in row) for row in outcome.history] == [False, True] * 3
    assert len({tuple(rows) for _, rows, _ in fits}) == 3 and not outcome.state


def test_too_few_images_take_the_setting_in_the_middle(digits, fits):
    options = [ONCE.model_copy(update={"weight_decay": one}) for one in (0.3, 0.2, 0.1)]
    training, few = replace(TRAINING, config=options[1], options=options), slice(499)
    outcome = cross_validate(training, digits.images[few], digits.labels[few], FOLDS[few], repeat=1)
    assert len(fits) == 3  # and none inside
    assert [(row["weight_decay"], row["fixed"]) for row in outcome.chosen] == [(0.2, True)] * 3
