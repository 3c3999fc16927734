"""How far a classifier's probabilities can be trusted: calibration, second guesses, sure errors."""

import numpy as np
import pandas as pd

BINS = 15


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
