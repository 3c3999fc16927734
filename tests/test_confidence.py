"""Second guesses and calibration against scikit-learn, and a worked example."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import top_k_accuracy_score

from taller.scores import confidence


@pytest.fixture(params=[0.1, 1.0])
def predictions(request):
    """Log probabilities, sure or not, and labels that are often the most probable class."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(10, request.param), size=2000)
    labels = np.where(
        random.random(2000) < 0.6, probabilities.argmax(axis=1), random.integers(0, 10, 2000)
    )
    return np.log(probabilities + 1e-300), labels


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_accuracy(predictions, k):
    expected = top_k_accuracy_score(predictions[1], predictions[0], k=k, labels=range(10))
    assert confidence.top_accuracy(*predictions, k) == pytest.approx(expected)


def test_reliability(predictions):
    log_probabilities, labels = predictions
    rows = confidence.reliability(log_probabilities, labels)
    hits = log_probabilities.argmax(axis=1) == labels
    sure = np.exp(log_probabilities).max(axis=1)
    accuracy, mean = calibration_curve(hits, sure, n_bins=15, strategy="uniform")
    np.testing.assert_allclose(rows["hits"] / rows["images"], accuracy)
    np.testing.assert_allclose(rows["confidence"], mean)
    assert rows["images"].sum() == len(labels)
    assert (rows["confidence"] > rows["low"]).all()
    assert (rows["confidence"] <= rows["high"]).all()


def test_calibration_error_from_its_definition(predictions):
    log_probabilities, labels = predictions
    sure = np.exp(log_probabilities).max(axis=1)
    hits = log_probabilities.argmax(axis=1) == labels
    expected = 0
    for m in range(1, 16):
        bin = (sure > (m - 1) / 15) & (sure <= m / 15)
        if bin.any():
            expected += bin.sum() / len(sure) * abs(hits[bin].mean() - sure[bin].mean())
    rows = confidence.reliability(log_probabilities, labels)
    assert confidence.expected_calibration_error(rows) == pytest.approx(expected)


def test_calibration_error_worked_by_hand():
    # Ten images at 0.9, eight right; ten at 0.6, six right: (10 * 0.1 + 10 * 0.0) / 20.
    rows = pd.DataFrame({"images": [10, 10], "hits": [8, 6], "confidence": [0.9, 0.6]})
    assert confidence.expected_calibration_error(rows) == pytest.approx(0.05)


def test_an_edge_belongs_to_the_bin_below():
    rows = confidence.reliability(np.log([[0.5, 0.5]]), np.array([0]), bins=2)
    assert list(rows["high"]) == [0.5]


def test_certainty_itself_has_a_bin():
    rows = confidence.reliability(np.log([[1.0, 1e-300]]), np.array([0]))
    assert list(rows["images"]) == [1]
    assert rows["high"][0] == 1


def test_surest_errors():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.99, 0.01]])
    labels = np.array([1, 0, 1, 0, 0])
    found = confidence.surest_errors(np.log(probabilities), labels, count=2)
    assert list(found) == [0, 1]
    assert list(confidence.surest_errors(np.log(probabilities), labels, count=9)) == [0, 1, 3]
    assert len(confidence.surest_errors(np.log(probabilities[4:]), labels[4:], count=2)) == 0
