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


@pytest.fixture(scope="module")
def honest():
    """Probabilities of 3000 images, of every degree of sureness, and what their ECE may be."""
    random = np.random.default_rng(1)
    probabilities = random.dirichlet(np.full(5, 0.2), size=3000)
    # Certain ones, as those of most digits: they add images, and hardly any error.
    probabilities[:1000] = [0.996, 0.001, 0.001, 0.001, 0.001]
    log_probabilities = np.log(probabilities + 1e-12)
    return log_probabilities, confidence.calibrated_ece(log_probabilities)


def eces(log_probabilities, temperature: float, models: int = 2000) -> np.ndarray:
    """Errors of models whose true classes are drawn from their own, or tempered, probabilities."""
    random = np.random.default_rng(2)
    true = np.exp(log_probabilities / temperature)
    true = (true / true.sum(axis=1, keepdims=True)).cumsum(axis=1)
    found = []
    for _ in range(models):
        labels = (random.random((len(true), 1)) > true[:, :-1]).sum(axis=1)
        rows = confidence.reliability(log_probabilities, labels)
        found.append(confidence.expected_calibration_error(rows))
    return np.array(found)


def test_a_calibrated_models_error_is_as_the_simulations_say(honest):
    log_probabilities, expected = honest
    found = eces(log_probabilities, temperature=1)
    # 1000 runs against 2000 models: the standard error of the share is below 0.01.
    assert 0.92 < (found < expected["high"]).mean() < 0.98
    assert found.mean() == pytest.approx(expected["mean"], rel=0.02)
    assert 0 < expected["mean"] < expected["high"] < 0.03


def test_a_model_that_is_too_sure_is_above_it(honest):
    log_probabilities, expected = honest
    assert (eces(log_probabilities, temperature=1.3, models=50) > expected["high"]).all()


def test_more_images_leave_less_to_chance(honest):
    log_probabilities, expected = honest
    four = confidence.calibrated_ece(np.tile(log_probabilities, (4, 1)))
    assert four["mean"] == pytest.approx(expected["mean"] / 2, rel=0.05)


def test_simulations_are_the_seeds(honest):
    log_probabilities, expected = honest
    assert confidence.calibrated_ece(log_probabilities) == expected
    assert confidence.calibrated_ece(log_probabilities, seed=1) != expected


def test_the_certain_cannot_err():
    found = confidence.calibrated_ece(np.log([[1.0, 1e-300]] * 9))
    assert found == {"mean": 0, "high": 0}


def test_surest_errors():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.99, 0.01]])
    labels = np.array([1, 0, 1, 0, 0])
    found = confidence.surest_errors(np.log(probabilities), labels, count=2)
    assert list(found) == [0, 1]
    assert list(confidence.surest_errors(np.log(probabilities), labels, count=9)) == [0, 1, 3]
    assert len(confidence.surest_errors(np.log(probabilities[4:]), labels[4:], count=2)) == 0
