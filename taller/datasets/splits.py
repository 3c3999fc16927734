"""Which images take part, which are for testing, and in which fold each of the others validates."""

import itertools
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import resample

from taller.common.terminal import UserError
from taller.datasets.dataset import Dataset

NONE = "preprocess.groups: none (at random)"
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
    smallest = int(data.per_class[rarest])
    if smallest < 2:
        raise UserError(
            f"{data.names[rarest]}: expected 2 training images of this class or more, found "
            f"{smallest}: add images"
        )
    if smallest < folds:
        raise UserError(
            f"params.yaml: preprocess.folds: expected at most {smallest}, the images of class "
            f"{data.names[rarest]}, found {folds}"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    if data.groups is not None:
        if (groups := len(np.unique(data.groups))) < folds:
            fewer = f"preprocess.folds: {groups}, or " if groups > 1 else ""
            raise UserError(
                f"params.yaml: preprocess.folds: expected at most {groups}, the groups of the "
                f"images, found {folds}: set {fewer}{NONE}"
            )
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(data), dtype=np.int64)
    parts = splitter.split(data.labels, data.labels, data.groups)
    for fold, (training, validation) in enumerate(parts):
        assigned[validation] = fold
        if absent := set(range(data.classes)) - set(data.labels[training].tolist()):
            raise UserError(
                f"params.yaml: preprocess.groups: expected images of class "
                f"{data.names[min(absent)]} of several groups, found all of them in one fold: "
                f"set {NONE}, or add images of other groups"
            )
    return assigned


def choose_test(
    labels: np.ndarray,
    names: Sequence[str],
    groups: np.ndarray | None,
    share: float,
    folds: int,
    seed: int,
) -> np.ndarray:
    """Choose the test images: bool, shape (n,), True for the test.

    Parameters
    ----------
    labels : ndarray of int64, shape (n,)
        Each class at least twice; each has images on both sides.
    groups : ndarray of int64, shape (n,), or None
        What each image comes from; all images of a group are on one side, and training keeps as
        many groups as there are folds, and two of each class.
    share : float
        Of the images of each class, as near as can be: between 0 and 1. A group with more than
        half of a class does not count: the test has its share of the others.

    Raises
    ------
    UserError
        Where a class cannot be, or is not, on both sides.
    """
    if groups is None:
        return _of_each_class(labels, len(names), share, seed)
    # A row for each class of each group: how many images it has.
    places = np.unique(groups, return_inverse=True)[1]
    pairs, counts = np.unique(places * len(names) + labels, return_counts=True)
    of_class = pairs % len(names)
    number, several = int(places.max()) + 1, np.bincount(of_class, minlength=len(names))
    if several[lacking := int(several.argmin())] < 3:
        raise UserError(
            f"params.yaml: preprocess.groups: expected images of class {names[lacking]} of at "
            f"least 3 groups, as the test needs one of its own and the folds two, found "
            f"{several[lacking]}: set {NONE}, add pictures, or a folder test"
        )
    if number <= folds:
        raise UserError(
            f"params.yaml: preprocess.folds: expected at most {number - 1}, as one of the {number} "
            f"groups is for the test, found {folds}: set that, or {NONE}"
        )
    totals = np.bincount(labels, minlength=len(names))
    usual = np.where(2 * counts > totals[of_class], 0, counts)
    wanted = share * np.bincount(of_class, usual, len(names))
    best, missed = None, None
    for parts in _partitions(labels, groups, share, seed):
        chosen, distance, lacking = _nearest(parts, labels, places, wanted, folds)
        if chosen is None:
            missed = names[lacking] if missed is None else missed
        elif best is None or distance < best[0]:
            best = distance, np.isin(parts, chosen)
        if best is not None and best[0] <= CLOSE * len(labels):
            break
    if best is None:
        raise UserError(
            f"params.yaml: preprocess.groups: expected groups that leave each class in the test "
            f"and in two of {folds} folds, found none for class {missed}: set fewer "
            f"preprocess.folds, {NONE}, add pictures of other groups, or a folder test"
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
    parts: np.ndarray, labels: np.ndarray, groups: np.ndarray, wanted: np.ndarray, folds: int
) -> tuple[list[int] | None, float, int]:
    """The union of parts whose counts of each class are nearest to those wanted.

    Returns the parts, None where no union leaves each class in the test and in two groups of
    training, and as many groups as `folds`; how many images are too many or too few; and the class
    that is most often not so.
    """
    count, classes = int(parts.max()) + 1, len(wanted)
    if count <= CHUNKS:
        unions = np.array([*itertools.product((0, 1), repeat=count)])
    else:  # for a share near 0 or 1
        unions = np.concatenate([np.eye(count, dtype=np.int64), 1 - np.eye(count, dtype=np.int64)])

    def table(rows: np.ndarray | slice, columns: np.ndarray) -> np.ndarray:
        """How often each column is in each part, among some images."""
        cells = parts[rows] * classes + columns[rows]
        return np.bincount(cells, minlength=count * classes).reshape(count, classes)

    counts = unions @ table(slice(None), labels)
    of_class, of_any = (
        np.unique(one, return_index=True)[1] for one in (groups * classes + labels, groups)
    )
    training = (1 - unions) @ table(of_class, labels)  # groups of each class
    both = (counts > 0) & (training >= 2)
    enough = (1 - unions) @ table(of_any, np.zeros_like(labels))[:, 0] >= folds
    allowed = both.all(1) & enough
    if not allowed.any():
        return None, np.inf, int(both.sum(0).argmin())
    distances = np.abs(counts - wanted).sum(1)
    nearest = int(np.where(allowed, distances, np.inf).argmin())
    return np.flatnonzero(unions[nearest]).tolist(), float(distances[nearest]), -1
