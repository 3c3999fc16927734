"""Check the data set, choose what takes part, and cut it into stratified folds.

Reads data/NAME/raw: the catalogue's files, or pictures of your own in a folder for each class, of
which a share becomes the test where no folders say otherwise (train, val, test). Writes the
training and test images with their classes and groups, the fold in which each training image
validates in each repeat, some images to look at, and a JSON of shape, names and counts.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import Field

from taller.common import files, numerics, params, stage
from taller.common.terminal import UserError
from taller.datasets import dataset, folder, splits


class Params(folder.Params):
    repeats: params.Repeats
    subset: int | None = Field(ge=100)


def preprocess() -> None:
    name = params.read("dataset", params.DatasetName)
    seed = params.read("seed", params.Seed)
    chosen = params.read("preprocess", Params)
    raw, pictures, groups = Path("data", name, "raw"), None, None
    if name in dataset.CLASSES:
        train, test = dataset.read_idx(name, raw)
    elif not raw.is_dir():
        known = ", ".join(dataset.CLASSES)
        raise UserError(f"{raw}: expected a folder of pictures; the catalogue has {known} alone")
    else:
        train, test, pictures = folder.read(raw, chosen, numerics.test_seed(seed))
    dataset.save(Path("resultados/muestra"), train.take(slice(100)))  # to look at
    if chosen.subset is not None:
        train = splits.stratified_subset(train, chosen.subset, numerics.split_seed(seed))
    if train.groups is not None and (pictures is None or pictures["groups"]):
        sides = [{*part.groups.tolist()} for part in (train, test)]
        groups = {
            "grouped": chosen.groups == "auto",
            "train": len(sides[0]),
            "test": len(sides[1]),
            "shared": len(sides[0] & sides[1]),
            "largest": int(np.bincount(train.groups).max()),  # of training, in images
        }
    if chosen.groups == "none":
        train, test = (replace(part, groups=None) for part in (train, test))
    repeats = [numerics.split_seed(seed, repeat) for repeat in range(chosen.repeats)]
    folds = np.stack([splits.stratified_folds(train, chosen.folds, one) for one in repeats])

    dataset.save(Path("data/train"), train)
    dataset.save_array(Path("data/train/folds.npy"), folds)
    dataset.save(Path("data/test"), test)
    facts = {
        "dataset": name,
        "names": list(train.names),
        "shape": list(train.shape),
        "train_images": len(train),
        "test_images": len(test),
        "folds": chosen.folds,
        "repeats": chosen.repeats,
        "groups": groups,
        "pictures": pictures,
        "train_images_per_class": train.per_class.tolist(),
        "test_images_per_class": test.per_class.tolist(),
    }
    files.write_json(Path("resultados/datos.json"), facts)
    print(f"{len(train)} training images, {len(test)} test images; groups: {groups or 'not known'}")


if __name__ == "__main__":
    stage.run(preprocess)
