"""The Bayesian test against baycomp, and what would settle it against simulated posteriors."""

import numpy as np
import pytest
from baycomp import CorrelatedTTest
from scipy import integrate, stats

from taller.scores.posterior import Posterior, bayesian_correlated_t, repeats_to_settle
from taller.scores.statistics import corrected_paired_t

ROPE = 0.005


def parts(found: Posterior) -> tuple[float, float, float]:
    return found.worse, found.equal, found.better


def accuracies(seed: int, scores: int, gap: float, spread: float = 0.003):
    """Of two models on the same folds; the second is better by `gap` on average, more or less."""
    random = np.random.default_rng(seed)
    first = 0.97 + spread * random.normal(size=scores)
    return first, first + gap + spread * random.normal(size=scores)


def of_differences(mean: float, spread: float, scores: int):
    """Accuracies whose differences have exactly this mean and standard deviation (n - 1)."""
    steps = np.arange(scores) - (scores - 1) / 2
    return np.full(scores, 0.5), 0.5 + mean + spread * steps / steps.std(ddof=1)


@pytest.mark.parametrize("rope", [0.001, ROPE, 0.02])
@pytest.mark.parametrize("gap", [-0.012, -0.004, 0.0, 0.006, 0.02])
@pytest.mark.parametrize(("folds", "repeats"), [(5, 1), (2, 1), (10, 1), (5, 3), (4, 10)])
def test_it_is_baycomps(folds, repeats, gap, rope):
    scores = accuracies(folds + repeats, folds * repeats, gap)
    # K folds train on K - 1 times as many images as they validate on.
    found = bayesian_correlated_t(*scores, 1000 * (folds - 1), 1000, rope)
    expected = CorrelatedTTest.probs(*scores, rope=rope, runs=repeats)
    assert parts(found) == pytest.approx(expected, abs=1e-12)
    assert sum(parts(found)) == pytest.approx(1, abs=1e-12)


def test_any_sizes_of_a_fold_by_integrating_the_density():
    """baycomp knows folds of equal size only; this one trains on 900 and validates on 400."""
    first, second = accuracies(3, 6, 0.004)
    differences = second - first
    scale = np.sqrt((1 / 6 + 400 / 900) * differences.var(ddof=1))
    density = stats.t(5, differences.mean(), scale).pdf
    expected = [
        integrate.quad(density, low, high, epsabs=1e-12)[0]
        for low, high in ((-np.inf, -ROPE), (-ROPE, ROPE), (ROPE, np.inf))
    ]
    assert min(expected) > 1e-4  # none is trivial
    found = bayesian_correlated_t(first, second, 900, 400, ROPE)
    assert parts(found) == pytest.approx(expected, abs=1e-8)


def test_without_a_rope_the_p_value_is_twice_the_smaller_side():
    scores = accuracies(1, 15, 0.002)
    found = bayesian_correlated_t(*scores, 4, 1, rope=0)
    assert found.equal == pytest.approx(0, abs=1e-12)
    p_value = corrected_paired_t(*scores, 4, 1).p_value
    assert 2 * min(found.worse, found.better) == pytest.approx(p_value)


def test_models_change_sides():
    first, second = accuracies(2, 5, 0.004)
    there = bayesian_correlated_t(first, second, 4, 1, ROPE)
    back = bayesian_correlated_t(second, first, 4, 1, ROPE)
    assert parts(back) == pytest.approx(parts(there.turned()), abs=1e-12)
    assert there.turned() == Posterior(there.better, there.equal, there.worse) != there
    assert there.turned().turned() == there


@pytest.mark.parametrize(
    ("gap", "expected"),
    [(-0.5, (1, 0, 0)), (0.0, (0, 1, 0)), (0.25, (0, 1, 0)), (-0.25, (0, 1, 0)), (0.5, (0, 0, 1))],
)
def test_equal_differences_are_a_point(gap, expected):
    """A quarter, the rope itself, is practically none."""
    scores = np.full(5, 0.25), np.full(5, 0.25 + gap)
    assert parts(bayesian_correlated_t(*scores, 4, 1, rope=0.25)) == expected
    assert CorrelatedTTest.probs(*scores, rope=0.25) == pytest.approx(expected)
    assert repeats_to_settle(*scores, 4, 1, rope=0.25, repeats=1) == 0


def test_one_fold_says_nothing():
    scores = np.array([0.9]), np.array([0.99])
    found = bayesian_correlated_t(*scores, 4, 1, ROPE)
    assert parts(found) == (1 / 3, 1 / 3, 1 / 3)
    assert not found.decided
    assert repeats_to_settle(*scores, 4, 1, ROPE, repeats=1) is None


@pytest.mark.parametrize("probability", [0.95, 0.9501])
@pytest.mark.parametrize("side", range(3))
def test_decided_is_above_the_limit_on_any_side(side, probability):
    values = [(1 - probability) / 2] * 3
    values[side] = probability
    assert Posterior(*values).decided is (probability > 0.95)


def simulated(mean: float, spread: float, folds: int, repeats: int, draws: int = 400_000) -> float:
    """The surest of the three, from draws of the mean difference: normal, of an uncertain scale.

    The variance's posterior is ``(n - 1) s² / chi²(n - 1)``; given it, the mean's is normal with
    that variance times ``1 / n + n_val / n_train``.
    """
    random = np.random.default_rng(repeats)
    scores = folds * repeats
    variance = (scores - 1) * spread**2 / random.chisquare(scores - 1, draws)
    share = 1 / scores + 1 / (folds - 1)
    drawn = mean + np.sqrt(share * variance) * random.normal(size=draws)
    return max((drawn < -ROPE).mean(), (abs(drawn) <= ROPE).mean(), (drawn > ROPE).mean())


@pytest.mark.parametrize(
    ("mean", "spread", "repeats", "expected"),
    [
        (0.0100, 0.0040, 1, 2),  # better
        (-0.0100, 0.0050, 1, 3),  # worse
        (0.0000, 0.0037, 1, 2),  # equal
        (0.0000, 0.0044, 1, 5),
        (0.0000, 0.0045, 1, 6),  # a single score more than five repeats have would do
        (0.0000, 0.0044, 3, 5),
        (0.0000, 0.0044, 5, 0),
        (0.0200, 0.0040, 1, 0),
    ],
)
def test_so_many_repeats_settle_it_and_one_less_does_not(mean, spread, repeats, expected):
    found = repeats_to_settle(
        *of_differences(mean, spread, 5 * repeats), 4, 1, ROPE, repeats=repeats
    )
    assert found == expected
    # 400,000 draws: the standard error of a probability of 0.95 is 0.0003.
    assert simulated(mean, spread, 5, expected or repeats) > 0.949
    if expected:
        assert simulated(mean, spread, 5, expected - 1) < 0.951
    # And the test itself decides, had it scores of so many repeats, and with one less does not.
    then = of_differences(mean, spread, 5 * (expected or repeats))
    assert bayesian_correlated_t(*then, 4, 1, ROPE).decided
    if expected:
        before = of_differences(mean, spread, 5 * (expected - 1))
        assert not bayesian_correlated_t(*before, 4, 1, ROPE).decided


def test_as_many_as_are_worth_a_thought_and_no_more():
    scores = of_differences(0.0, 0.0044, 5)
    assert repeats_to_settle(*scores, 4, 1, ROPE, repeats=1, most=5) == 5
    assert repeats_to_settle(*scores, 4, 1, ROPE, repeats=1, most=4) is None


def test_the_overlap_stays_however_many_repeats():
    # On the rope's edge one half is on either side, and a wide spread leaves the rope.
    for mean, spread in ((ROPE, 0.002), (0.0, 0.01)):
        scores = of_differences(mean, spread, 5)
        assert repeats_to_settle(*scores, 4, 1, ROPE, repeats=1, most=1000) is None
        assert simulated(mean, spread, 5, 1000) < 0.95
