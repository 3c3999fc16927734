"""What `preprocess` accepts, and the invariants of its subset and folds."""

import numpy as np
import pytest
from matplotlib.image import imread

from stages.preprocess import (
    Params,
    preprocess,
    stratified_folds,
    stratified_subset,
)
from taller.data import dataset, idx
from taller.program.errors import Problem


@pytest.fixture(scope="module")
def labels(mnist_raw):
    return idx.read(mnist_raw / "train-labels-idx1-ubyte").astype(np.int64)


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_cover_all_images_with_the_shares_of_all(labels, folds):
    assigned = stratified_folds(labels, folds, seed=0)
    counts = np.zeros((folds, 10), int)
    np.add.at(counts, (assigned, labels), 1)
    assert counts.sum() == len(labels)
    # scikit-learn's contract: every class is spread over the folds to within one image.
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 10


def test_the_seed_decides_the_folds(labels):
    assert np.array_equal(stratified_folds(labels, 5, seed=1), stratified_folds(labels, 5, seed=1))
    assert not np.array_equal(
        stratified_folds(labels, 5, seed=1), stratified_folds(labels, 5, seed=2)
    )


def test_too_many_folds_for_the_rarest_class():
    with pytest.raises(Problem, match=r"preprocess.folds: expected at most 2.*found 3"):
        stratified_folds(np.repeat(np.arange(10), 2), 3, seed=0)


@pytest.mark.parametrize("size", [100, 1000, 59_999, 60_000])
def test_a_subset_has_the_shares_of_all(labels, size):
    rows = stratified_subset(labels, size, seed=0)
    assert len(np.unique(rows)) == size
    shares = np.bincount(labels[rows], minlength=10) / size
    np.testing.assert_allclose(shares, np.bincount(labels) / len(labels), atol=1 / size)


def test_stage(mnist_raw, labels, tmp_path):
    processed, results = tmp_path / "processed", tmp_path / "resultados"
    preprocess(Params(folds=3, subset=500), 7, mnist_raw, processed, results)
    images, kept = dataset.load(processed / "train.npz")
    folds = np.load(processed / "folds.npy")
    assert (images.shape, images.dtype) == ((500, 28, 28), np.uint8)
    assert (kept.shape, kept.dtype, folds.shape) == ((500,), np.int64, (500,))
    rows = stratified_subset(labels, 500, seed=7)
    assert np.array_equal(kept, labels[rows])
    assert np.array_equal(images, idx.read(mnist_raw / "train-images-idx3-ubyte")[rows])
    test_images, test_labels = dataset.load(processed / "test.npz")
    assert np.array_equal(test_images, idx.read(mnist_raw / "t10k-images-idx3-ubyte"))
    assert np.array_equal(test_labels, idx.read(mnist_raw / "t10k-labels-idx1-ubyte"))
    assert imread(results / "ejemplo_mnist.png").size > 0

    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    preprocess(Params(folds=3, subset=500), 7, mnist_raw, processed, results)
    assert all(path.read_bytes() == content for path, content in before.items())
