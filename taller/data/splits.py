"""The folds that `preprocess` cut, read back by the stages that train."""

from pathlib import Path

import numpy as np

from taller.program import arrays
from taller.program.arrays import Array
from taller.program.errors import Problem


def load(path: Path, images: int) -> np.ndarray:
    """Read in which fold each image validates.

    Parameters
    ----------
    images : int
        How many there are.

    Returns
    -------
    ndarray of int64, shape (repeats, images)
        Folds from 0, in each repeat as many; none is empty, and none has all the images. An image
        of -1, as in the grids of `tools.tune`, never validates.

    Raises
    ------
    Problem
        Naming the file, what was expected and what was found; and as `reading.opened`.
    """
    assigned = arrays.read_npy(path, Array(("int64",), 2, low=-1, high=images - 1))
    if assigned.shape[1] != images or not len(assigned):
        raise Problem(
            f"{path}: expected the fold of each of {images} images, found shape {assigned.shape}"
        )
    folds = int(assigned[0].max()) + 1
    for repeat, row in enumerate(assigned, start=1):
        sizes = np.bincount(row + 1)[1:]
        if len(sizes) != max(folds, 1) or not sizes.all() or sizes.max() == images:
            raise Problem(
                f"{path}: repeat {repeat}: expected folds from 0, in each repeat as many, none of "
                f"them empty or of all images, found images of each: {sizes.tolist()[:20]}"
            )
    return assigned
