"""Invariants of the subset and the folds: shares of the classes, and origins kept together."""

import numpy as np
import pytest

from taller.data import idx_source
from taller.data.dataset import Dataset
from taller.data.folds import stratified_folds, stratified_subset
from taller.data.idx_sets import MNIST
from taller.program.errors import Problem

DIGITS = MNIST.classes


def labelled(
    labels: np.ndarray, names: tuple[str, ...] = DIGITS, groups: np.ndarray | None = None
) -> Dataset:
    """A data set of which nobody looks at the images."""
    return Dataset(np.zeros((len(labels), 1, 2, 2), np.uint8), labels, names, groups)


@pytest.fixture(scope="module")
def written(mnist_raw) -> Dataset:
    """MNIST's real labels and writers."""
    train, _ = idx_source.read(MNIST, mnist_raw)
    return labelled(train.labels, groups=train.groups)


@pytest.fixture(scope="module")
def digits(written) -> Dataset:
    """The same, had nobody told who wrote them."""
    return labelled(written.labels)


def spread(data: Dataset, assigned: np.ndarray) -> np.ndarray:
    """Images of each fold (rows) and class."""
    counts = np.zeros((assigned.max() + 1, data.classes), int)
    np.add.at(counts, (assigned, data.labels), 1)
    return counts


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_folds_cover_all_images_with_the_shares_of_all(digits, folds):
    assigned = stratified_folds(digits, folds, seed=0)
    counts = spread(digits, assigned)
    assert assigned.dtype == np.int64 and counts.shape == (folds, 10)
    assert counts.sum() == len(digits)
    # scikit-learn's contract: every class is spread over the folds to within one image.
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 10


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_no_writer_is_in_two_folds_and_the_folds_are_near_even(written, folds):
    assigned = stratified_folds(written, folds, seed=0)
    assert assigned.dtype == np.int64
    counts = spread(written, assigned)
    assert counts.shape == (folds, 10) and counts.sum() == 60_000
    pairs = {*zip(written.groups.tolist(), assigned.tolist(), strict=True)}
    assert len(pairs) == len(np.unique(written.groups)) == 539
    # Writers dealt out by chance, some hundred each, would differ by several times as much.
    np.testing.assert_allclose(counts.sum(axis=1) * folds / 60_000, 1, atol=0.01)
    shares = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, [written.per_class / 60_000] * folds, rtol=0.03)


@pytest.mark.parametrize("kind", ["written", "digits"])
def test_the_seed_decides_the_folds(request, kind):
    data = request.getfixturevalue(kind)
    first, again, other = (stratified_folds(data, 5, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    # Nor is it the same split with other numbers: of two images in a fold few stay together.
    together = [other[first == fold] for fold in range(5)]
    assert max(np.bincount(one).max() / len(one) for one in together) < 0.5


def test_too_many_folds_for_the_rarest_class():
    data = labelled(np.array([0, 0, 0, 1, 1, 1, 2, 2]), ("cat", "dog", "owl"))
    with pytest.raises(Problem, match=r"preprocess.folds: expected at most 2.*class owl, found 3"):
        stratified_folds(data, 3, seed=0)


def test_a_class_without_images_has_no_folds():
    with pytest.raises(Problem, match="at most 0, the images of class b, found 2"):
        stratified_folds(labelled(np.array([0, 0, 2, 2]), ("a", "b", "c")), 2, seed=0)


def test_too_many_folds_for_the_origins():
    data = labelled(np.arange(12) % 2, ("cat", "dog"), groups=np.arange(12) // 4 * 100)
    with pytest.raises(Problem, match=r"folds: expected at most 3, the origins .*, found 4") as it:
        stratified_folds(data, 4, seed=0)
    assert "\n" not in str(it.value)
    assert len({*stratified_folds(data, 3, seed=0).tolist()}) == 3


def test_a_class_of_one_origin_would_leave_nothing_to_train_on():
    labels, origins = np.repeat([0, 1, 2], 6), np.arange(18) % 3
    data = labelled(labels, ("cat", "dog", "owl"), np.where(labels == 1, 7, origins))
    with pytest.raises(Problem, match=r"groups: expected images of class dog of several or") as it:
        stratified_folds(data, 2, seed=0)
    assert "\n" not in str(it.value)
    # Of two origins each is trained on while the other validates.
    data = labelled(labels, data.names, np.where(labels == 1, 7 + origins % 2, origins))
    for seed in range(5):
        assert {*stratified_folds(data, 2, seed)[labels == 1].tolist()} == {0, 1}


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
