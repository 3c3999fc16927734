"""The corrected paired test against scipy's plain one, and a worked example."""

import numpy as np
import pytest
from scipy import stats

from stages.common.statistics import corrected_paired_t

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


def test_models_change_sides():
    there = corrected_paired_t(FIRST, SECOND, 4, 1)
    back = corrected_paired_t(SECOND, FIRST, 4, 1)
    assert (back.mean, back.low, back.high) == pytest.approx((-there.mean, -there.high, -there.low))
    assert back.p_value == pytest.approx(there.p_value)


@pytest.mark.parametrize(("gap", "p_value"), [(0.0, 1.0), (0.5, 0.0)])
def test_equal_differences_give_finite_numbers(gap, p_value):
    found = corrected_paired_t(np.full(5, 0.25), np.full(5, 0.25 + gap), 4, 1)
    assert (found.mean, found.low, found.high, found.p_value) == (gap, gap, gap, p_value)
