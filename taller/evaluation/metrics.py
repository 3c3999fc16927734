"""Metrics from a table of counts; each is divided once, at the end."""

import numpy as np


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count the images of each true class that were taken for each class.

    Parameters
    ----------
    labels, predicted : ndarray of int, shape (n,)
        Classes from 0 to ``classes - 1``.

    Returns
    -------
    ndarray of int64, shape (classes, classes)
        Rows are the truth, columns the prediction.
    """
    pairs = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return pairs.reshape(classes, classes)


def per_class(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and support of every class.

    A class that is never predicted has precision 0, one that never occurs recall 0
    (scikit-learn's ``zero_division=0``).

    Parameters
    ----------
    counts : ndarray of int, shape (classes, classes)
        From `confusion`.

    Returns
    -------
    dict of ndarray, shape (classes,)
        ``precision``, ``recall`` and ``f1`` in [0, 1]; ``support`` in images.
    """
    hits = np.diag(counts)
    support, predicted = counts.sum(axis=1), counts.sum(axis=0)
    return {
        "precision": hits / np.maximum(predicted, 1),
        "recall": hits / np.maximum(support, 1),
        "f1": 2 * hits / np.maximum(support + predicted, 1),
        "support": support,
    }


def scores(counts: np.ndarray) -> dict[str, float]:
    """Accuracy, and the macro averages of the others: every class that occurs weighs the same.

    Of a class that does not occur nothing can be recalled; its 0 would lower a faultless network.

    Returns
    -------
    dict of float
        ``accuracy``, ``precision``, ``recall``, ``f1`` and ``balanced_accuracy``, the mean recall
        by another name; fractions in [0, 1].
    """
    classes, there = per_class(counts), counts.sum(axis=1) > 0
    means = {name: float(classes[name][there].mean()) for name in ("precision", "recall", "f1")}
    accuracy = float(np.trace(counts) / counts.sum())
    return {"accuracy": accuracy, **means, "balanced_accuracy": means["recall"]}


def log_loss(log_probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log probability of the true class, in nats.

    Logarithms come in, not probabilities: a float32 probability of a class that the network
    rules out is 0, and its logarithm infinite.

    Parameters
    ----------
    log_probabilities : ndarray of float, shape (n, classes)
    labels : ndarray of int, shape (n,)
    """
    return float(-log_probabilities[np.arange(len(labels)), labels].mean(dtype=np.float64))


def agreement(first: np.ndarray, second: np.ndarray) -> dict[str, int]:
    """Count the images that both of two models answer rightly, one of them, or neither.

    Parameters
    ----------
    first, second : ndarray of bool, shape (n,)
        Whether each answer of a model is right.
    """
    counts = np.bincount(2 * first + second, minlength=4).tolist()
    neither, only_second, only_first, both = counts
    return {"both": both, "only_first": only_first, "only_second": only_second, "neither": neither}
