"""The letters most like each digit, recomputed from pictures with another library."""

import numpy as np
import pytest
import torch

from taller.data import glyphs

DIGITS = "0123456789"


@pytest.fixture(scope="module")
def twins():
    return {twin["digit"]: twin for twin in glyphs.twins(DIGITS)}


@pytest.fixture(scope="module")
def alike():
    """Correlation of the digits' glyphs (rows) with those of the letters, and which they are."""

    def pictures(paths):
        even = torch.ones(len(paths))
        return glyphs.write(paths, 3 * even, 2 * even).flatten(1).double().numpy()

    paths, letters = glyphs.trace()
    others, places = glyphs.trace(signs=DIGITS)
    rows, columns = pictures(others), pictures(paths)
    for part in (rows, columns):
        part -= part.mean(axis=1, keepdims=True)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return rows @ columns.T, places.numpy(), letters.numpy()


def test_eight_digits_have_a_twin_and_two_have_none(twins):
    assert [*twins] == [*DIGITS]
    without = [digit for digit, twin in twins.items() if twin["correlation"] <= glyphs.ALIKE]
    assert without == ["4", "7"]
    # As anybody sees.
    assert twins["0"]["letters"][0] in "OoОоΟο" and {*"Oo"} < {*twins["0"]["letters"]}
    assert {*"lI"} < {*twins["1"]["letters"]} and "З" in twins["3"]["letters"]
    assert {*"Ss"} < {*twins["5"]["letters"]}


@pytest.mark.parametrize("digit", DIGITS)
def test_the_first_letter_is_the_nearest_and_the_others_are_of_its_shape(twins, alike, digit):
    correlations, places, letters = alike
    of_digit = correlations[places == int(digit)]
    assert len(of_digit) == len(glyphs.FONTS)  # each font has it
    told = twins[digit]["letters"]
    assert twins[digit]["correlation"] == pytest.approx(of_digit.max(), abs=1e-5)
    alphabet = glyphs.alphabet()
    first = of_digit[:, letters == alphabet.index(told[0])]
    assert first.max() == pytest.approx(of_digit.max(), abs=1e-5)
    shapes = glyphs.shapes(*glyphs.trace())
    shape = int(shapes[alphabet.index(told[0])])
    assert sorted(told) == sorted(alphabet[place] for place in np.flatnonzero(shapes == shape))


def test_letters_are_their_own_twins_when_they_are_asked_for(alike):
    # Nothing is nearer to a letter than itself; nothing but the sign decides.
    found = glyphs.twins("AS")
    assert [twin["digit"] for twin in found] == ["A", "S"]
    assert all(twin["correlation"] == pytest.approx(1, abs=1e-6) for twin in found)
    assert all(twin["digit"] in twin["letters"] for twin in found)


def test_signs_are_placed_in_what_was_asked_for():
    paths, places = glyphs.trace(("DejaVuSans", "DejaVuSerif"), "07")
    assert places.tolist() == [0, 1, 0, 1]
    assert paths.shape == (4, glyphs.POINTS, 3)
