"""Check the data set, choose what takes part, and cut it into stratified folds.

Reads the raw files. Writes the training and test images with their classes, the fold in which
each training image validates, some images to look at, and a JSON of shape, names and counts.
"""

from pathlib import Path

import numpy as np
from pydantic import Field

from taller.data import dataset, folds, mnist
from taller.program import cli, files, params
from taller.program.params import Seed

SAMPLE = slice(100)  # images to look at


class Params(params.Section):
    folds: int = Field(ge=2, le=50)
    subset: int | None = Field(ge=100)


def preprocess(
    params: Params,
    seed: Seed,
    raw: Path = Path("data/MNIST/raw"),
    processed: Path = Path("data/processed"),
    results: Path = Path("resultados"),
    source=mnist,
) -> None:
    train, test = source.read(raw)
    sample = train.take(SAMPLE)
    if params.subset is not None:
        train = folds.stratified_subset(train, params.subset, seed)
    assigned = folds.stratified_folds(train, params.folds, seed)

    dataset.save(processed / "train.npz", train)
    dataset.save(processed / "test.npz", test)
    np.save(processed / "folds.npy", assigned)
    dataset.save(results / "muestra_datos.npz", sample)
    facts = {
        "dataset": source.NAME,
        "names": list(train.names),
        "shape": list(train.shape),
        "train_images": len(train),
        "test_images": len(test),
        "folds": params.folds,
        "train_images_per_class": train.per_class.tolist(),
        "test_images_per_class": test.per_class.tolist(),
    }
    files.write_json(results / "datos.json", facts)
    print(f"{len(train)} training images in {params.folds} folds, {len(test)} test images")


if __name__ == "__main__":
    cli.main(preprocess)
