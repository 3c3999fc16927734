"""The interval of a difference on the test images: published numbers, and its coverage counted."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import stats

from taller.scores.proportions import paired_proportions
from taller.scores.statistics import Estimate

# Rates of images that only the first, and only the second model gets right.
RATES = [(a, b) for a in (0.01, 0.05, 0.1, 0.2, 0.4) for b in (0.01, 0.03, 0.05, 0.1, 0.2, 0.55)]


def walds(differences: np.ndarray) -> tuple[float, float]:
    """The textbook's interval of a mean, of values that are -1, 0 or 1 per image."""
    scale = np.std(differences) / np.sqrt(len(differences))
    return stats.norm.interval(0.95, differences.mean(), scale) if scale else (0.0, 0.0)


def per_image(both: int, only_first: int, only_second: int, neither: int) -> np.ndarray:
    return np.repeat([0, -1, 1, 0], [both, only_first, only_second, neither])


def test_as_its_author_publishes_it():
    """`ci.prop.ps(.05, 12, 4, 26, 6)` of Bonett's R package statpsych, in its manual."""
    found = paired_proportions(both=12, only_first=4, only_second=26, neither=6)
    assert (found.low, found.high) == pytest.approx((0.2548067, 0.6251933), abs=1e-7)
    assert found.value == pytest.approx(22 / 48)


@pytest.mark.parametrize(
    "counts", [(9727, 48, 163, 62), (40, 0, 0, 2), (0, 3, 9, 0), (10, 1, 7, 3), (390, 0, 8, 2)]
)
def test_it_is_walds_with_an_image_more_on_either_side(counts):
    found = paired_proportions(*counts)
    assert found.value == pytest.approx(per_image(*counts).mean())
    expected = walds(np.append(per_image(*counts), [-1, 1]))
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)
    assert found.low < found.value < found.high


def test_models_change_sides():
    there, back = paired_proportions(90, 2, 7, 1), paired_proportions(90, 7, 2, 1)
    turned = there.turned()
    assert (back.value, back.low, back.high) == pytest.approx(
        (turned.value, turned.low, turned.high)
    )
    assert turned == Estimate(-there.value, -there.high, -there.low) != there
    assert turned.turned() == there


def test_it_ends_where_differences_do():
    assert paired_proportions(0, 0, 3, 0).high == 1
    assert paired_proportions(0, 3, 0, 0).low == -1


def coverage(interval: Callable, images: int, first: float, second: float) -> float:
    """How probable it is that the interval has the truth, summed over all possible outcomes."""
    found = 0.0
    for one in range(images + 1):
        for other in range(images + 1 - one):
            low, high = interval(images - one - other, one, other)
            if low <= second - first <= high:
                counts, rates = [one, other, images - one - other], [first, second]
                found += stats.multinomial.pmf(counts, images, [*rates, 1 - sum(rates)])
    return found


def test_it_has_the_truth_in_95_of_100_cases_where_walds_has_not():
    @cache
    def own(same: int, one: int, other: int) -> tuple[float, float]:
        found = paired_proportions(same, one, other, 0)
        return found.low, found.high

    @cache
    def plain(same: int, one: int, other: int) -> tuple[float, float]:
        return walds(per_image(same, one, other, 0))

    found = np.array([coverage(own, 20, *rates) for rates in RATES])
    assert found.min() > 0.94
    assert 0.95 < found.mean() < 0.985  # and not by being needlessly wide
    assert min(coverage(plain, 20, *rates) for rates in RATES) < 0.6
