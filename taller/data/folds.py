"""Which images take part, and in which fold each of them validates."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
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

    Images of one origin (`Dataset.groups`) are all in one fold; the shares of the classes and
    the folds' sizes are then as even as the origins allow.

    Raises
    ------
    Problem
        When a class has fewer images than there are folds, or there are fewer origins, or a fold
        would leave a class without images to train on.
    """
    rarest = int(data.per_class.argmin())
    if (smallest := int(data.per_class[rarest])) < folds:
        raise Problem(
            f"params.yaml: preprocess.folds: expected at most {smallest}, the images of class "
            f"{data.names[rarest]}, found {folds}"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    if data.groups is not None:
        if (origins := len(np.unique(data.groups))) < folds:
            raise Problem(
                f"params.yaml: preprocess.folds: expected at most {origins}, the origins of the "
                f"images (preprocess.groups), found {folds}"
            )
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(data), dtype=np.int64)
    parts = splitter.split(data.labels, data.labels, data.groups)
    for fold, (training, validation) in enumerate(parts):
        assigned[validation] = fold
        if absent := set(range(data.classes)) - set(data.labels[training].tolist()):
            raise Problem(
                f"params.yaml: preprocess.groups: expected images of class "
                f"{data.names[min(absent)]} of several origins, found all of them in one fold"
            )
    return assigned
