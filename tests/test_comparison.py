"""Results read back, and every two models against each other, held against other libraries."""

from dataclasses import replace
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
from taller.common.terminal import UserError
from taller.statistics.comparison import Comparison, read

# Three repeats of four folds.
SCORES = 0.95 + 0.01 * np.random.default_rng(0).random((3, 12))


def made(*contestants: Made, rope: float = 0.005, metric="accuracy", **options) -> Comparison:
    results.write(*contestants, **options)
    return read(params.contestants(), rope, metric)


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


def test_scores_come_by_repeat_then_fold_however_they_were_written(three):
    shuffled = three.models[0].table.sample(frac=1, random_state=1)
    result = replace(three.models[0], table=shuffled)
    np.testing.assert_allclose(result.scores("accuracy"), SCORES[0])
    error = np.sqrt((1 / 12 + 1 / 3) * SCORES[0].var(ddof=1))
    expected = stats.t(11, SCORES[0].mean(), error).interval(0.95)
    assert result.mean("accuracy")[1:] == pytest.approx(expected)


def test_the_test_images_are_those_that_were_answered(workdir):
    answers = results.write(SIMPLE, CNN, names=("NA", "007", "1.0"))
    for result in read(params.contestants(), 0.005, "accuracy").models:
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


def test_imagenets_own_head_is_held_against_what_was_trained(workdir):
    votes = {"imagenet_votes": 0.93, "imagenet_votes_balanced": 0.95}
    comparison = made(SIMPLE, TUNED.but(source="imagenet", metrics=votes))
    tuned = comparison.models[1]
    assert comparison.imagenet_head is tuned
    posterior = CorrelatedTTest.probs(np.full(3, 0.93), np.array(tuned.scores("accuracy")), 0.005)
    assert comparison.over_votes(tuned) == pytest.approx(posterior)


def test_of_equal_means_the_order_of_params_yaml_ranks(workdir):
    # Sums that differ in their last bit.
    scores = [0.3, 0.2, 0.1], [0.1, 0.2, 0.3], [0.9, 0.8, 0.9]
    models = [one.but(scores=row) for one, row in zip((SIMPLE, CNN, TUNED), scores, strict=True)]
    assert [one.name for one in made(*models).ranking] == ["resnet18", "simple_nn", "cnn"]


# Of the validation part of every fold, 95 % are of the largest class.
RARE = {"largest_class": 0.95, "largest_class_balanced": 0.5}


@pytest.mark.parametrize(
    ("simple", "cnn", "skilled", "verdict"),
    [
        ([0.70, 0.71, 0.705], [0.945, 0.95, 0.952], [], "no_skill"),
        ([0.96, 0.96, 0.85], [0.99, 0.991, 0.99], ["cnn"], "unknown"),
        ([0.99, 0.991, 0.99], [0.7, 0.71, 0.705], ["simple_nn"], "worse"),
    ],
)
def test_who_does_not_beat_the_largest_class_is_better_than_nobody(
    workdir, simple, cnn, skilled, verdict
):
    comparison = made(*(one.but(scores=row, metrics=RARE) for one, row in (
        (SIMPLE, simple), (CNN, cnn)
    )))  # fmt: skip
    assert [one.name for one in comparison.skilled] == skilled
    for result, scores in zip(comparison.models, (simple, cnn), strict=True):
        posterior = CorrelatedTTest.probs(np.full(3, 0.95), np.array(scores), rope=0.005, runs=1)
        assert comparison.over_largest_class[result] == pytest.approx(posterior)
    pair = comparison.pairs[0]
    assert pair.verdict == verdict
    turned = {"better": "worse", "worse": "better"}
    assert comparison.pair(pair.second, pair.first).verdict == turned.get(verdict, verdict)


def test_a_control_of_few_folds_is_compared_on_them_and_cannot_win(workdir):
    # Two repeats of six folds, of which the control has the first two of each.
    simple, cnn = (one.but(scores=row) for one, row in zip((SIMPLE, CNN), SCORES, strict=False))
    rows, lucky = [0, 1, 6, 7], np.array([0.999, 0.996, 0.997, 0.998])
    control = TUNED.but(name="control", source="none", folds=2, scores=lucky)
    comparison = made(simple, cnn, control, repeats=2)
    assert {one.name for one in comparison.ranking} == {"simple_nn", "cnn"}
    assert [pair.folds for pair in comparison.pairs] == [12, 4, 4]
    pair = comparison.pairs[1]  # control minus SimpleNN
    gaps = lucky - SCORES[0][rows]
    posterior = stats.t(3, gaps.mean(), np.sqrt((1 / 4 + 1 / 5) * gaps.var(ddof=1)))
    assert pair.difference == pytest.approx((gaps.mean(), *posterior.interval(0.95)))
    assert pair.posterior.better == pytest.approx(posterior.sf(0.005))


def test_what_two_models_differ_in_and_which_pairs_isolate_pretraining(workdir):
    body = {"frozen": []}
    letters = Made("letras", "cnn", "letters", training=body)
    control = TUNED.but(name="control", source="none", training={"frozen": ["conv1"]})
    outside = TUNED.but(name="outside", source="imagenet")
    large = TUNED.but(name="large", training={"model_params": {"image_size": 112}})
    untuned = TUNED.but(name="untuned", source="none")
    comparison = made(SIMPLE, CNN, letters, control, untuned, TUNED, outside, large)
    changes = {(pair.first.name, pair.second.name): pair.changes for pair in comparison.pairs}
    for names, expected in {
        ("cnn", "simple_nn"): ["network"],
        ("letras", "cnn"): ["pretraining"],
        ("letras", "simple_nn"): ["network", "pretraining"],
        ("resnet18", "cnn"): ["network", "pretraining"],
        ("resnet18", "letras"): ["network", "layers"],
        ("resnet18", "control"): ["pretraining", "layers"],
        ("outside", "resnet18"): ["pretraining"],
        ("large", "resnet18"): ["pixels"],
        ("large", "untuned"): ["pixels", "pretraining"],
    }.items():
        assert changes[names] == expected, names
    isolating = [(pair.first.name, pair.second.name) for pair in comparison.isolating]
    assert isolating == [("letras", "cnn"), ("resnet18", "untuned"), ("outside", "untuned")]


def failures(comparison: Comparison) -> list[tuple]:
    return [(one.kind, one.result and one.result.name, one.value) for one in comparison.failures]


@pytest.mark.parametrize(("known", "failed"), [([0.9, 0.0269], None), ([0.0268, 0.9], 0.0268)])
def test_letters_that_one_of_the_networks_did_not_learn(workdir, known, failed):
    tuned = TUNED.but(letters=LETTERS | {"accuracy": known, "networks": 2})
    expected = [("pretraining", "resnet18", failed)] if failed else []
    assert failures(made(SIMPLE, tuned)) == expected


@pytest.mark.parametrize(
    ("losses", "rise", "fall"),
    [
        ([0.5, 0.45], 0.01, None),  # by a tenth
        ([0.5, 0.4499], 0.01, 0.1002),
        ([1.0, 0.5], 0.0024, None),  # it matters where accuracy rises by half the rope
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
        ("test/cnn/errors.npz", cut),
        ("test/cnn/confusion.csv", lambda path: path.write_text("1,x\n")),
        ("cv/scratch/cnn/history.csv", lambda path: path.write_bytes(b"\xff\xfe\x00")),
    ],
)
def test_a_file_that_cannot_be_read_is_named_in_one_line(workdir, file, spoil):
    results.write(SIMPLE, CNN)
    spoil(Path("resultados", file))
    with pytest.raises(UserError) as raised:
        read(params.contestants(), 0.005, "accuracy")
    assert str(raised.value).startswith(f"resultados/{file}: ")
    assert "\n" not in str(raised.value)


def test_models_on_other_folds_are_refused(workdir):
    results.write(SIMPLE, CNN)
    path = Path("resultados/cv/scratch/cnn/scores.csv")
    table = pd.read_csv(path)
    table.loc[table["metric"] == "val_images", "value"] += [1, -1, 0]
    # A part of the folds is a control, unless they are others.
    for rows in (table, table[table["fold"] < 3]):
        rows.to_csv(path, index=False)
        with pytest.raises(UserError, match=r"cnn/scores\.csv: expected the folds of simple_nn"):
            read(params.contestants(), 0.005, "accuracy")
