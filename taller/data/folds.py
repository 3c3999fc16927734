"""Which images take part, and in which fold each of them validates."""

import numpy as np
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import resample

from taller.data.dataset import Dataset
from taller.program.errors import Problem


def stratified_subset(data: Dataset, size: int, seed: int) -> Dataset:
    """Choose `size` images with the class shares of all, in their order.

    Raises
    ------
    Problem
        When there are not so many.
    """
    if size > len(data):
        raise Problem(
            f"params.yaml: preprocess.subset: expected at most {len(data)}, the training images "
            f"of this data set, found {size}"
        )
    if size == len(data):  # which scikit-learn would call an empty rest
        return data
    rows = resample(
        np.arange(len(data)),
        replace=False,
        n_samples=size,
        stratify=data.labels,
        random_state=seed,
    )
    return data.take(np.sort(rows))


def stratified_folds(data: Dataset, folds: int, seed: int) -> np.ndarray:
    """The fold, 0 to `folds` - 1, in which each image validates: int64, shape (n,).

    Raises
    ------
    Problem
        When a class has fewer images than there are folds.
    """
    rarest = int(data.per_class.argmin())
    if (smallest := int(data.per_class[rarest])) < folds:
        raise Problem(
            f"params.yaml: preprocess.folds: expected at most {smallest}, the images of class "
            f"{data.names[rarest]}, found {folds}"
        )
    assigned = np.empty(len(data), dtype=np.int64)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, validation) in enumerate(splitter.split(data.labels, data.labels)):
        assigned[validation] = fold
    return assigned
