"""What a pretrained network's own head knows of other classes, untrained."""

import numpy as np

from taller.evaluation import metrics


def predict(logits: np.ndarray, labels: np.ndarray, trains: np.ndarray) -> np.ndarray:
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


def scores(
    logits: np.ndarray, labels: np.ndarray, folds: np.ndarray, limit: int | None, repeat: int
) -> list[dict]:
    """Rows of scores.csv: ``imagenet_votes`` (accuracy) and ``imagenet_votes_balanced`` of folds.

    `folds`, `limit` and `repeat` (from 0) are as `cross_validate` takes them.
    """
    rows = []
    for fold in [*range(int(folds.max()) + 1)][:limit]:
        validates = folds == fold
        predicted = predict(logits, labels, ~validates)[validates]
        counts = metrics.confusion(labels[validates], predicted, classes=int(labels.max()) + 1)
        values, place = metrics.scores(counts), {"repeat": repeat + 1, "fold": fold + 1}
        for metric, name in (("accuracy", ""), ("balanced_accuracy", "_balanced")):
            rows.append(place | {"metric": f"imagenet_votes{name}", "value": values[metric]})
    return rows
