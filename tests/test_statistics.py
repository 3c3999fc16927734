"""Intervals and tests against SciPy, statsmodels and baycomp, published numbers and simulations."""

import numpy as np
import pytest
from baycomp import CorrelatedTTest
from statsmodels.stats.contingency_tables import mcnemar

from taller.statistics.intervals import (
    Posterior,
    bayesian_correlated_t,
    corrected_interval,
    corrected_t_test,
    exact_mcnemar,
    paired_proportions,
    required_repeats,
)

ROPE = 0.005


def differences(mean: float, spread: float, scores: int) -> np.ndarray:
    """Differences of exactly this mean and standard deviation (n - 1)."""
    steps = np.arange(scores) - (scores - 1) / 2
    return mean + spread * steps / steps.std(ddof=1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("folds", [1, 2])
def test_one_score_or_two_equal_ones_say_nothing_and_say_it_in_numbers(folds):
    gap = np.full(folds, 0.009)
    assert corrected_interval(gap, 1 / 4, -1, 1) == (gap[0], -1, 1)
    assert corrected_t_test(gap, 1 / 4) == 1
    assert bayesian_correlated_t(gap, 1 / 4, ROPE) == (1 / 3, 1 / 3, 1 / 3)
    assert required_repeats(gap, 1 / 4, ROPE, repeats=1) is None


@pytest.mark.parametrize(
    ("gap", "p_value", "posterior"),
    [(-0.5, 0, (1, 0, 0)), (0, 1, (0, 1, 0)), (0.25, 0, (0, 1, 0))],
)
def test_equal_differences_are_a_point(gap, p_value, posterior):
    """A quarter, the rope itself, is practically none."""
    gaps = np.full(5, gap)
    assert corrected_interval(gaps, 1 / 4) == (gap, gap, gap)
    assert corrected_t_test(gaps, 1 / 4) == p_value
    assert bayesian_correlated_t(gaps, 1 / 4, rope=0.25) == posterior
    assert required_repeats(gaps, 1 / 4, rope=0.25, repeats=1) == 0


def false_positives(splits: str, trials: int = 1000, images: int = 60) -> tuple[float, float]:
    """How often the plain and the corrected test see a difference that is not there.

    The target is ``x1 + x2 + noise``, all normal; one model is the least-squares slope on x1,
    the other on x2: their expected squared errors are the same. `splits` is ``random`` (15 random
    fifths that validate, as Nadeau and Bengio have them) or ``repeats`` (three times five folds).
    """
    random, val_images = np.random.default_rng(2003), images // 5
    positive = np.zeros((trials, 2), bool)
    for row in positive:
        x = random.normal(size=(2, 1, images))
        y = x.sum(axis=0) + random.normal(size=images)
        if splits == "random":
            val = random.random((15, images)).argsort(axis=1) < val_images
        else:
            folds = random.permuted(np.tile(np.arange(images) % 5, (3, 1)), axis=1)
            val = (folds[:, None] == np.arange(5)[:, None]).reshape(15, images)
        slopes = (x * y * ~val).sum(axis=2) / (x * x * ~val).sum(axis=2)
        errors = ((y - slopes[..., None] * x) ** 2 * val).sum(axis=2) / val_images
        row[:] = [corrected_t_test(errors[0] - errors[1], one) < 0.05 for one in (0, 1 / 4)]
    return tuple(positive.mean(axis=0))


def test_false_positives_are_as_rare_as_they_should_be():
    # 1000 trials: the standard error of a rate of 0.05 is 0.007.
    plain, corrected = false_positives("random")
    assert plain > 0.25 and 0.03 < corrected < 0.08
    plain, corrected = false_positives("repeats")  # cautious on folds, which are disjoint
    assert plain > 0.25 and corrected < 0.05


@pytest.mark.parametrize(
    ("posterior", "verdict"),
    [
        ((0.0, 0.0499, 0.9501), "better"),
        ((0.9501, 0.0499, 0.0), "worse"),
        ((0.0, 0.9501, 0.0499), "equal"),
        ((0.0, 0.05, 0.95), "unknown"),
    ],
)
def test_a_verdict_takes_more_than_95_percent(posterior, verdict):
    assert Posterior(*posterior).verdict == verdict


@pytest.mark.parametrize(
    ("mean", "spread", "repeats", "expected"),
    [
        (0.0100, 0.0040, 1, 2),  # better
        (-0.0100, 0.0050, 1, 3),  # worse
        (0.0000, 0.0045, 1, 6),  # equal
        (0.0000, 0.0044, 5, 0),
    ],
)
def test_so_many_repeats_decide_and_one_less_does_not(mean, spread, repeats, expected):
    gaps = differences(mean, spread, 5 * repeats)
    assert required_repeats(gaps, 1 / 4, ROPE, repeats) == expected
    surest = []
    for count in {expected or repeats, expected - 1 or expected} - {-1}:
        more = differences(mean, spread, 5 * count)
        surest.append(max(CorrelatedTTest.probs(more, np.zeros(5 * count), ROPE, runs=count)))
    assert max(surest) > 0.95 and (len(surest) == 1 or min(surest) < 0.95)


@pytest.mark.parametrize(("first", "second"), [(48, 163), (5, 5), (0, 8)])
def test_exact_mcnemar(first, second):
    expected = mcnemar([[9727, first], [second, 62]], exact=True).pvalue
    assert exact_mcnemar(first, second) == pytest.approx(expected)
    assert exact_mcnemar(0, 0) == 1


def test_bonett_and_price_as_the_author_publishes_it():
    """`ci.prop.ps(.05, 12, 4, 26, 6)` of Bonett's R package statpsych, in its manual."""
    estimate = paired_proportions(only_first=26, only_second=4, images=48)
    assert estimate == pytest.approx((22 / 48, 0.2548067, 0.6251933), abs=1e-7)
    assert paired_proportions(3, 0, 3).high == 1 and paired_proportions(0, 3, 3).low == -1
