"""Check the data set, choose what takes part, and cut it into stratified folds.

Reads the catalogue's files, or pictures of your own, of which a share is held out for testing
where there are no folders for that. Writes the training and test images with their classes and
origins, the fold in which each training image validates in each repeat, some images to look at, and
a JSON of shape, names and counts.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from taller.data import dataset, folds, idx_source, own, sources
from taller.data.dataset import Dataset
from taller.data.idx_sets import SETS
from taller.program import cli, files, params, seeds
from taller.program.params import Repeats, Seed

SAMPLE = slice(100)  # images to look at


class Params(params.Section):
    folds: int = Field(ge=2, le=50)
    repeats: Repeats
    groups: Literal["auto", "none"]
    subset: int | None = Field(ge=100)
    image_size: int = Field(ge=8, le=512)
    channels: Literal["auto", 1, 3]
    test_share: float = Field(gt=0, lt=1)


def read_images(
    files: Path, name: str, params: Params, seed: int
) -> tuple[Dataset, Dataset, dict[str, object] | None]:
    """The training and the test images, and what there is to tell of pictures of one's own."""
    if sources.in_catalogue(name):
        return *idx_source.read(SETS[name], files), None
    found = own.read(
        files,
        side=params.image_size,
        channels=None if params.channels == "auto" else params.channels,
        test_share=params.test_share,
        seed=seeds.of_test(seed),
    )
    return found.training, found.test, found.facts


def preprocess(
    params: Params,
    seed: Seed,
    name: sources.Name,
    data: Path = Path("data"),
    processed: Path = Path("data/processed"),
    results: Path = Path("resultados"),
    source=read_images,
) -> None:
    train, test, pictures = source(sources.files(data, name), name, params, seed)
    sample = train.take(SAMPLE)
    if params.subset is not None:
        train = folds.stratified_subset(train, params.subset, seeds.of_split(seed))
    origins = count_origins(train, test, kept_together=params.groups == "auto")
    if params.groups == "none":
        train, test = (replace(part, groups=None) for part in (train, test))
    splits = [seeds.of_split(seed, repeat) for repeat in range(params.repeats)]
    assigned = np.stack([folds.stratified_folds(train, params.folds, one) for one in splits])

    dataset.save(processed / "train.npz", train)
    dataset.save(processed / "test.npz", test)
    with files.whole(processed / "folds.npy") as file:
        np.save(file, assigned)
    dataset.save(results / "muestra_datos.npz", sample)
    facts = {
        "dataset": name,
        "names": list(train.names),
        "shape": list(train.shape),
        "train_images": len(train),
        "test_images": len(test),
        "folds": params.folds,
        "repeats": params.repeats,
        "groups": origins,
        "pictures": pictures,
        "train_images_per_class": train.per_class.tolist(),
        "test_images_per_class": test.per_class.tolist(),
    }
    files.write_json(results / "datos.json", facts)
    print(
        f"{len(train)} training images in {params.folds} folds, {params.repeats} times; "
        f"{len(test)} test images; {told(origins)}"
    )


def count_origins(train: Dataset, test: Dataset, *, kept_together: bool) -> dict | None:
    """Origins of the training and the test images, and on both sides; None where nobody knows."""
    if train.groups is None or test.groups is None:
        return None
    sides = set(train.groups.tolist()), set(test.groups.tolist())
    return {
        "kept_together": kept_together,
        "train": len(sides[0]),
        "test": len(sides[1]),
        "shared": len(sides[0] & sides[1]),
    }


def told(origins: dict | None) -> str:
    if origins is None:
        return "nobody knows what each image comes from"
    where = "each in one fold" if origins["kept_together"] else "spread over the folds"
    return f"{origins['train']} and {origins['test']} origins, {where}, {origins['shared']} in both"


if __name__ == "__main__":
    cli.main(preprocess)
