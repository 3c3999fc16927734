"""Check MNIST, cut it into stratified folds, and show an example of it.

Reads the four IDX files. Writes the training and test images as arrays, the fold in which
each training image validates, a picture of the first one, and a JSON of class counts.
"""

from pathlib import Path

import numpy as np
from pydantic import Field
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import resample

from taller.data import dataset, idx
from taller.program import cli, files, params
from taller.program.errors import Problem
from taller.program.params import Seed
from taller.report import figures

CLASSES = 10
SIZES = {"train": 60_000, "t10k": 10_000}
SAMPLE = 100  # digits to look at, beside as many letters


class Params(params.Section):
    folds: int = Field(ge=2, le=50)
    subset: int | None = Field(ge=100, le=SIZES["train"])


def preprocess(
    params: Params,
    seed: Seed,
    raw: Path = Path("data/MNIST/raw"),
    processed: Path = Path("data/processed"),
    results: Path = Path("resultados"),
) -> None:
    images, labels = read_split(raw, "train")
    test_images, test_labels = read_split(raw, "t10k")
    example = figures.example(images[0], labels[0])
    if params.subset is not None:
        rows = stratified_subset(labels, params.subset, seed)
        images, labels = images[rows], labels[rows]
    folds = stratified_folds(labels, params.folds, seed)

    dataset.save(processed / "train.npz", images, labels)
    dataset.save(processed / "test.npz", test_images, test_labels)
    np.save(processed / "folds.npy", folds)
    figures.save(example, results / "ejemplo_mnist.png")
    np.save(results / "muestra_digitos.npy", images[:SAMPLE])
    counts = {
        "train_images": len(labels),
        "test_images": len(test_labels),
        "folds": params.folds,
        "train_images_per_class": np.bincount(labels).tolist(),
        "test_images_per_class": np.bincount(test_labels).tolist(),
    }
    files.write_json(results / "datos.json", counts)
    print(f"{len(labels)} training images in {params.folds} folds, {len(test_labels)} test images")


def read_split(raw: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read and check the images and labels of ``train`` or ``t10k``.

    Returns
    -------
    images : ndarray of uint8, shape (n, 28, 28)
    labels : ndarray of int64, shape (n,)

    Raises
    ------
    Problem
        Naming the file, when a shape is not MNIST's, or the labels are not just 0 to 9.
    """
    images_file, labels_file = (
        raw / f"{split}-images-idx3-ubyte",
        raw / f"{split}-labels-idx1-ubyte",
    )
    images, labels = idx.read(images_file), idx.read(labels_file)
    for file, array, shape in (
        (images_file, images, (SIZES[split], 28, 28)),
        (labels_file, labels, (SIZES[split],)),
    ):
        if array.shape != shape:
            raise Problem(f"{file}: expected shape {shape}, found {array.shape}")
    found = np.unique(labels).tolist()
    if found != list(range(CLASSES)):
        raise Problem(f"{labels_file}: expected each of the labels 0 to 9, found {found}")
    return images, labels.astype(np.int64)


def stratified_subset(labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Choose `size` images with the class shares of all: rows, ascending."""
    rows = resample(
        np.arange(len(labels)), replace=False, n_samples=size, stratify=labels, random_state=seed
    )
    return np.sort(rows)


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The fold, 0 to `folds` - 1, in which each image validates: int64, shape (n,)."""
    smallest = int(np.bincount(labels).min())
    if smallest < folds:
        raise Problem(
            f"params.yaml: preprocess.folds: expected at most {smallest}, the images of the "
            f"rarest class, found {folds}"
        )
    assigned = np.empty(len(labels), dtype=np.int64)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fold, (_, validation) in enumerate(splitter.split(labels, labels)):
        assigned[validation] = fold
    return assigned


if __name__ == "__main__":
    cli.main(preprocess)
