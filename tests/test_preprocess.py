"""What `preprocess` accepts, and the invariants of its subset and folds."""

import json

import numpy as np
import pytest

from stages.preprocess import Params, preprocess
from taller.data import dataset, idx
from taller.data.dataset import Dataset
from taller.data.folds import stratified_folds, stratified_subset
from taller.program.errors import Problem

DIGITS = tuple("0123456789")


def labelled(labels: np.ndarray, names: tuple[str, ...] = DIGITS) -> Dataset:
    """A data set of which nobody looks at the images."""
    return Dataset(np.zeros((len(labels), 1, 2, 2), np.uint8), labels, names)


@pytest.fixture(scope="module")
def digits(mnist_raw) -> Dataset:
    return labelled(idx.read(mnist_raw / "train-labels-idx1-ubyte").astype(np.int64))


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_cover_all_images_with_the_shares_of_all(digits, folds):
    assigned = stratified_folds(digits, folds, seed=0)
    counts = np.zeros((folds, 10), int)
    np.add.at(counts, (assigned, digits.labels), 1)
    assert counts.sum() == len(digits)
    # scikit-learn's contract: every class is spread over the folds to within one image.
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 10


def test_the_seed_decides_the_folds(digits):
    first, again, other = (stratified_folds(digits, 5, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_too_many_folds_for_the_rarest_class():
    data = labelled(np.array([0, 0, 0, 1, 1, 1, 2, 2]), ("cat", "dog", "owl"))
    with pytest.raises(Problem, match=r"preprocess.folds: expected at most 2.*class owl, found 3"):
        stratified_folds(data, 3, seed=0)


def test_a_class_without_images_has_no_folds():
    with pytest.raises(Problem, match="at most 0, the images of class b, found 2"):
        stratified_folds(labelled(np.array([0, 0, 2, 2]), ("a", "b", "c")), 2, seed=0)


@pytest.mark.parametrize("size", [100, 1000, 59_999, 60_000])
def test_a_subset_has_the_shares_of_all(digits, size):
    rows = np.arange(60_000)
    numbered = Dataset(digits.images, digits.labels, DIGITS, groups=rows)
    chosen = stratified_subset(numbered, size, seed=0)
    assert len(np.unique(chosen.groups)) == len(chosen) == size
    assert np.array_equal(chosen.labels, digits.labels[chosen.groups])
    np.testing.assert_allclose(chosen.per_class / size, digits.per_class / 60_000, atol=1 / size)


def test_a_subset_of_more_than_all_is_refused():
    with pytest.raises(Problem, match=r"preprocess.subset: expected at most 4, .*, found 100"):
        stratified_subset(labelled(np.array([0, 0, 1, 1]), ("a", "b")), 100, seed=0)


def test_stage(mnist_raw, digits, tmp_path):
    processed, results = tmp_path / "processed", tmp_path / "resultados"
    preprocess(Params(folds=3, subset=500), 7, mnist_raw, processed, results)
    train, folds = dataset.load(processed / "train.npz"), np.load(processed / "folds.npy")
    assert (train.images.shape, train.images.dtype) == ((500, 1, 28, 28), np.uint8)
    assert (train.labels.dtype, folds.shape, folds.dtype) == (np.int64, (500,), np.int64)
    assert (train.names, train.groups) == (DIGITS, None)
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:, np.newaxis]
    numbered = Dataset(images, digits.labels, DIGITS, groups=np.arange(60_000))
    expected = stratified_subset(numbered, 500, seed=7)
    assert np.array_equal(train.labels, expected.labels)
    assert np.array_equal(train.images, images[expected.groups])
    test = dataset.load(processed / "test.npz")
    assert np.array_equal(test.images[:, 0], idx.read(mnist_raw / "t10k-images-idx3-ubyte"))
    assert np.array_equal(test.labels, idx.read(mnist_raw / "t10k-labels-idx1-ubyte"))
    assert np.array_equal(dataset.load(results / "muestra_datos.npz").images, images[:100])
    facts = json.loads((results / "datos.json").read_text(encoding="utf-8"))
    assert (facts["dataset"], facts["names"], facts["shape"]) == ("MNIST", [*DIGITS], [1, 28, 28])
    assert facts["train_images_per_class"] == np.bincount(train.labels).tolist()

    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    preprocess(Params(folds=3, subset=500), 7, mnist_raw, processed, results)
    assert all(path.read_bytes() == content for path, content in before.items())


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
