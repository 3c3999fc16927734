"""Results read back, and every two models against each other, held against other libraries."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results
from baycomp import CorrelatedTTest
from results import CNN, LETTERS, SIMPLE, TUNED, Made
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from taller.common import params
from taller.common.errors import UserError
from taller.statistics.comparison import Comparison, read

# Three repeats of four folds.
SCORES = 0.95 + 0.01 * np.random.default_rng(0).random((3, 12))


def made(*contestants: Made, rope: float = 0.005, **options) -> Comparison:
    results.write(*contestants, **options)
    return read(params.contestants(), rope)


@pytest.fixture
def three(workdir) -> Comparison:
    models = [one.but(scores=row) for one, row in zip((SIMPLE, CNN, TUNED), SCORES, strict=True)]
    return made(*models, repeats=3)


def test_every_pair_is_that_of_other_libraries(three):
    raw = []
    for pair in three.pairs:
        first, second = pair.first.scores("accuracy"), pair.second.scores("accuracy")
        plain = stats.ttest_rel(first, second)
        grown = np.sqrt(1 + 12 / 3)  # the variance, from 1 / 12 to 1 / 12 + 1 / 3
        raw.append(2 * stats.t.sf(abs(plain.statistic) / grown, 11))
        mean, low = np.mean(first - second), plain.confidence_interval(0.95).low
        assert pair.difference[:2] == pytest.approx((mean, mean - grown * (mean - low)))
        posterior = CorrelatedTTest.probs(second, first, rope=0.005, runs=3)
        assert pair.posterior == pytest.approx(posterior)
        table = [[pair.both, pair.only_first], [pair.only_second, pair.neither]]
        assert pair.mcnemar == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert pair.test_difference.value == pytest.approx(
            pair.first.test["accuracy"] - pair.second.test["accuracy"]
        )
    assert [pair.p_value for pair in three.pairs] == pytest.approx(raw)
    corrected = multipletests(raw, method="holm")[1]
    assert [pair.holm for pair in three.pairs] == pytest.approx(corrected)
    assert max(corrected / raw) > 1  # or nothing was corrected


def test_a_pair_turned_round_has_its_sides_changed(three):
    for first, second in permutations(three.models, 2):
        pair, back = three.pair(first, second), three.pair(second, first)
        value, low, high = pair.difference
        assert back.difference == pytest.approx((-value, -high, -low))
        assert back.posterior == pytest.approx(pair.posterior[::-1])
        assert (back.only_first, back.only_second) == (pair.only_second, pair.only_first)
        value, low, high = pair.test_difference
        assert back.test_difference == pytest.approx((-value, -high, -low))
        for same in ("p_value", "holm", "required_repeats", "both", "neither", "mcnemar"):
            assert getattr(back, same) == pytest.approx(getattr(pair, same)), same


def test_scores_come_by_repeat_then_fold_however_they_were_written(three):
    shuffled = three.models[0].table.sample(frac=1, random_state=1)
    result = replace(three.models[0], table=shuffled)
    np.testing.assert_allclose(result.scores("accuracy"), SCORES[0])
    error = np.sqrt((1 / 12 + 1 / 3) * SCORES[0].var(ddof=1))
    expected = stats.t(11, SCORES[0].mean(), error).interval(0.95)
    assert result.mean()[1:] == pytest.approx(expected)


def test_the_test_images_are_those_that_were_answered(workdir):
    answers = results.write(SIMPLE, CNN, names=("NA", "007", "1.0"))
    for result in read(params.contestants(), 0.005).models:
        labels, log_probabilities = answers[result.name]
        predicted = log_probabilities.argmax(axis=1)
        np.testing.assert_array_equal(result.confusion, confusion_matrix(labels, predicted))
        right = predicted == labels
        expected = stats.binomtest(right.sum(), len(right)).proportion_ci(method="wilson")
        assert result.test_accuracy == pytest.approx((accuracy_score(labels, predicted), *expected))
        last = result.calibration.iloc[-1]
        inside = right[np.exp(log_probabilities.max(axis=1)) > last["low"]]
        expected = stats.binomtest(inside.sum(), len(inside)).proportion_ci(method="wilson")
        assert last["accuracy"] == pytest.approx(inside.mean())
        assert (last["accuracy_low"], last["accuracy_high"]) == pytest.approx(tuple(expected))
        assert result.per_class["clase"].tolist() == ["NA", "007", "1.0"]


@pytest.mark.parametrize(
    ("scores", "ranking"),
    [
        (([0.7, 0.8], [0.9, 0.95], [0.8, 0.85]), ["cnn", "resnet18", "simple_nn"]),
        # Equal means, and sums that differ in their last bit: the order of params.yaml.
        (([0.3, 0.2, 0.1], [0.1, 0.2, 0.3], [0.9, 0.8, 0.9]), ["resnet18", "simple_nn", "cnn"]),
    ],
)
def test_the_ranking_is_by_mean_accuracy(workdir, scores, ranking):
    models = [one.but(scores=row) for one, row in zip((SIMPLE, CNN, TUNED), scores, strict=True)]
    assert [result.name for result in made(*models).ranking] == ranking


def test_pretraining_is_paid_by_who_starts_from_it(workdir):
    other = TUNED.but(name="control", source="none")
    outside = TUNED.but(name="lite0", network="efficientnet_lite0", source="imagenet")
    flops = [one.training_flops for one in made(SIMPLE, TUNED, other, outside).models]
    assert flops == [10**12, 10**12 + LETTERS["flops"], 10**12, 10**12]


def failures(comparison: Comparison) -> list[tuple]:
    return [(one.kind, one.result and one.result.name, one.value) for one in comparison.failures]


@pytest.mark.parametrize(
    ("known", "failed"), [([0.9, 0.0269], None), ([0.0268, 0.9], 0.0268), ([0.9, 0.002], 0.002)]
)
def test_letters_that_one_of_the_networks_did_not_learn(workdir, known, failed):
    tuned = TUNED.but(letters=LETTERS | {"accuracy": known, "networks": 2})
    expected = [("pretraining", "resnet18", failed)] if failed else []
    assert failures(made(SIMPLE, tuned)) == expected


@pytest.mark.parametrize(
    ("losses", "rise", "fall"),
    [
        ([0.5, 0.45], 0.01, None),  # by a tenth
        ([0.5, 0.4499], 0.01, 0.1002),
        ([9.0, 1.0, 0.91], 0.01, None),  # earlier epochs are no matter
        ([1.0, 0.5], 0.0024, None),  # it matters where accuracy rises by half the rope
        ([1.0, 0.5], 0.0026, 0.5),
        ([1.0, 0.5], -0.1, None),
        ([0.0, 0.0], 0.01, None),
    ],
)
def test_a_loss_that_still_falls(workdir, losses, rise, fall):
    comparison = made(SIMPLE, CNN)
    epochs = np.arange(len(losses))
    history = pd.DataFrame({"epoch": epochs + 1, "val_loss": losses, "val_accuracy": rise * epochs})
    # Of another fold, whose loss and accuracy rest: what counts are the means over folds.
    rest = history.assign(val_loss=losses[-2], val_accuracy=0.0)
    for rows, failed in ((history[::-1], fall), (pd.concat([history, rest]), None)):
        cnn = replace(comparison.models[1], history=rows)
        expected = [("falling", "cnn", pytest.approx(failed))] if failed else []
        assert failures(replace(comparison, models=(comparison.models[0], cnn))) == expected


def test_one_epoch_shows_no_end_and_one_score_no_spread(workdir):
    comparison = made(SIMPLE.but(scores=[0.9]), CNN.but(scores=[0.95]), epochs=1)
    kinds = [("falling", "simple_nn", None), ("falling", "cnn", None), ("folds", None, None)]
    assert failures(comparison) == kinds
    pair = comparison.pairs[0]
    assert pair.difference == (pytest.approx(0.05), -1, 1)
    assert (pair.holm, pair.verdict, pair.required_repeats) == (1, "unknown", None)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("file", "spoil"),
    [
        ("cv/scratch/cnn/fit.json", cut),
        ("test/cnn/errors.npz", cut),
        ("test/cnn/confusion.csv", lambda path: path.write_text("1,x\n")),
        ("cv/scratch/cnn/scores.csv", lambda path: path.write_text("")),
        ("cv/scratch/cnn/history.csv", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(workdir, file, spoil):
    results.write(SIMPLE, CNN)
    spoil(Path("resultados", file))
    with pytest.raises(UserError) as raised:
        read(params.contestants(), 0.005)
    assert str(raised.value).startswith(f"resultados/{file}: ")
    assert "\n" not in str(raised.value)


def test_models_on_other_folds_are_refused(workdir):
    results.write(SIMPLE, CNN)
    path = Path("resultados/cv/scratch/cnn/scores.csv")
    table = pd.read_csv(path)
    table.loc[table["metric"] == "val_images", "value"] += [1, -1, 0]
    table.to_csv(path, index=False)
    with pytest.raises(UserError, match=r"cnn/scores\.csv: expected the folds of simple_nn"):
        read(params.contestants(), 0.005)
