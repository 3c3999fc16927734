"""Each premise of a conclusion: where it holds, where it just fails, and of what it is told."""

from dataclasses import replace

import made_up
import pandas as pd
import pytest

from taller.scores import comparison, premises
from taller.scores.premises import Failure, Kind

SIMPLE, TUNED = made_up.TWO
LIMIT = 10 / 372  # of the letters: ten times what guessing among 372 shapes would know


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    place = tmp_path_factory.mktemp("premises")
    made_up.write(place, repeats=2)
    return comparison.read(place / "resultados", made_up.TWO, rope=0.005)


def pretrained_with(found, **facts):
    return replace(found, pretraining=found.pretraining | facts)


def losses(*fits: list[float], rise: float = 0.01) -> pd.DataFrame:
    """A history of validation losses, one list of epochs per fold, and of a rising accuracy."""
    return pd.DataFrame(
        [
            {
                "repeat": 1, "fold": fold, "epoch": epoch, "val_loss": loss,
                "val_accuracy": 0.5 + rise * epoch,
            }
            for fold, fit in enumerate(fits, start=1)
            for epoch, loss in enumerate(fit, start=1)
        ]
    )  # fmt: skip


def with_losses(found, *fits: list[float]):
    """The second model's."""
    first, second = found.models
    return replace(found, models=(first, replace(second, history=losses(*fits))))


def test_what_is_made_up_by_default_holds(found):
    assert found.premises == ()


@pytest.mark.parametrize("known", [[LIMIT, 0.9], [0.9, LIMIT], [0.03]])
def test_letters_that_were_learnt(found, known):
    assert pretrained_with(found, glyph_accuracy=known).premises == ()


@pytest.mark.parametrize("known", [[0.0268, 0.9], [0.9, 0.0268], [0.9, 0.0027, 0.0268]])
def test_letters_that_one_of_the_networks_did_not_learn(found, known):
    (failure,) = pretrained_with(found, glyph_accuracy=known).premises
    assert failure == Failure(Kind.PRETRAINING, None, min(known), pytest.approx(LIMIT))


def test_chance_is_that_of_the_shapes(found):
    assert pretrained_with(found, glyph_accuracy=[0.0268], shapes=374).premises == ()
    (failure,) = pretrained_with(found, glyph_accuracy=[0.4], shapes=20).premises
    assert failure.limit == 0.5


@pytest.mark.parametrize("source", ["imagenet", "none"])
def test_other_sources_know_no_letters(found, source):
    facts = {
        "requested": source,
        "source": source,
        "network": "resnet18",
        "networks": 1,
        "sha256": "cd" * 32,
    }
    assert replace(found, pretraining=facts).premises == ()


def test_letters_that_nobody_starts_from(found):
    untuned = replace(found.models[1], entry=replace(TUNED, pretrained=False))
    alone = replace(found, models=(found.models[0], untuned))
    assert pretrained_with(alone, glyph_accuracy=[0.0]).premises == ()


@pytest.mark.parametrize(
    "fits",
    [
        ([0.5, 0.45],),  # by a tenth
        ([9.0, 1.0, 0.91],),  # earlier epochs are no matter
        ([0.5, 0.6],),
        ([1.0, 0.8], [1.0, 1.0]),  # by a fifth, and not at all
        ([0.1, 0.0], [3.0, 3.0]),  # mean losses, not mean falls
        ([0.0, 0.0],),
    ],
)
def test_a_loss_that_has_come_to_rest(found, fits):
    assert with_losses(found, *fits).premises == ()


@pytest.mark.parametrize(
    ("fits", "fall"),
    [
        (([0.5, 0.4499],), 0.1002),
        (([1.0, 1.0, 0.5],), 0.5),
        (([1.0, 0.79], [1.0, 1.0]), 0.105),
        (([1.0, 0.4], [1.0, 1.0], [1.0, 1.0]), 0.2),  # of the mean, though most are at rest
        (([0.1, 0.1], [3.0, 2.0]), 1 / 3.1),
    ],
)
def test_a_loss_that_still_falls(found, fits, fall):
    told = with_losses(found, *fits)
    (failure,) = told.premises
    assert failure == Failure(Kind.FALLING, told.models[1], pytest.approx(fall), 0.1)


@pytest.mark.parametrize(("rise", "fails"), [(0.0024, False), (0.0026, True), (-0.1, False)])
def test_a_loss_that_falls_matters_where_accuracy_rises_by_half_the_rope(found, rise, fails):
    first, second = found.models
    second = replace(second, history=losses([1.0, 0.5], rise=rise))
    assert bool(replace(found, models=(first, second)).premises) == fails


def test_epochs_are_put_in_order_and_fits_of_all_repeats_count(found):
    second = losses([0.5, 1.0, 0.95], [0.5, 1.0, 0.95])
    again = second.assign(repeat=2, val_loss=[0.5, 1.0, 0.5] * 2)
    history = pd.concat([again, second]).iloc[::-1]
    told = replace(found.models[1], history=history)
    (failure,) = premises.failures((found.models[0], told), found.pretraining, 0.005)
    assert failure.value == pytest.approx(1 - (0.95 + 0.5) / 2)


def test_one_epoch_shows_no_end(tmp_path):
    made_up.write(tmp_path, epochs=1)
    found = comparison.read(tmp_path / "resultados", made_up.TWO, rope=0.005)
    assert found.premises == tuple(
        Failure(Kind.FALLING, result, None, 0.1) for result in found.models
    )


@pytest.mark.parametrize(("scores", "expected"), [(1, [Failure(Kind.FOLDS, None, 1, 2)]), (2, [])])
def test_two_scores_are_the_fewest(tmp_path, scores, expected):
    made_up.write(tmp_path)
    found = comparison.read(tmp_path / "resultados", made_up.TWO, rope=0.005)
    assert list(made_up.with_accuracies(found, *[[0.9] * scores] * 2).premises) == expected


def test_all_that_fails_is_told_the_gravest_first(tmp_path):
    facts = made_up.GLYPHS | {"glyph_accuracy": [0.0025]}
    made_up.write(tmp_path, epochs=1, pretraining=facts)
    found = comparison.read(tmp_path / "resultados", made_up.TWO, rope=0.005)
    found = made_up.with_accuracies(found, [0.9], [0.95])
    kinds = [failure.kind for failure in found.premises]
    assert kinds == [Kind.PRETRAINING, Kind.FALLING, Kind.FALLING, Kind.FOLDS]
