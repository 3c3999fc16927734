"""The held-out test: near the share, of every class, of no origin a part; the same every time."""

import re

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from taller.data.held_out import held_out
from taller.program.errors import Problem

NAMES = [f"class{place}" for place in range(10)]


def labels_of(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


def chosen(labels, groups=None, share=0.2, seed=0):
    test = held_out(labels, NAMES[: labels.max() + 1], groups, share, seed)
    assert test.dtype == bool and test.shape == labels.shape
    assert {*labels[test]} == {*labels[~test]} == {*labels}
    return test


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("counts", [(100, 100), (500, 30, 77), (23, 24, 25, 26, 27)])
def test_as_many_of_each_class_as_scikit_learn_takes(share, counts):
    labels = labels_of(*counts)
    test = chosen(labels, share=share)
    assert test.sum() == round(share * len(labels))
    _, others = train_test_split(labels, test_size=int(test.sum()), stratify=labels, random_state=0)
    assert abs(np.bincount(labels[test]) - np.bincount(others)).max() <= 1
    assert abs(np.bincount(labels[test]) - share * np.array(counts)).max() < 1


def test_a_rare_class_is_on_both_sides():
    assert np.bincount(labels_of(2, 3, 200)[chosen(labels_of(2, 3, 200), share=0.01)])[0] == 1
    test = chosen(labels_of(2, 3, 200), share=0.99)
    assert np.bincount(labels_of(2, 3, 200)[~test]).tolist() == [1, 1, 2]


def test_the_seed_decides():
    labels, groups = labels_of(60, 40), np.arange(100) // 2
    for given in (None, groups):
        one, same, other = (chosen(labels, given, seed=seed) for seed in (3, 3, 2**32 - 1))
        assert (one == same).all() and (one != other).any()
        # No image is more likely than another to be chosen.
        often = np.mean([chosen(labels, given, seed=seed) for seed in range(40)], 0)
        assert often.min() > 0 and often.max() < 0.5


@pytest.mark.parametrize("share", [0.03, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 0.97])
@pytest.mark.parametrize(
    ("images", "origins", "classes"), [(3000, 300, 10), (800, 60, 3), (600, 560, 2)]
)
def test_whole_origins_near_the_share(images, origins, classes, share):
    random = np.random.default_rng(images)
    labels, groups = random.integers(0, classes, images), random.integers(0, origins, images)
    test = chosen(labels, groups, share)
    assert not {*groups[test]} & {*groups[~test]}
    assert abs(test.mean() - share) < 0.03
    for label in range(classes):
        assert abs(test[labels == label].mean() - share) < 0.06


def test_origins_of_one_class_each():
    labels = labels_of(300, 200, 100)
    groups = np.arange(600) // 10
    test = chosen(labels, groups)
    assert not {*groups[test]} & {*groups[~test]}
    assert np.bincount(labels[test]).tolist() == [60, 40, 20]


def test_few_origins_are_divided_as_well_as_can_be():
    # The one way: the middle origin apart. Of sizes 6, 5, 4 in one class, 5 of 15 is a third.
    labels = np.repeat([0, 0, 0, 1, 1, 1], [6, 5, 4, 4, 5, 6])
    groups = np.repeat([0, 1, 2, 0, 1, 2], [6, 5, 4, 4, 5, 6])
    for seed in range(5):
        assert {*groups[chosen(labels, groups, 1 / 3, seed)]} == {1}
    # A class of two origins, of which one holds nearly everything.
    labels, groups = labels_of(50, 50), np.array([0] * 45 + [1] * 5 + [0] * 45 + [2] * 5)
    assert {*groups[chosen(labels, groups)]} == {1, 2}


def test_a_class_of_one_origin_is_named():
    labels, groups = labels_of(10, 10), np.array([*range(10), *[99] * 10])
    line = (
        "params.yaml: preprocess.test_share: expected images of class class1 of at least 2 "
        "origins, as the test needs one of its own, found all of one: add pictures, or a folder "
        "test"
    )
    with pytest.raises(Problem, match=f"^{re.escape(line)}$"):
        held_out(labels, NAMES[:2], groups, 0.2, 0)


def test_origins_that_tie_classes_together_are_told():
    # Three classes in pairs of three origins: whichever is apart takes one class whole... but two
    # classes of which each origin is the other's cannot be cut at all.
    labels = np.array([0, 1, 1, 2, 2, 0])
    groups = np.array([0, 0, 1, 1, 2, 2])
    line = (
        "params.yaml: preprocess.test_share: expected whole origins that leave each class on both "
        "sides, found none for class class0: change it, add pictures of other origins, or a folder "
        "test"
    )
    with pytest.raises(Problem, match=f"^{re.escape(line)}$"):
        held_out(labels, NAMES[:3], groups, 0.2, 0)
