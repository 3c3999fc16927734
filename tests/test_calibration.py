"""Calibration against scikit-learn, simulation and a worked example."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from taller.evaluation import metrics


@pytest.fixture(params=[0.1, 1.0], ids=["sure", "unsure"])
def predictions(request):
    """Log probabilities, and labels that are often the most probable class."""
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(10, request.param), size=2000)
    others = random.integers(0, 10, 2000)
    labels = np.where(random.random(2000) < 0.6, probabilities.argmax(axis=1), others)
    return np.log(probabilities + 1e-300), labels


def test_reliability_and_its_error(predictions):
    log_probabilities, labels = predictions
    rows = metrics.reliability(log_probabilities, labels)
    right = log_probabilities.argmax(axis=1) == labels
    confidence = np.exp(log_probabilities).max(axis=1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=15, strategy="uniform")
    np.testing.assert_allclose(rows["hits"] / rows["images"], accuracy)
    np.testing.assert_allclose(rows["confidence"], mean)
    assert rows["images"].sum() == len(labels)
    assert rows["confidence"].between(rows["low"], rows["high"]).all()
    expected = np.average(np.abs(accuracy - mean), weights=rows["images"])
    assert metrics.expected_calibration_error(rows) == pytest.approx(expected)


@pytest.fixture(scope="module")
def simulated():
    """Probabilities of 3,000 images, and what their calibration error may be by chance."""
    probabilities = np.random.default_rng(1).dirichlet(np.full(5, 0.2), size=3000)
    # Certain ones, as those of most digits: they add images, and hardly any error.
    probabilities[:1000] = [0.996, 0.001, 0.001, 0.001, 0.001]
    log_probabilities = np.log(probabilities + 1e-12)
    return log_probabilities, metrics.calibrated_ece(log_probabilities)


def errors(log_probabilities, temperature: float, models: int) -> np.ndarray:
    """Of models whose true classes are drawn from their own, or tempered, probabilities."""
    random, values = np.random.default_rng(2), []
    true = np.exp(log_probabilities / temperature)
    true = (true / true.sum(axis=1, keepdims=True)).cumsum(axis=1)
    for _ in range(models):
        labels = (random.random((len(true), 1)) > true[:, :-1]).sum(axis=1)
        rows = metrics.reliability(log_probabilities, labels)
        values.append(metrics.expected_calibration_error(rows))
    return np.array(values)


def test_the_error_of_calibrated_models_is_as_simulated(simulated):
    log_probabilities, chance = simulated
    values = errors(log_probabilities, temperature=1, models=400)
    # 1,000 runs against 400 models: the standard error of the share is 0.013.
    assert 0.90 < (values < chance["high"]).mean() < 0.99
    assert values.mean() == pytest.approx(chance["mean"], rel=0.03)
    assert 0 < chance["mean"] < chance["high"] < 0.03
    assert metrics.calibrated_ece(log_probabilities) == chance  # by its seed


def test_a_model_that_is_too_sure_is_above_chance(simulated):
    log_probabilities, chance = simulated
    assert (errors(log_probabilities, temperature=1.3, models=50) > chance["high"]).all()


def test_surest_errors():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6], [0.99, 0.01]])
    labels = np.array([1, 0, 1, 0, 0])
    assert list(metrics.surest_errors(np.log(probabilities), labels, count=2)) == [0, 1]
    assert list(metrics.surest_errors(np.log(probabilities), labels, count=9)) == [0, 1, 3]
    assert len(metrics.surest_errors(np.log(probabilities[4:]), labels[4:], count=2)) == 0
