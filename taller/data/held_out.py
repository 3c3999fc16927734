"""Which pictures are held out for the test: a share of each class, and of no origin a part."""

import itertools
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from taller.program.errors import Problem

PARAM = "params.yaml: preprocess.test_share"
PARTS = 12  # whose every union is tried: 4096
CLOSE = 0.01  # of all images, misplaced: near enough to look no further
TRIES = 2  # numbers of folds


def held_out(
    labels: np.ndarray, names: Sequence[str], groups: np.ndarray | None, share: float, seed: int
) -> np.ndarray:
    """Choose the test images.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Each class at least twice.
    names : sequence of str
        Of the classes.
    groups : ndarray of int64, shape (n,), or None
        What each image comes from; each is wholly on one side.
    share : float
        Of the images of each class, as near as can be: between 0 and 1.
    seed : int
        0 to 2^32 - 1.

    Returns
    -------
    ndarray of bool, shape (n,)
        True for the test; each class has images on both sides.

    Raises
    ------
    Problem
        When a class cannot be, or is not, on both sides.
    """
    if groups is None:
        return _of_each_class(labels, len(names), share, seed)
    for label, name in enumerate(names):
        if len(np.unique(groups[labels == label])) < 2:
            raise Problem(
                f"{PARAM}: expected images of class {name} of at least 2 origins, as the test "
                f"needs one of its own, found all of one: add pictures, or a folder test"
            )
    best, missed = None, None
    wanted = share * np.bincount(labels, minlength=len(names))
    for parts in _partings(labels, groups, share, seed):
        chosen, distance, lacking = _nearest(parts, labels, wanted)
        if chosen is None:
            missed = names[lacking] if missed is None else missed
        elif best is None or distance < best[0]:
            best = distance, np.isin(parts, chosen)
        if best is not None and best[0] <= CLOSE * len(labels):
            break
    if best is None:
        raise Problem(
            f"{PARAM}: expected whole origins that leave each class on both sides, found none "
            f"for class {missed}: change it, add pictures of other origins, or a folder test"
        )
    return best[1]


def _of_each_class(labels: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    counts = np.bincount(labels, minlength=classes)
    quotas = share * counts
    taken = np.floor(quotas).astype(np.int64)
    # What rounding down leaves goes to where most was cut off.
    rest = max(0, round(share * len(labels)) - int(taken.sum()))
    taken[np.argsort(taken - quotas, kind="stable")[:rest]] += 1
    taken = np.clip(taken, 1, counts - 1)
    test, random = np.zeros(len(labels), bool), np.random.default_rng(seed)
    for label in range(classes):
        rows = random.permutation(np.flatnonzero(labels == label))
        test[rows[: taken[label]]] = True
    return test


def _partings(
    labels: np.ndarray, groups: np.ndarray, share: float, seed: int
) -> Iterator[np.ndarray]:
    """Ways to put images into parts of whole origins: int64, shape (n,)."""
    origins, places = np.unique(groups, return_inverse=True)
    if len(origins) <= PARTS:
        yield np.random.default_rng(seed).permutation(len(origins))[places]
        return
    most = max(PARTS, int(np.ceil(1 / min(share, 1 - share))))
    most = min(most, len(origins), int(np.bincount(labels).max()))
    off = {folds: abs(max(1, round(share * folds)) / folds - share) for folds in range(2, most + 1)}
    for folds in sorted(off, key=lambda one: (off[one], one))[:TRIES]:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        parts = np.empty(len(labels), np.int64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a class with fewer images than folds
            for part, (_, rows) in enumerate(splitter.split(labels, labels, groups)):
                parts[rows] = part
        yield parts


def _nearest(
    parts: np.ndarray, labels: np.ndarray, wanted: np.ndarray
) -> tuple[list[int] | None, float, int]:
    """The union of parts whose counts of each class are nearest to those wanted.

    Returns the parts, None where no union leaves each class on both sides; how many images are too
    many or too few; and the class that is most often on one side.
    """
    count = int(parts.max()) + 1
    table = np.zeros((count, len(wanted)), np.int64)
    np.add.at(table, (parts, labels), 1)
    if count <= PARTS:
        unions = np.array([*itertools.product((0, 1), repeat=count)])
    else:  # for a share near 0 or 1
        unions = np.concatenate([np.eye(count, dtype=np.int64), 1 - np.eye(count, dtype=np.int64)])
    counts = unions @ table
    both = (counts > 0) & (counts < table.sum(0))
    distances = np.abs(counts - wanted).sum(1)
    if not (allowed := both.all(1)).any():
        return None, np.inf, int(both.sum(0).argmin())
    nearest = int(np.where(allowed, distances, np.inf).argmin())
    return np.flatnonzero(unions[nearest]).tolist(), float(distances[nearest]), -1
