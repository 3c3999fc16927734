"""How good answers are: metrics from counts, how far probabilities can be trusted, and votes.

What is counted is divided once, at the end.
"""

import numpy as np
import pandas as pd

BINS = 15


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


def top_accuracy(log_probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of the images whose true class is among the `k` most probable.

    Parameters
    ----------
    log_probabilities : ndarray of float, shape (n, classes)
    labels : ndarray of int, shape (n,)
    """
    true = np.take_along_axis(log_probabilities, labels[:, None], axis=1)
    return float(((log_probabilities > true).sum(axis=1) < k).mean())


def reliability(
    log_probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> pd.DataFrame:
    """Compare how sure the model is with how often it is right.

    The probability of the chosen class, the confidence, puts an image into one of `bins`
    intervals ``(low, high]`` of equal width.

    Returns
    -------
    DataFrame
        A row per bin that has images, by ascending confidence: ``low``, ``high``, ``images``
        and ``hits`` (counts) and ``confidence`` (mean, a fraction).

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural Networks",
    ICML 2017 (PMLR 70, 1321-1330), section 2: the bins, acc(B) and conf(B).
    """
    confidence, place = _binned(log_probabilities, bins)
    edges, images = np.linspace(0, 1, bins + 1), np.bincount(place, minlength=bins)
    right = log_probabilities.argmax(axis=1) == labels
    rows = pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "images": images,
            "hits": np.bincount(place[right], minlength=bins),
            "confidence": np.bincount(place, confidence, minlength=bins) / np.maximum(images, 1),
        }
    )
    return rows[images > 0].reset_index(drop=True)


def expected_calibration_error(rows: pd.DataFrame) -> float:
    """Mean distance of accuracy and confidence over the rows of `reliability`, a fraction.

    ``ECE = sum over bins B of |B| / n * |acc(B) - conf(B)|``: Guo et al. (2017), equation 3.
    """
    gaps = (rows["hits"] - rows["images"] * rows["confidence"]).abs()
    return float(gaps.sum() / rows["images"].sum())


def calibrated_ece(
    log_probabilities: np.ndarray, *, bins: int = BINS, runs: int = 1000, seed: int = 0
) -> dict[str, float]:
    """Simulate the expected calibration error of a perfectly calibrated model.

    The error is a mean of absolute values: on finitely many images it is never 0, however well
    calibrated the model. Each run draws for every image whether the answer is right, with the
    model's confidence as the probability, and measures the error in the same bins.

    Returns
    -------
    dict of float
        ``mean`` and ``high`` (the 95th percentile) of the runs, fractions: an error above
        ``high`` is more than chance.

    References
    ----------
    J. Bröcker and L. A. Smith, "Increasing the Reliability of Reliability Diagrams", Weather
    and Forecasting 22 (2007), 651-661, resample in this way under perfect reliability.
    """
    confidence, place = _binned(log_probabilities, bins)
    expected = np.bincount(place, confidence, minlength=bins)
    random = np.random.default_rng(seed)
    errors = np.empty(runs)
    for run in range(runs):
        right = random.random(len(confidence)) < confidence
        hits = np.bincount(place[right], minlength=bins)
        errors[run] = np.abs(hits - expected).sum() / len(confidence)
    return {"mean": float(errors.mean()), "high": float(np.quantile(errors, 0.95))}


def surest_errors(log_probabilities: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """List the wrong answers of most confidence: rows, int, at most `count`, the surest first."""
    wrong = np.flatnonzero(log_probabilities.argmax(axis=1) != labels)
    order = np.argsort(-log_probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:count]]


def _binned(log_probabilities: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each image, and the bin ``(low, high]`` that it falls into."""
    confidence = np.exp(log_probabilities.max(axis=1).astype(np.float64))
    edges = np.linspace(0, 1, bins + 1)
    return confidence, np.searchsorted(edges[1:-1], confidence)


def vote(logits: np.ndarray, labels: np.ndarray, trains: np.ndarray) -> np.ndarray:
    """Name each image by the output that it fires: int64, shape (n,).

    An output stands for the class that it fires on most among the training images (of equal ones
    the first); one that is the largest for none of them takes no part.

    Parameters
    ----------
    logits : ndarray of float32, shape (n, outputs)
    labels : ndarray of int64, shape (n,)
        Read where an image trains.
    trains : ndarray of bool, shape (n,)
    """
    table = np.zeros((int(labels.max()) + 1, logits.shape[1]), np.int64)
    np.add.at(table, (labels[trains], logits[trains].argmax(axis=1)), 1)
    voters = np.flatnonzero(table.any(axis=0))
    return table.argmax(axis=0)[voters[logits[:, voters].argmax(axis=1)]]


def vote_scores(
    logits: np.ndarray, labels: np.ndarray, folds: np.ndarray, limit: int | None, repeat: int
) -> list[dict]:
    """Rows of scores.csv: ``imagenet_votes`` (accuracy) and ``imagenet_votes_balanced`` of folds.

    `folds`, `limit` and `repeat` (from 0) are as `cross_validate` takes them.
    """
    rows = []
    for fold in [*range(int(folds.max()) + 1)][:limit]:
        validates = folds == fold
        predicted = vote(logits, labels, ~validates)[validates]
        counts = confusion(labels[validates], predicted, classes=int(labels.max()) + 1)
        values, place = scores(counts), {"repeat": repeat + 1, "fold": fold + 1}
        for metric, name in (("accuracy", ""), ("balanced_accuracy", "_balanced")):
            rows.append(place | {"metric": f"imagenet_votes{name}", "value": values[metric]})
    return rows
