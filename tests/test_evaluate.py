"""What `evaluate` writes of one model's predictions, and of both."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from stages.evaluate import ERRORS, agreement, measure
from taller.data.dataset import Dataset
from taller.program import files

NAMES = tuple("abcdefghij")


@pytest.fixture
def measured(tmp_path):
    random = np.random.default_rng(7)
    probabilities = random.dirichlet(np.full(10, 0.2), size=400)
    labels = np.where(
        random.random(400) < 0.8, probabilities.argmax(axis=1), random.integers(0, 10, 400)
    )
    images = random.integers(0, 256, (400, 3, 5, 6), dtype=np.uint8)
    scores = measure(tmp_path, Dataset(images, labels, NAMES), np.log(probabilities + 1e-300))
    return tmp_path, images, labels, probabilities, scores


def test_metrics(measured):
    folder, _, labels, probabilities, scores = measured
    assert list(scores) == ["accuracy", "precision", "recall", "f1", "log_loss", "ece", "top2"]
    assert files.read_json(folder / "test_metrics.json") == pytest.approx(scores, rel=1e-5)
    expected = sk.top_k_accuracy_score(labels, probabilities, k=2, labels=range(10))
    assert scores["top2"] == pytest.approx(expected)
    bins = pd.read_csv(folder / "test_calibration.csv")
    gap = (bins["hits"] / bins["images"] - bins["confidence"]).abs()
    assert scores["ece"] == pytest.approx(np.average(gap, weights=bins["images"]), abs=1e-6)


def test_per_class(measured):
    folder, _, labels, probabilities, _ = measured
    table = pd.read_csv(folder / "test_per_class.csv")
    assert list(table) == ["clase", "precision", "recall", "f1", "support"]
    assert list(table["clase"]) == list(NAMES)
    expected = sk.precision_recall_fscore_support(labels, probabilities.argmax(axis=1))
    np.testing.assert_allclose(table.drop(columns="clase").to_numpy().T, expected, atol=1e-6)


def test_the_errors_are_the_surest_ones(measured):
    folder, images, labels, probabilities, _ = measured
    sure, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    errors = np.load(folder / "test_errors.npz")
    assert len(errors["labels"]) == ERRORS
    assert (errors["labels"] != errors["predicted"]).all()
    wrong = np.sort(sure[predicted != labels])[::-1]
    np.testing.assert_allclose(errors["confidence"], wrong[:ERRORS])
    for image, label, said in zip(
        errors["images"], errors["labels"], errors["predicted"], strict=True
    ):
        (row,) = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
        assert (labels[row], predicted[row]) == (label, said)


def test_agreement():
    right = {
        "one": np.array([True, True, True, False, False, False]),
        "other": np.array([True, True, False, True, True, False]),
    }
    assert agreement(right, "one", "other") == {
        "first": "one", "second": "other",
        "both": 2, "only_first": 1, "only_second": 2, "neither": 1,
    }  # fmt: skip
