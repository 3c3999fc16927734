"""Metrics against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from taller.evaluation import metrics


@pytest.fixture(params=[0, 3])
def predictions(request):
    """Labels and predictions; of the second, some classes never occur or are never predicted."""
    random = np.random.default_rng(request.param)
    labels = random.integers(0, 10 - request.param, size=300)
    others = random.integers(request.param, 10, size=300)
    return labels, np.where(random.random(300) < 0.7, labels, others)


def test_per_class_to_the_bit(predictions):
    classes = metrics.per_class(metrics.confusion(*predictions, classes=10))
    expected = sk.precision_recall_fscore_support(*predictions, labels=range(10), zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        np.testing.assert_array_equal(classes[name], values, err_msg=name)


def test_macro_scores(predictions):
    scores = metrics.scores(metrics.confusion(*predictions, classes=10))
    options = {"labels": np.unique(predictions[0]), "average": "macro", "zero_division": 0}
    assert scores == pytest.approx(
        {
            "accuracy": sk.accuracy_score(*predictions),
            "precision": sk.precision_score(*predictions, **options),
            "recall": sk.recall_score(*predictions, **options),
            "f1": sk.f1_score(*predictions, **options),
            "balanced_accuracy": sk.balanced_accuracy_score(*predictions),
        }
    )
