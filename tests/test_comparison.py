"""Records and comparisons, held against the predictions that they were made from."""

from dataclasses import replace
from itertools import combinations

import made_up
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from taller.program.errors import Problem
from taller.scores import comparison, results

CLASSES = range(len(made_up.FRUIT))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("three")


@pytest.fixture(scope="module")
def made(place):
    return made_up.write(place, made_up.THREE)


@pytest.fixture(scope="module")
def found(place, made):
    return comparison.read(place / "resultados", made_up.THREE, rope=0.005)


def test_the_scores_are_those_of_the_predictions(made, found):
    for result in found.models:
        folds = made.folds[result.entry.key]
        expected = [accuracy_score(fold.labels, fold.predicted) for fold in folds]
        np.testing.assert_allclose(result.scores("accuracy"), expected)
        expected = [f1_score(fold.labels, fold.predicted, average="macro") for fold in folds]
        np.testing.assert_allclose(result.scores("f1"), expected)
        expected = [
            log_loss(fold.labels, np.exp(fold.log_probabilities), labels=CLASSES) for fold in folds
        ]
        np.testing.assert_allclose(result.scores("log_loss"), expected)
        assert result.folds == [(1, fold) for fold in range(1, len(folds) + 1)]
        assert sum(result.fold_sizes) == made_up.TRAIN
        test = made.test[result.entry.key]
        np.testing.assert_array_equal(
            result.confusion, confusion_matrix(test.labels, test.predicted, labels=CLASSES)
        )
        assert tuple(result.per_class["clase"]) == made_up.FRUIT


def test_scores_come_by_repeat_then_fold_however_they_were_written(found):
    rows = [
        ("simple_nn", repeat, fold, "accuracy", repeat + fold / 100)
        for fold in (10, 2, 1)
        for repeat in (2, 1)
    ]
    result = replace(found.models[0], records=pd.DataFrame(rows, columns=results.RECORD))
    assert result.scores("accuracy").tolist() == [1.01, 1.02, 1.1, 2.01, 2.02, 2.1]
    assert result.folds == [(1, 1), (1, 2), (1, 10), (2, 1), (2, 2), (2, 10)]


def test_class_names_stay_what_they_are(tmp_path):
    names = ("NA", "007", "1.0")
    made_up.write(tmp_path, names=names)
    found = comparison.read(tmp_path / "resultados", made_up.TWO, rope=0.005)
    assert tuple(found.names) == names
    assert all(tuple(result.per_class["clase"]) == names for result in found.models)


def test_every_pair_is_tested_on_folds_and_images(made, found):
    couples = list(combinations(found.models, 2))
    assert [(pair.first, pair.second) for pair in found.pairs] == couples
    raw = []
    for pair in found.pairs:
        first, second = (
            np.array([accuracy_score(fold.labels, fold.predicted) for fold in made.folds[key]])
            for key in (pair.first.entry.key, pair.second.entry.key)
        )
        train, val = found.baseline.fold_sizes
        # A t-test of one sample, whose variance grows from 1 / K to 1 / K + n_val / n_train.
        plain = stats.ttest_rel(second, first)
        grown = np.sqrt(1 + len(first) * val / train)
        raw.append(2 * stats.t.sf(abs(plain.statistic) / grown, len(first) - 1))
        interval = plain.confidence_interval(0.95)
        margin = (interval.high - interval.low) / 2 * grown
        mean = (second - first).mean()
        assert pair.difference.mean == pytest.approx(mean)
        assert (pair.difference.low, pair.difference.high) == pytest.approx(
            (mean - margin, mean + margin)
        )

        one, other = (made.test[part.entry.key] for part in (pair.first, pair.second))
        right, too = one.predicted == one.labels, other.predicted == other.labels
        table = pd.crosstab(right, too).reindex(index=[True, False], columns=[True, False])
        expected = mcnemar(table.to_numpy(), exact=True).pvalue
        assert pair.disagreement.p_value == pytest.approx(expected)
        assert (pair.both, pair.neither) == (table.iloc[0, 0], table.iloc[1, 1])
    assert [pair.difference.p_value for pair in found.pairs] == pytest.approx(raw)
    corrected = multipletests(raw, method="holm")[1]
    assert [pair.p_value for pair in found.pairs] == pytest.approx(corrected)
    assert max(corrected / raw) > 1  # or nothing was corrected


def test_two_models_are_one_pair_without_correction(place, made):
    found = comparison.read(place / "resultados", made_up.TWO, rope=0.005)
    (pair,) = found.pairs
    assert pair.p_value == pair.difference.p_value
    assert (found.baseline, found.challengers) == (found.models[0], (found.models[1],))


@pytest.mark.parametrize(
    ("accuracies", "ranking"),
    [
        (([0.7, 0.8], [0.9, 0.95], [0.8, 0.85]), ["resnet18", "cnn", "simple_nn"]),
        (([0.9, 0.95], [0.7, 0.8], [0.8, 0.85]), ["simple_nn", "cnn", "resnet18"]),
        # Equal means, and sums that differ in their last bit: the catalogue's order.
        (([0.3, 0.2, 0.1], [0.1, 0.2, 0.3], [0.9, 0.8, 0.9]), ["cnn", "simple_nn", "resnet18"]),
        (([0.5, 0.6], [0.6, 0.5], [0.5, 0.6]), ["simple_nn", "resnet18", "cnn"]),
    ],
)
def test_the_ranking_is_by_mean_accuracy(found, accuracies, ranking):
    found = made_up.with_accuracies(found, *accuracies)
    assert [result.entry.key for result in found.ranking] == ranking
    assert [found.winner, found.runner_up] == list(found.ranking[:2])
    pair = found.decisive
    assert (pair.first, pair.second) == (found.runner_up, found.winner)
    means = dict(zip((r.entry.key for r in found.models), map(np.mean, accuracies), strict=True))
    gap = means[ranking[0]] - means[ranking[1]]
    assert pair.difference.mean == pytest.approx(gap, abs=1e-12)
    # The images that only one got right turn round with the models.
    counts = {(row["first"], row["second"]): row for row in found.agreement}
    keys = (pair.first.entry.key, pair.second.entry.key)
    straight = keys in counts
    row = counts[keys if straight else keys[::-1]]
    assert pair.disagreement.only_second == row["only_second" if straight else "only_first"]


def test_intervals_end_where_the_metric_does(found):
    wide = made_up.with_accuracies(found, *[[0.2, 0.9]] * 3).models[0]
    estimate = comparison.cv_estimate(wide, "accuracy")
    assert (estimate.low, estimate.high) == (0, 1)
    assert 0 < comparison.cv_estimate(found.models[0], "accuracy").low < 1
    assert comparison.cv_estimate(found.models[0], "log_loss").high > 1


def test_intervals_on_test_images_are_wilsons(made, found):
    for result in found.models:
        test = made.test[result.entry.key]
        right = test.predicted == test.labels
        estimate = comparison.accuracy_on_test(result)
        expected = proportion_confint(right.sum(), len(right), method="wilson")
        assert (estimate.low, estimate.high) == pytest.approx(expected)
        bins = comparison.calibration(result)
        expected = proportion_confint(bins["hits"], bins["images"], method="wilson")
        np.testing.assert_allclose([bins["accuracy_low"], bins["accuracy_high"]], expected)
        sure = np.exp(test.log_probabilities.max(axis=1))
        row = bins.iloc[-1]
        inside = right[sure > row["low"]]
        assert (row["images"], row["accuracy"]) == (len(inside), pytest.approx(inside.mean()))


def edit(path, change):
    table = pd.read_csv(path)
    change(table).to_csv(path, index=False)


def moved_an_image(table):
    """From the second fold's validation to the first one's; each repeat still adds up."""
    more = (table["fold"] == 1) == (table["metric"] == "val_images")
    moved = table["metric"].str.endswith("_images") & table["fold"].isin([1, 2])
    return table.assign(value=table["value"] + moved * (2 * more - 1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.assign(model="other"), "expected records of simple_nn"),
        (
            lambda table: table[table["metric"] != "f1"],
            "repeat 1, fold 1, metric f1 once, found 0 times",
        ),
        (lambda table: table.drop(columns="repeat"), "expected the columns"),
        (lambda table: table[table["fold"] > 1], "fold 1, metric accuracy once, found 0 times"),
        (lambda table: pd.concat([table, table[:1]]), "metric accuracy once, found 2 times"),
        (moved_an_image, "expected resnet18 on the folds of simple_nn, found train_images"),
    ],
)
def test_records_that_do_not_belong_are_refused(tmp_path, change, told):
    made_up.write(tmp_path)
    edit(tmp_path / "resultados/simple_nn/scores.csv", change)
    with pytest.raises(Problem) as raised:
        comparison.read(tmp_path / "resultados", made_up.TWO, rope=0.005)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_counts_of_another_number_of_classes_are_refused(tmp_path):
    made_up.write(tmp_path)
    (tmp_path / "resultados/simple_nn/test_confusion.csv").write_text("1,0\n0,1\n")
    with pytest.raises(Problem, match="expected 5 x 5 counts, found 2 rows of 2 values"):
        comparison.read(tmp_path / "resultados", made_up.TWO, rope=0.005)


def test_a_pair_that_was_not_counted_is_told(found):
    with pytest.raises(Problem, match="expected the pair"):
        _ = replace(found, agreement=found.agreement[:1]).pairs
