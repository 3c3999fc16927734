"""What `preprocess` hands over: images, folds of every repeat, and facts of the data set."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.preprocess import Params, preprocess, read_images
from taller.data import dataset, idx, idx_source
from taller.data.dataset import Dataset
from taller.data.folds import stratified_subset
from taller.program import seeds

DIGITS = tuple("0123456789")
PARAMS = {
    "folds": 3, "repeats": 2, "groups": "auto", "subset": 500, "image_size": 32, "channels": "auto",
    "test_share": 0.25,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(mnist_raw, tmp_path_factory):
    """Run the stage, by default on MNIST; gives training data, folds, facts and the folder."""

    def stage(source=read_images, **changes):
        folder = tmp_path_factory.mktemp("preprocess")
        processed, results = folder / "processed", folder / "resultados"
        data = folder / "data"
        (data / "MNIST").mkdir(parents=True)
        (data / "MNIST/files").symlink_to(mnist_raw)
        preprocess(Params(**PARAMS | changes), 7, "MNIST", data, processed, results, source)
        facts = json.loads((results / "datos.json").read_text(encoding="utf-8"))
        return (
            dataset.load(processed / "train.npz"),
            np.load(processed / "folds.npy"),
            facts,
            folder,
        )

    return stage


def writers_in_order() -> np.ndarray:
    return np.load(Path(idx_source.__file__).with_name(idx_source.WRITERS["MNIST"]))


@pytest.fixture(scope="module")
def ran(run):
    return run()


def writers_of(train: Dataset, folds: np.ndarray) -> list[list[set]]:
    """By repeat and fold, whose images validate."""
    return [
        [set(train.groups[one == fold].tolist()) for fold in range(PARAMS["folds"])]
        for one in folds
    ]


def test_what_takes_part_is_a_stratified_subset_of_the_raw_files(ran, mnist_raw):
    train, _, facts, folder = ran
    assert (train.images.shape, train.images.dtype) == ((500, 1, 28, 28), np.uint8)
    assert (train.labels.dtype, train.groups.dtype, train.names) == (np.int64, np.int64, DIGITS)
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:, np.newaxis]
    labels = idx.read(mnist_raw / "train-labels-idx1-ubyte").astype(np.int64)
    numbered = Dataset(images, labels, DIGITS, groups=np.arange(60_000))
    expected = stratified_subset(numbered, 500, seed=seeds.of_split(7))
    assert np.array_equal(train.labels, expected.labels)
    assert np.array_equal(train.images, images[expected.groups])
    assert np.array_equal(train.groups, writers_in_order()[expected.groups])
    assert facts["train_images_per_class"] == np.bincount(train.labels).tolist()
    assert np.array_equal(
        dataset.load(folder / "resultados/muestra_datos.npz").images, images[:100]
    )


def test_the_test_set_is_the_raw_files(ran, mnist_raw):
    *_, facts, folder = ran
    test = dataset.load(folder / "processed/test.npz")
    assert np.array_equal(test.images[:, 0], idx.read(mnist_raw / "t10k-images-idx3-ubyte"))
    assert np.array_equal(test.labels, idx.read(mnist_raw / "t10k-labels-idx1-ubyte"))
    assert facts["test_images_per_class"] == np.bincount(test.labels).tolist()


def test_every_repeat_has_folds_of_its_own_and_keeps_writers_together(ran):
    train, folds, *_ = ran
    assert (folds.shape, folds.dtype) == ((2, 500), np.int64)
    for one in writers_of(train, folds):
        assert sum(len(writers) for writers in one) == len(set().union(*one))
    first, second = folds
    # Not the same split with other numbers.
    assert all(0 < (second[first == fold] == to).sum() < (first == fold).sum()
               for fold in range(3) for to in range(3))  # fmt: skip


def test_the_facts_are_of_the_images_that_take_part(ran):
    train, _, facts, folder = ran
    test = dataset.load(folder / "processed/test.npz")
    assert (facts["dataset"], facts["names"], facts["shape"]) == ("MNIST", [*DIGITS], [1, 28, 28])
    assert (facts["folds"], facts["repeats"]) == (3, 2)
    assert (facts["train_images"], facts["test_images"]) == (500, 10_000)
    writers = set(train.groups.tolist())
    assert facts["groups"] == {
        "kept_together": True, "train": len(writers), "test": 297, "shared": 0,
    }  # fmt: skip
    assert len(writers) < 500 and not writers & set(test.groups.tolist())


def test_the_same_params_give_the_same_bytes(ran, run):
    before, after = ran[-1], run()[-1]
    written = [path.relative_to(before) for path in before.rglob("*") if path.is_file()]
    assert len(written) == 5
    assert all((before / path).read_bytes() == (after / path).read_bytes() for path in written)


def test_more_repeats_leave_the_first_ones_as_they_are(ran, run):
    _, folds, *_ = ran
    _, more, facts, _ = run(repeats=3)
    assert np.array_equal(more[:2], folds) and facts["repeats"] == 3


def test_without_groups_the_folds_are_others_and_writers_are_spread(ran, run):
    together, folds, *_ = ran
    train, spread, facts, folder = run(groups="none")
    assert train.groups is None and dataset.load(folder / "processed/test.npz").groups is None
    assert np.array_equal(train.images, together.images)
    assert spread.shape == folds.shape and not np.array_equal(spread, folds)
    one, _ = writers_of(together, spread)
    assert sum(len(writers) for writers in one) > len(set().union(*one))
    # Who wrote them is known all the same.
    assert facts["groups"]["kept_together"] is False
    assert facts["groups"]["test"] == 297


@pytest.mark.parametrize(
    ("train_groups", "test_groups", "expected"),
    [
        (None, None, None),
        ([0, 0, 1, 1, 2, 2, 3, 3], None, None),
        (
            [0, 0, 1, 1, 2, 2, 3, 3],
            [3, 4, 5, 5],
            {"kept_together": True, "train": 4, "test": 3, "shared": 1},
        ),
    ],
)
def test_origins_are_told_where_they_are_known(run, train_groups, test_groups, expected):
    def part(count, groups):
        images = np.zeros((count, 3, 5, 4), np.uint8)
        groups = None if groups is None else np.array(groups)
        return Dataset(images, np.arange(count) % 2, ("cat", "dog"), groups)

    sides = part(8, train_groups), part(4, test_groups), None
    _, folds, facts, _ = run(lambda *_: sides, folds=2, subset=None)
    assert folds.shape == (2, 8)
    assert facts["groups"] == expected


def test_a_data_set_is_what_was_saved(tmp_path):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (7, 3, 4, 5), dtype=np.uint8)
    labels = np.array([0, 1, 1, 2, 0, 2, 2])
    for groups in (None, np.arange(7)):
        data = Dataset(images, labels, ("uno", "dos", "ñandú", "ausente"), groups)
        dataset.save(tmp_path / "data.npz", data)
        found = dataset.load(tmp_path / "data.npz")
        assert (found.names, found.classes, found.shape) == (data.names, 4, (3, 4, 5))
        assert np.array_equal(found.images, images) and np.array_equal(found.labels, labels)
        assert found.per_class.tolist() == [2, 2, 3, 0]
        assert np.array_equal(found.groups, groups) if groups is not None else not found.groups
