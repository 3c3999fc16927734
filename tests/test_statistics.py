"""Intervals and tests against scipy and statsmodels, and false positives by simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from taller.scores.proportions import exact_mcnemar, wilson
from taller.scores.statistics import corrected_paired_t, fold_mean, holm

FIRST = np.array([0.971, 0.969, 0.974, 0.968, 0.972])
SECOND = np.array([0.980, 0.976, 0.979, 0.981, 0.977])


def test_without_overlap_it_is_the_plain_paired_t_test():
    found = corrected_paired_t(FIRST, SECOND, train_images=1, val_images=0)
    plain = stats.ttest_rel(SECOND, FIRST)
    interval = plain.confidence_interval(0.95)
    assert (found.mean, found.p_value) == pytest.approx(((SECOND - FIRST).mean(), plain.pvalue))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_the_correction_widens_by_the_factor_of_the_paper():
    plain = corrected_paired_t(FIRST, SECOND, train_images=1, val_images=0)
    found = corrected_paired_t(FIRST, SECOND, train_images=48_000, val_images=12_000)
    # K = 5 folds: (1/5 + 1/4) / (1/5) of the variance.
    ratio = (found.high - found.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(np.sqrt((1 / 5 + 1 / 4) / (1 / 5)))
    assert found.p_value > plain.p_value


def test_repeats_shrink_the_share_of_the_folds_alone():
    """R repeats of K folds: 1 / (R K) + n_val / n_train; more repeats never undo the overlap."""
    again = [np.tile(scores, 3) for scores in (FIRST, SECOND)]
    found = corrected_paired_t(*again, train_images=4, val_images=1)
    spread = (SECOND - FIRST).repeat(3).var(ddof=1)
    error = np.sqrt((1 / 15 + 1 / 4) * spread)
    expected = 2 * stats.t.sf((SECOND - FIRST).mean() / error, df=14)
    assert found.p_value == pytest.approx(expected)


def test_one_fold_says_nothing_and_says_it_in_numbers():
    found = corrected_paired_t(FIRST[:1], SECOND[:1], 4, 1)
    assert found.mean == SECOND[0] - FIRST[0]
    assert (found.low, found.high, found.p_value) == (-1, 1, 1)
    alone = fold_mean(FIRST[:1], 4, 1)
    assert (alone.value, alone.low, alone.high) == (FIRST[0], -np.inf, np.inf)


def test_models_change_sides():
    there = corrected_paired_t(FIRST, SECOND, 4, 1)
    back = corrected_paired_t(SECOND, FIRST, 4, 1)
    turned = there.turned()
    assert (back.mean, back.low, back.high) == pytest.approx((turned.mean, turned.low, turned.high))
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))
    assert back.p_value == pytest.approx(there.p_value)
    assert turned.turned() == there


@pytest.mark.parametrize(("gap", "p_value"), [(0.0, 1.0), (0.5, 0.0)])
def test_equal_differences_give_finite_numbers(gap, p_value):
    found = corrected_paired_t(np.full(5, 0.25), np.full(5, 0.25 + gap), 4, 1)
    assert (found.mean, found.low, found.high, found.p_value) == (gap, gap, gap, p_value)


def test_a_models_own_interval_is_the_textbooks_one_without_overlap():
    found = fold_mean(FIRST, train_images=1, val_images=0)
    interval = stats.ttest_1samp(FIRST, 0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((FIRST.mean(), *interval))


def test_a_models_own_interval_is_widened_like_that_of_a_difference():
    found = fold_mean(SECOND - FIRST, train_images=48_000, val_images=12_000)
    paired = corrected_paired_t(FIRST, SECOND, train_images=48_000, val_images=12_000)
    assert (found.low, found.high) == pytest.approx((paired.low, paired.high))


@pytest.mark.parametrize(("hits", "images"), [(0, 10), (1, 10), (9, 10), (10, 10), (9890, 10_000)])
def test_wilson(hits, images):
    found = wilson(hits, images)
    assert found.value == hits / images
    expected = proportion_confint(hits, images, alpha=0.05, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "p_values",
    [[0.03], [0.01, 0.04, 0.03], [0.2, 0.9, 0.001, 0.01, 0.01, 0.6], [0.5, 0.9, 0.4], [0, 1, 0.5]],
)
def test_holm(p_values):
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("first", "second"), [(48, 163), (163, 48), (5, 5), (0, 1), (0, 8), (7, 12)]
)
def test_exact_mcnemar(first, second):
    found = exact_mcnemar(first, second)
    assert (found.only_first, found.only_second) == (first, second)
    expected = mcnemar([[9727, first], [second, 62]], exact=True).pvalue
    assert found.p_value == pytest.approx(expected)
    back = exact_mcnemar(second, first)
    assert back == found.turned()


def test_exact_mcnemar_of_models_that_never_differ():
    assert exact_mcnemar(0, 0).p_value == 1


def false_positives(splits: str, repeats: int = 1000, images: int = 60) -> tuple[float, float]:
    """How often the plain and the corrected test see a difference that is not there.

    The target is ``x1 + x2 + noise``, all normal; one model is the least-squares slope on x1,
    the other on x2. By symmetry their expected squared errors are the same, so that every
    p value below 0.05 is a false positive. `splits` is ``random`` (15 random fifths held out,
    the resampling that Nadeau and Bengio study), ``folds`` (five disjoint folds) or ``repeats``
    (three times five of them).
    """
    random = np.random.default_rng(2003)
    held_out = images // 5
    found = np.zeros((repeats, 2), bool)
    for row in found:
        x = random.normal(size=(2, 1, images))
        y = x.sum(axis=0) + random.normal(size=images)
        if splits == "random":
            val = random.random((15, images)).argsort(axis=1) < held_out
        elif splits == "folds":
            val = np.arange(images) % 5 == np.arange(5)[:, None]
        else:
            folds = random.permuted(np.tile(np.arange(images) % 5, (3, 1)), axis=1)
            val = (folds[:, None] == np.arange(5)[:, None]).reshape(15, images)
        slopes = (x * y * ~val).sum(axis=2) / (x * x * ~val).sum(axis=2)
        errors = ((y - slopes[..., None] * x) ** 2 * val).sum(axis=2) / held_out
        row[0] = corrected_paired_t(*errors, 1, 0).p_value < 0.05
        row[1] = corrected_paired_t(*errors, images - held_out, held_out).p_value < 0.05
    return tuple(found.mean(axis=0))


def test_the_correction_keeps_false_positives_at_their_nominal_rate():
    # 1000 repeats: the standard error of a rate of 0.05 is 0.007.
    plain, corrected = false_positives("random")
    assert plain > 0.25
    assert 0.03 < corrected < 0.08


def test_the_correction_is_cautious_on_disjoint_folds():
    _, corrected = false_positives("folds")
    assert corrected < 0.05


def test_the_correction_holds_where_folds_are_repeated():
    """The folds of one repeat and of another overlap in their training images as well."""
    plain, corrected = false_positives("repeats")
    assert plain > 0.25
    assert corrected < 0.05
