"""How well features suit labels, in seconds and without training.

References
----------
K. You, Y. Liu, J. Wang and M. Long, "LogME: Practical Assessment of Pre-trained Models for Transfer
Learning", ICML 2021, PMLR 139, 12133-12143: algorithm 1.
"""

import numpy as np

KINDS = ("neighbours", "logme")
NEIGHBOURS, CHUNK = 5, 1000
ROUNDS, CLOSE = 100, 1e-3  # of the evidence's fixed point; the paper's code stops there, too


def neighbours(features: np.ndarray, labels: np.ndarray) -> float:
    """The share of images whose nearest others, by cosine, have their class by majority.

    Of classes that as many of them have, the first counts.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    labels : ndarray of int64, shape (n,)
    """
    scaled = features.astype(np.float32)
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    right, count = 0, min(NEIGHBOURS, len(labels) - 1)
    for start in range(0, len(labels), CHUNK):
        alike = scaled[start : start + CHUNK] @ scaled.T
        own = np.arange(len(alike))
        alike[own, start + own] = -np.inf
        nearest = labels[np.argpartition(alike, -count, axis=1)[:, -count:]]
        votes = np.stack([(nearest == one).sum(axis=1) for one in range(labels.max() + 1)], axis=1)
        right += int((votes.argmax(axis=1) == labels[start : start + CHUNK]).sum())
    return right / len(labels)


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """The largest log evidence of linear models from features to each class's 0 and 1, per image.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    labels : ndarray of int64, shape (n,)
    """
    size, evidence = len(features), []
    # Photographs have more pixels than there are images: the directions that none of them has add
    # nothing, and are left out.
    left, singular, _ = np.linalg.svd(features.astype(np.float64), full_matrices=False)
    sigma, width = singular**2, len(singular)
    for target in (labels == np.unique(labels)[:, np.newaxis]).astype(np.float64):
        projected, alpha, beta, ratio = singular * (target @ left), 1.0, 1.0, 0.0
        for _ in range(ROUNDS):
            mean = beta * projected / (alpha + beta * sigma)
            residual = target @ target - 2 * mean @ projected + mean @ (sigma * mean)
            if abs(alpha / beta - ratio) <= CLOSE * ratio:
                break
            ratio, gamma = alpha / beta, (beta * sigma / (alpha + beta * sigma)).sum()
            alpha, beta = gamma / (mean @ mean), (size - gamma) / max(residual, 1e-12)
        logs = width * np.log(alpha) + size * np.log(beta / (2 * np.pi))
        logs -= np.log(alpha + beta * sigma).sum() + beta * residual + alpha * (mean @ mean)
        evidence.append(logs / (2 * size))
    return float(np.mean(evidence))
