"""Which images take part, which are for testing, and in which fold each of the others validates."""

import itertools
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import resample

from taller.common.errors import UserError
from taller.datasets.dataset import Dataset

TEST_SHARE = "params.yaml: preprocess.test_share"
CHUNKS = 12  # whose every union is tried: 4096
CLOSE = 0.01  # of all images, misplaced: near enough to look no further
TRIES = 2  # numbers of folds


def stratified_subset(data: Dataset, size: int, seed: int) -> Dataset:
    """Choose `size` images with the class shares of all, in their order.

    Raises a `UserError` where there are not so many.
    """
    if size > len(data):
        raise UserError(
            f"params.yaml: preprocess.subset: expected at most {len(data)}, the training images "
            f"of this data set, found {size}"
        )
    if size == len(data):  # which scikit-learn would call an empty rest
        return data
    rows, labels = np.arange(len(data)), data.labels
    rows = resample(rows, replace=False, n_samples=size, stratify=labels, random_state=seed)
    return data.take(np.sort(rows))


def stratified_folds(data: Dataset, folds: int, seed: int) -> np.ndarray:
    """The fold, 0 to `folds` - 1, in which each image validates: int64, shape (n,).

    Images of one group are all in one fold; the shares of the classes and the folds' sizes are
    then as even as the groups allow. Raises a `UserError` where a class has fewer images than
    there are folds, or there are fewer groups, or a fold would have all images of a class.
    """
    rarest = int(data.per_class.argmin())
    if (smallest := int(data.per_class[rarest])) < folds:
        raise UserError(
            f"params.yaml: preprocess.folds: expected at most {smallest}, the images of class "
            f"{data.names[rarest]}, found {folds}"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    if data.groups is not None:
        if (groups := len(np.unique(data.groups))) < folds:
            raise UserError(
                f"params.yaml: preprocess.folds: expected at most {groups}, the groups of the "
                f"images (preprocess.groups), found {folds}"
            )
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(data), dtype=np.int64)
    parts = splitter.split(data.labels, data.labels, data.groups)
    for fold, (training, validation) in enumerate(parts):
        assigned[validation] = fold
        if absent := set(range(data.classes)) - set(data.labels[training].tolist()):
            raise UserError(
                f"params.yaml: preprocess.groups: expected images of class "
                f"{data.names[min(absent)]} of several groups, found all of them in one fold"
            )
    return assigned


def choose_test(
    labels: np.ndarray, names: Sequence[str], groups: np.ndarray | None, share: float, seed: int
) -> np.ndarray:
    """Choose the test images: bool, shape (n,), True for the test.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Each class at least twice; each has images on both sides.
    groups : ndarray of int64, shape (n,), or None
        What each image comes from; all images of a group are on one side.
    share : float
        Of the images of each class, as near as can be: between 0 and 1.

    Raises
    ------
    UserError
        Where a class cannot be, or is not, on both sides.
    """
    if groups is None:
        return _of_each_class(labels, len(names), share, seed)
    for label, name in enumerate(names):
        if len(np.unique(groups[labels == label])) < 2:
            raise UserError(
                f"{TEST_SHARE}: expected images of class {name} of at least 2 groups, as the test "
                f"needs one of its own, found all of one: add pictures, or a folder test"
            )
    best, missed = None, None
    wanted = share * np.bincount(labels, minlength=len(names))
    for parts in _partitions(labels, groups, share, seed):
        chosen, distance, lacking = _nearest(parts, labels, wanted)
        if chosen is None:
            missed = names[lacking] if missed is None else missed
        elif best is None or distance < best[0]:
            best = distance, np.isin(parts, chosen)
        if best is not None and best[0] <= CLOSE * len(labels):
            break
    if best is None:
        raise UserError(
            f"{TEST_SHARE}: expected groups that leave each class on both sides, found none "
            f"for class {missed}: change it, add pictures of other groups, or a folder test"
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


def _partitions(
    labels: np.ndarray, groups: np.ndarray, share: float, seed: int
) -> Iterator[np.ndarray]:
    """Ways to put images into parts of undivided groups: int64, shape (n,)."""
    unique, places = np.unique(groups, return_inverse=True)
    if len(unique) <= CHUNKS:
        yield np.random.default_rng(seed).permutation(len(unique))[places]
        return
    most = max(CHUNKS, int(np.ceil(1 / min(share, 1 - share))))
    most = min(most, len(unique), int(np.bincount(labels).max()))
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
    if count <= CHUNKS:
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
