"""Pairs of models over repeated folds: verdicts, sides, costs, and what one fold leaves of them."""

import warnings
from dataclasses import astuple, is_dataclass, replace
from itertools import combinations

import made_up
import numpy as np
import pytest
from baycomp import CorrelatedTTest
from scipy import stats
from sklearn.metrics import accuracy_score

from taller.scores import comparison
from taller.scores.pair import Verdict
from taller.scores.posterior import Posterior
from taller.scores.results import Result

REPEATS, FOLDS = 3, 4
# What the second model is against the first, by its accuracy on each of four folds.
EVEN = [0.80, 0.81, 0.79, 0.80]
VERDICTS = {
    Verdict.BETTER: [0.90, 0.91, 0.89, 0.91],
    Verdict.WORSE: [0.70, 0.71, 0.69, 0.71],
    Verdict.EQUAL: [0.8001, 0.81, 0.7901, 0.80],
    Verdict.UNKNOWN: [0.90, 0.76, 0.79, 0.84],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("repeats")


@pytest.fixture(scope="module")
def made(place):
    return made_up.write(place, made_up.THREE, folds=FOLDS, repeats=REPEATS)


@pytest.fixture(scope="module")
def found(place, made):
    return comparison.read(place / "resultados", made_up.THREE, rope=0.02)


def accuracies(made, key: str) -> np.ndarray:
    return np.array([accuracy_score(fold.labels, fold.predicted) for fold in made.folds[key]])


def test_scores_of_all_repeats_count(made, found):
    expected = [(repeat, fold) for repeat in (1, 2, 3) for fold in (1, 2, 3, 4)]
    for result in found.models:
        assert (result.folds, result.repeats) == (expected, REPEATS)
        scores = accuracies(made, result.entry.key)
        np.testing.assert_allclose(result.scores("accuracy"), scores)
        assert len({*scores[:FOLDS], *scores[FOLDS : 2 * FOLDS]}) > FOLDS  # other splits
        assert set(result.history["repeat"]) == {1, 2, 3}
    estimate = comparison.cv_estimate(found.baseline, "accuracy")
    scores = accuracies(made, "simple_nn")
    error = np.sqrt((1 / 12 + 1 / 3) * scores.var(ddof=1))
    interval = stats.t(11, scores.mean(), error).interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx(interval)


def test_pairs_are_baycomps_and_know_of_the_repeats(made, found):
    for pair in found.pairs:
        first, second = (accuracies(made, one.entry.key) for one in (pair.first, pair.second))
        expected = CorrelatedTTest.probs(first, second, rope=0.02, runs=REPEATS)
        posterior = pair.posterior
        assert (posterior.worse, posterior.equal, posterior.better) == pytest.approx(expected)
        plain = stats.ttest_rel(second, first)
        grown = np.sqrt(1 + 12 / 3)  # from 1 / 12 to 1 / 12 + 1 / 3
        p_value = 2 * stats.t.sf(abs(plain.statistic) / grown, 11)
        assert pair.difference.p_value == pytest.approx(p_value)


def test_the_test_images_difference_is_the_accuracies(made, found):
    for pair in found.pairs:
        one, other = (
            (made.test[part.entry.key].predicted == made.test[part.entry.key].labels).astype(int)
            for part in (pair.first, pair.second)
        )
        difference = pair.test_difference
        assert difference.value == pytest.approx(other.mean() - one.mean())
        # Wald's, of the images and one more on either side.
        differences = np.append(other - one, [-1, 1])
        scale = np.std(differences) / np.sqrt(len(differences))
        expected = stats.norm.interval(0.95, differences.mean(), scale)
        assert (difference.low, difference.high) == pytest.approx(expected)


@pytest.mark.parametrize("verdict", Verdict)
def test_verdicts(fruit, verdict):
    told = made_up.with_accuracies(fruit, EVEN, VERDICTS[verdict], EVEN)
    pair = told.pairs[0]
    assert pair.verdict is verdict
    other_way = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
    assert pair.turned().verdict is other_way.get(verdict, verdict)
    assert (pair.settled_by == 0) is (verdict is not Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("posterior", "verdict"),
    [
        ((0.0, 0.0499, 0.9501), Verdict.BETTER),
        ((0.9501, 0.0499, 0.0), Verdict.WORSE),
        ((0.0, 0.9501, 0.0499), Verdict.EQUAL),
        ((0.0, 0.05, 0.95), Verdict.UNKNOWN),
        ((0.95, 0.05, 0.0), Verdict.UNKNOWN),
        ((0.05, 0.95, 0.0), Verdict.UNKNOWN),
    ],
)
def test_a_verdict_takes_more_than_95_percent(fruit, posterior, verdict):
    assert replace(fruit.pairs[0], posterior=Posterior(*posterior)).verdict is verdict


def test_the_rope_decides_what_matters(fruit):
    told = made_up.with_accuracies(fruit, EVEN, VERDICTS[Verdict.BETTER], EVEN)
    assert replace(told, rope=0.5).pairs[0].verdict is Verdict.EQUAL
    assert replace(told, rope=0.1).pairs[0].verdict is Verdict.UNKNOWN


def test_what_would_settle_a_pair_counts_the_repeats_there_are(fruit, found):
    """Differences that seven repeats of four folds decide, of one and of three repeats."""
    steps = np.arange(FOLDS) - (FOLDS - 1) / 2
    steps /= steps.std(ddof=1)
    for told, repeats in ((fruit, 1), (found, REPEATS)):
        # The same mean and spread, n - 1, however many scores.
        n = FOLDS * repeats
        wide = np.tile(steps, repeats) * np.sqrt((n - 1) / n * FOLDS / (FOLDS - 1))
        scores = [np.full(n, 0.8), 0.8 + 0.004 * wide, np.full(n, 0.8)]
        told = replace(made_up.with_accuracies(told, *scores), rope=0.005)
        pair = told.pair("simple_nn", "resnet18")
        assert pair.verdict is Verdict.UNKNOWN
        assert pair.settled_by == pair.turned().settled_by == 7


def test_pairs_are_found_from_either_side(found):
    for first, second in combinations(("simple_nn", "resnet18", "cnn"), 2):
        there, back = found.pair(first, second), found.pair(second, first)
        assert (there.first.entry.key, there.second.entry.key) == (first, second)
        assert there in found.pairs
        assert (back.first, back.second) == (there.second, there.first)
        assert back == there.turned() != there
        assert back.turned() == there
    for keys in (("simple_nn", "simple_nn"), ("cnn", "other")):
        with pytest.raises(KeyError):
            found.pair(*keys)


def test_a_turned_pair_is_that_of_the_models_the_other_way_round(found):
    """Field by field: one that `turned` forgets, now or later, differs here."""
    swap = {"first": "second", "second": "first"}
    swap |= {"only_first": "only_second", "only_second": "only_first"}
    backwards = replace(
        found,
        models=found.models[::-1],
        agreement=[{swap.get(key, key): row[key] for key in row} for row in found.agreement],
    )
    for there in found.pairs:
        pair = there.turned()
        other = backwards.pair(pair.first.entry.key, pair.second.entry.key)
        assert other in backwards.pairs  # as it was counted there
        for field, value in vars(pair).items():
            expected = vars(other)[field]
            if is_dataclass(value) and not isinstance(value, Result):
                value, expected = astuple(value), astuple(expected)
            assert value in (expected, pytest.approx(expected, abs=1e-12)), field


@pytest.mark.parametrize(
    ("accuracies", "best"),
    [
        (([0.7, 0.8], [0.9, 0.95], [0.8, 0.85]), "cnn"),
        (([0.9, 0.95], [0.7, 0.8], [0.8, 0.85]), "simple_nn"),
    ],
)
def test_the_best_from_scratch(fruit, accuracies, best):
    told = made_up.with_accuracies(fruit, *accuracies)
    assert [result.entry.key for result in told.scratch] == ["simple_nn", "cnn"]
    assert [result.entry.key for result in told.pretrained] == ["resnet18"]
    assert told.best_scratch.entry.key == best
    tuned = told.pretrained[0]
    other = replace(tuned, entry=replace(tuned.entry, key="other"))
    assert replace(told, models=(tuned, other)).best_scratch is None


def test_costs_and_training_are_those_of_the_files(place, found):
    for result in found.models:
        key, entry = result.entry.key, result.entry
        trained = 1000 * len(key)
        assert result.trained_parameters == trained
        assert result.parameters == (40 * trained if entry.pretrained else trained)
        assert result.answer_flops == 2 * result.parameters
        assert result.training_flops == 6 * trained * made_up.TRAIN * made_up.EPOCHS
        assert result.training["knobs"] == made_up.KNOBS[key]
        assert set(result.test["ece_calibrated"]) == {"mean", "high"}


def test_pretraining_is_paid_by_who_starts_from_it(found):
    simple, tuned, _ = found.models
    assert found.training_flops(simple) == simple.training_flops
    letters = made_up.GLYPHS["flops"]
    assert found.training_flops(tuned) == tuned.training_flops + letters
    # What others spent on downloaded weights is not known.
    elsewhere = replace(found, pretraining={"source": "imagenet", "networks": 1})
    assert elsewhere.training_flops(tuned) == tuned.training_flops


def test_one_fold_leaves_numbers_and_no_verdict(fruit):
    told = made_up.with_accuracies(fruit, [0.8], [0.9], [0.85])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = told.pairs
        estimates = [
            comparison.cv_estimate(result, metric)
            for result in told.models
            for metric in ("accuracy", "log_loss")
        ]
    for pair in pairs:
        difference = pair.difference
        assert (difference.low, difference.high, pair.p_value) == (-1, 1, 1)
        assert (pair.verdict, pair.settled_by) == (Verdict.UNKNOWN, None)
        assert not pair.significant
    assert told.winner.entry.key == "resnet18"
    assert told.decisive.difference.mean == pytest.approx(0.05)
    assert [(one.low, one.high) for one in estimates] == [(0, 1), (0, np.inf)] * 3
