"""Subset, folds and test: shares of the classes as scikit-learn has them, groups undivided."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from taller.common.terminal import UserError
from taller.datasets.dataset import Dataset
from taller.datasets.splits import choose_test, stratified_folds, stratified_subset

NAMES = tuple(f"class{place}" for place in range(10))


def labelled(labels: np.ndarray, groups: np.ndarray | None = None) -> Dataset:
    """A data set of which nobody looks at the images."""
    images = np.zeros((len(labels), 1, 2, 2), np.uint8)
    return Dataset(images, labels, NAMES[: labels.max() + 1], groups)


@pytest.fixture(scope="module")
def written(mnist) -> Dataset:
    """MNIST's real labels and writers."""
    return labelled(mnist[0].labels, mnist[0].groups)


@pytest.mark.parametrize("folds", [2, 7])
def test_folds_without_groups_are_scikit_learns(written, folds):
    data = labelled(written.labels)
    assigned = stratified_folds(data, folds, seed=0)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    for fold, (_, rows) in enumerate(splitter.split(data.labels, data.labels)):
        assert np.array_equal(np.flatnonzero(assigned == fold), rows)
    assert assigned.dtype == np.int64
    assert not np.array_equal(assigned, stratified_folds(data, folds, seed=1))


def test_no_writer_is_in_two_folds_and_the_folds_are_near_even(written):
    assigned = stratified_folds(written, 5, seed=0)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    parts = splitter.split(written.labels, written.labels, written.groups)
    for fold, (_, rows) in enumerate(parts):
        assert np.array_equal(np.flatnonzero(assigned == fold), rows)
    pairs = {*zip(written.groups.tolist(), assigned.tolist(), strict=True)}
    assert len(pairs) == len(np.unique(written.groups)) == 539
    assert np.ptp(np.bincount(assigned)) < 0.01 * 60_000


@pytest.mark.parametrize(
    ("labels", "groups", "folds", "line"),
    [
        ([0, 0, 0, 1, 1], None, 3, "preprocess.folds: expected at most 2, the images of class c"),
        ([0, 1] * 3, [0, 0, 1, 1, 1, 1], 3, "found 3: set preprocess.folds: 2, or preprocess.gro"),
        ([0, 0, 1, 1], [0, 1, 2, 2], 2, "groups: expected images of class class1 of several group"),
    ],
)
def test_folds_that_cannot_be_are_one_line(labels, groups, folds, line):
    data = labelled(np.array(labels), None if groups is None else np.array(groups))
    with pytest.raises(UserError, match=line) as caught:
        stratified_folds(data, folds, seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [100, 60_000])
def test_a_subset_has_the_shares_of_all(written, size):
    numbered = labelled(written.labels, np.arange(60_000))
    chosen = stratified_subset(numbered, size, seed=0)
    assert len(np.unique(chosen.groups)) == len(chosen) == size
    assert np.array_equal(chosen.labels, written.labels[chosen.groups])
    np.testing.assert_allclose(chosen.per_class / size, written.per_class / 60_000, atol=1 / size)
    with pytest.raises(UserError, match=r"subset: expected at most 60000, .*, found 60001"):
        stratified_subset(numbered, 60_001, seed=0)


def labels_of(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def chosen(labels, groups=None, share=0.2, seed=0, folds=2):
    test = choose_test(labels, NAMES[: labels.max() + 1], groups, share, folds, seed)
    assert test.dtype == bool and test.shape == labels.shape
    assert {*labels[test]} == {*labels[~test]} == {*labels}
    if groups is not None:
        assert not {*groups[test]} & {*groups[~test]} and len({*groups[~test]}) >= folds
    return test


@pytest.mark.parametrize("share", [1 / 3, 0.9])
@pytest.mark.parametrize("counts", [(500, 30, 77), (23, 24, 25, 26, 27)])
def test_the_test_has_as_many_of_each_class_as_scikit_learn_takes(share, counts):
    labels = labels_of(*counts)
    test = chosen(labels, share=share)
    assert test.sum() == round(share * len(labels))
    _, others = train_test_split(labels, test_size=int(test.sum()), stratify=labels, random_state=0)
    assert abs(np.bincount(labels[test]) - np.bincount(others)).max() <= 1


def test_a_rare_class_is_on_both_sides_and_the_seed_decides():
    labels = labels_of(2, 3, 200)
    assert np.bincount(labels[chosen(labels, share=0.01)])[0] == 1
    assert np.bincount(labels[~chosen(labels, share=0.99)]).tolist() == [1, 1, 2]
    labels, groups = labels_of(60, 40), np.arange(100) // 2
    for given in (None, groups):
        one, same, other = (chosen(labels, given, seed=seed) for seed in (3, 3, 2**32 - 1))
        assert (one == same).all() and (one != other).any()
        # No image is more likely than another to be chosen.
        often = np.mean([chosen(labels, given, seed=seed) for seed in range(40)], 0)
        assert often.min() > 0 and often.max() < 0.5


@pytest.mark.parametrize("share", [0.03, 0.2, 0.9])
@pytest.mark.parametrize("images, sources, classes", [(3000, 120, 10), (300, 250, 2)])
def test_undivided_groups_come_near_the_share(images, sources, classes, share):
    random = np.random.default_rng(images)
    labels, groups = random.integers(0, classes, images), random.integers(0, sources, images)
    test = chosen(labels, groups, share)
    assert abs(test.mean() - share) < 0.03
    for label in range(classes):
        assert abs(test[labels == label].mean() - share) < 0.06


@pytest.mark.parametrize("folds", [2, 5])
@pytest.mark.parametrize("small, count", [(20, 20), (4, 100), (40, 6)])
def test_beside_one_dominant_group_the_test_has_its_share_of_the_others(folds, small, count):
    """Training keeps enough groups for its folds, where the small ones are the test's size."""
    labels = np.arange(2000 + small * count) % 2
    groups = np.concatenate([np.zeros(2000, int), 1 + np.arange(small * count) // small])
    test = chosen(labels, groups, folds=folds)
    assert 0.1 <= test[2000:].mean() <= 0.3 and not test[:2000].any()
    training = Dataset(np.zeros((len(labels), 1, 2, 2), np.uint8), labels, NAMES[:2], groups)
    stratified_folds(training.take(~test), folds, seed=0)


@pytest.mark.parametrize(
    ("labels", "groups", "folds", "line"),
    [
        ([0, 0, 1, 1, 1], [0, 1, 2, 3, 4], 2, "groups: expected images of class class0 of at"),
        ([0, 1] * 4, [0, 0, 1, 1, 2, 2, 3, 3], 4, "folds: expected at most 3, as one of the 4 gro"),
    ],
)
def test_groups_that_cannot_be_divided_are_one_line_with_a_remedy(labels, groups, folds, line):
    labels, groups = np.array(labels), np.array(groups)
    with pytest.raises(UserError, match=rf"^params.yaml: preprocess.{line}") as caught:
        choose_test(labels, NAMES[: labels.max() + 1], groups, 0.2, folds, 0)
    assert "preprocess.groups: none" in str(caught.value)
    chosen(labels)
    if "preprocess.folds" in str(caught.value):
        chosen(labels, groups, folds=3)
