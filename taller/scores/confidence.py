"""What a classifier's own probabilities are worth: second guesses, calibration, sure errors."""

import numpy as np
import pandas as pd

BINS = 15


def top_accuracy(log_probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of the images whose true class is among the `k` most probable.

    Parameters
    ----------
    log_probabilities : ndarray of float, shape (n, classes)
    labels : ndarray of int, shape (n,)
    k : int
        1 gives the accuracy.
    """
    true = np.take_along_axis(log_probabilities, labels[:, None], axis=1)
    return float(((log_probabilities > true).sum(axis=1) < k).mean())


def reliability(
    log_probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS
) -> pd.DataFrame:
    """Compare how sure the model says it is with how often it is right.

    Images are put into `bins` intervals ``(low, high]`` of equal width by their confidence,
    the probability of the class that the model chooses.

    Parameters
    ----------
    log_probabilities : ndarray of float, shape (n, classes)
    labels : ndarray of int, shape (n,)

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
    edges = np.linspace(0, 1, bins + 1)
    sure, place = _binned(log_probabilities, edges)
    images = np.bincount(place, minlength=bins)
    filled = images > 0
    rows = pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "images": images,
            "hits": np.bincount(place[log_probabilities.argmax(axis=1) == labels], minlength=bins),
            "confidence": np.bincount(place, sure, minlength=bins) / np.maximum(images, 1),
        }
    )
    return rows[filled].reset_index(drop=True)


def expected_calibration_error(rows: pd.DataFrame) -> float:
    """Mean distance of accuracy and confidence over the bins, each weighed by its images.

    ``ECE = sum over bins B of |B| / n * |acc(B) - conf(B)|``, a fraction in [0, 1].

    Parameters
    ----------
    rows : DataFrame
        As `reliability` returns.

    References
    ----------
    M. P. Naeini, G. F. Cooper and M. Hauskrecht, "Obtaining Well Calibrated Probabilities
    Using Bayesian Binning", AAAI 2015; in this form Guo et al. (2017), equation 3.
    """
    gaps = (rows["hits"] - rows["images"] * rows["confidence"]).abs()
    return float(gaps.sum() / rows["images"].sum())


def calibrated_ece(
    log_probabilities: np.ndarray, *, bins: int = BINS, runs: int = 1000, seed: int = 0
) -> dict[str, float]:
    """What a perfectly calibrated model, exactly as sure of these images, would show by chance.

    The expected calibration error is a mean of absolute values, and never 0 on finitely many
    images, however honest the model. Each run draws for every image whether the answer is right,
    with the model's own confidence as the probability, and measures the error in the same bins.

    Parameters
    ----------
    log_probabilities : ndarray of float, shape (n, classes)
    runs, seed : int
        How many models are simulated, and from which seed.

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
    sure, place = _binned(log_probabilities, np.linspace(0, 1, bins + 1))
    expected = np.bincount(place, sure, minlength=bins)
    random = np.random.default_rng(seed)
    errors = np.empty(runs)
    for run in range(runs):
        hits = np.bincount(place[random.random(len(sure)) < sure], minlength=bins)
        errors[run] = np.abs(hits - expected).sum() / len(sure)
    return {"mean": float(errors.mean()), "high": float(np.quantile(errors, 0.95))}


def surest_errors(log_probabilities: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Find the wrong answers given with the most confidence.

    Returns
    -------
    ndarray of int, shape (count,) or shorter
        Rows, the surest first.
    """
    wrong = np.flatnonzero(log_probabilities.argmax(axis=1) != labels)
    order = np.argsort(-log_probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order[:count]]


def _binned(log_probabilities: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each image, and the bin ``(low, high]`` that it falls into."""
    sure = np.exp(log_probabilities.max(axis=1).astype(np.float64))
    return sure, np.searchsorted(edges[1:-1], sure)
