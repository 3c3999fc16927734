"""Metrics against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from taller.scores import metrics


@pytest.fixture(params=range(4))
def predictions(request):
    """Random labels and predictions; in some, classes that never occur or are never predicted."""
    random = np.random.default_rng(request.param)
    labels = random.integers(0, 10 - request.param, size=300)
    predicted = np.where(
        random.random(300) < 0.7, labels, random.integers(request.param, 10, size=300)
    )
    return labels, predicted


def test_confusion(predictions):
    expected = sk.confusion_matrix(*predictions, labels=range(10))
    np.testing.assert_array_equal(metrics.confusion(*predictions, classes=10), expected)


def test_per_class(predictions):
    found = metrics.per_class(metrics.confusion(*predictions, classes=10))
    expected = sk.precision_recall_fscore_support(*predictions, labels=range(10), zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        np.testing.assert_allclose(found[name], values, err_msg=name)


def test_macro_scores(predictions):
    found = metrics.scores(metrics.confusion(*predictions, classes=10))
    options = {"labels": range(10), "average": "macro", "zero_division": 0}
    assert found == pytest.approx(
        {
            "accuracy": sk.accuracy_score(*predictions),
            "precision": sk.precision_score(*predictions, **options),
            "recall": sk.recall_score(*predictions, **options),
            "f1": sk.f1_score(*predictions, **options),
        }
    )


def test_log_loss():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(10), size=200)
    labels = random.integers(0, 10, size=200)
    expected = sk.log_loss(labels, probabilities, labels=range(10))
    assert metrics.log_loss(np.log(probabilities), labels) == pytest.approx(expected)
