"""What `preprocess` hands over: images, folds of every repeat, and facts of the data set."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.preprocess import preprocess
from taller.common import numerics
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.splits import stratified_folds, stratified_subset
from tools import example_pictures


@pytest.fixture
def run(workdir, mnist_raw):
    """Run the stage on MNIST with other params; gives training data, folds and facts."""
    (workdir / "data/MNIST").mkdir(parents=True)
    (workdir / "data/MNIST/raw").symlink_to(mnist_raw)
    written = yaml.safe_load((workdir / "params.yaml").read_text(encoding="utf-8"))

    def stage(dataset_name: str = "MNIST", **changes) -> tuple[dataset.Dataset, np.ndarray, dict]:
        section = written["preprocess"] | {"folds": 3, "repeats": 2, "subset": 500} | changes
        changed = written | {"dataset": dataset_name, "preprocess": section, "seed": 7}
        Path("params.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
        preprocess()
        folder, facts = Path("data/train"), Path("resultados/datos.json")
        return (
            dataset.load(folder),
            dataset.load_array(folder / "folds.npy"),
            json.loads(facts.read_text("utf-8")),
        )

    return stage


def outputs() -> dict[str, bytes]:
    folders = (Path("data/train"), Path("data/test"), Path("resultados"))
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths}


def test_what_takes_part_is_a_stratified_subset_with_folds_of_every_repeat(run, mnist):
    train, folds, facts = run()
    expected = stratified_subset(mnist[0], 500, numerics.split_seed(7))
    for name in ("images", "labels", "groups"):
        assert np.array_equal(getattr(train, name), getattr(expected, name))
        loaded = getattr(dataset.load(Path("data/test")), name)
        assert np.array_equal(loaded, getattr(mnist[1], name))
    for repeat, row in enumerate(folds):
        assert np.array_equal(row, stratified_folds(expected, 3, numerics.split_seed(7, repeat)))
        assert len({*zip(train.groups, row, strict=True)}) == len({*train.groups})
    assert len(folds) == 2 and not np.array_equal(*folds)
    sample = dataset.load(Path("resultados/muestra"))
    assert np.array_equal(sample.images, mnist[0].images[:100])
    writers = {"grouped": True, "train": len({*train.groups}), "test": 297, "shared": 0}
    writers["largest"] = max(Counter(train.groups.tolist()).values())
    counts = {
        "train_images_per_class": np.bincount(train.labels).tolist(),
        "test_images_per_class": np.bincount(mnist[1].labels).tolist(),
    }
    assert facts == counts | {
        "dataset": "MNIST", "names": [*"0123456789"], "shape": [1, 28, 28], "folds": 3,
        "train_images": 500, "test_images": 10_000, "repeats": 2, "groups": writers,
        "pictures": None,
    }  # fmt: skip
    before = outputs()
    run()
    assert outputs() == before and len(before) == 14


def test_without_groups_folds_are_random_and_more_repeats_leave_the_first(run):
    _, folds, _ = run()
    train, more, facts = run(groups="none", repeats=3)
    assert train.groups is None and not np.array_equal(more[0], folds[0])
    assert facts["groups"]["grouped"] is False
    assert np.array_equal(run(groups="none", repeats=1)[1], more[:1])


def test_drawn_pictures_give_the_same_whether_or_not_they_fit_into_memory(run, monkeypatch):
    monkeypatch.setattr(example_pictures, "THINGS", 4)
    monkeypatch.setattr(example_pictures, "SHOTS", 3)
    example_pictures.make(Path("data/cosas/raw"))
    changes = {"subset": None, "image_size": 16, "folds": 3, "test_share": 0.25}
    train, _, facts = run("cosas", **changes)
    assert train.shape == (3, 16, 16) and train.names[0] == "casa" and len(train) == 6 * 3 * 3
    assert facts["groups"] == {"grouped": True, "train": 18, "test": 6, "shared": 0, "largest": 3}
    assert facts["pictures"]["groups"] == "folders" and facts["pictures"]["test"] == "drawn"
    assert facts["pictures"]["near_copies"]["apart"] == 0
    before = outputs()
    monkeypatch.setattr(dataset, "LIMIT", 0)
    monkeypatch.setattr(dataset, "CHUNK", 5_000)
    run("cosas", **changes)
    assert outputs() == before and not [*Path(".cache").iterdir()]
    with pytest.raises(UserError, match="expected nothing yet"):
        example_pictures.make(Path("data/cosas/raw"))
