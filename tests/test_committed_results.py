"""The committed statistics computed once more, by scipy, statsmodels and baycomp.

Only what the folds and the test images gave is taken from the results; nothing of the project
computes here.
"""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from baycomp import CorrelatedTTest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from taller.models.catalogue import MODELS

FOLDER = Path(__file__).parents[1] / "resultados"
COUPLES = list(combinations([entry.key for entry in MODELS], 2))
# What the files keep: four decimals, of accuracies that have six. p values have two digits.
SHORT = 6e-5
# Six decimals move a posterior of a scale of a thousandth by less than this.
PROBABLE = 5e-4


def read(name: str):
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def details() -> dict:
    return read("detalle.json")


@pytest.fixture(scope="module")
def accuracies() -> dict[str, np.ndarray]:
    """Of every model, on the same folds in the same order."""
    table = pd.read_json(FOLDER / "plots/folds.json", dtype={"fold": str})
    wide = table.pivot(index="fold", columns="modelo", values="accuracy")
    assert wide.notna().all(axis=None) and len(wide) * len(MODELS) == len(table)
    return {entry.key: wide[entry.name].to_numpy() for entry in MODELS}


@pytest.fixture(scope="module")
def pairs(details) -> dict[tuple[str, str], dict]:
    found = {(pair["first"], pair["second"]): pair for pair in details["pairs"]}
    assert list(found) == COUPLES
    return found


def repeats(details: dict, accuracies: dict[str, np.ndarray]) -> int:
    """K folds train on K - 1 times as many images as they validate on."""
    sizes = details["fold_images"]
    folds = 1 + round(sizes["train"] / sizes["val"])
    assert sizes["train"] / sizes["val"] == pytest.approx(folds - 1, rel=1e-3)
    scores = len(accuracies[MODELS[0].key])
    assert scores % folds == 0
    return scores // folds


def corrected_t(details: dict, first: np.ndarray, second: np.ndarray) -> tuple[float, ...]:
    """Mean, interval and p value: a t-test of one sample, its variance grown by the overlap."""
    sizes = details["fold_images"]
    plain = stats.ttest_rel(second, first)
    grown = np.sqrt(1 + len(first) * sizes["val"] / sizes["train"])
    mean = np.mean(second - first)
    low, high = mean + grown * (np.array(plain.confidence_interval(0.95)) - mean)
    return mean, low, high, 2 * stats.t.sf(abs(plain.statistic) / grown, len(first) - 1)


def baycomps(details: dict, accuracies: dict, first: str, second: str) -> list[float]:
    """The second worse, practically equal, and better."""
    scores = accuracies[first], accuracies[second]
    runs = repeats(details, accuracies)
    return list(CorrelatedTTest.probs(*scores, rope=details["rope"], runs=runs))


def test_every_models_accuracy(details, accuracies):
    assert list(details["models"]) == list(accuracies)
    for key, scores in accuracies.items():
        told = details["models"][key]["cv"]["accuracy"]
        assert told["mean"] == pytest.approx(scores.mean(), abs=SHORT)
        assert told["std"] == pytest.approx(stats.tstd(scores), abs=SHORT)


def test_differences_and_their_intervals(details, accuracies, pairs):
    for (first, second), told in pairs.items():
        found = corrected_t(details, accuracies[first], accuracies[second])
        numbers = [told["difference"], told["ci_low"], told["ci_high"]]
        assert numbers == pytest.approx(found[:3], abs=SHORT)


def test_p_values_and_holms(details, accuracies, pairs):
    raw = [corrected_t(details, accuracies[a], accuracies[b])[3] for a, b in pairs]
    told = [pair["p_value_uncorrected"] for pair in pairs.values()]
    assert told == pytest.approx(raw, rel=0.06)
    told = [pair["p_value"] for pair in pairs.values()]
    assert told == pytest.approx(multipletests(raw, method="holm")[1], rel=0.06)


def test_posteriors_and_verdicts(details, accuracies, pairs):
    for couple, told in pairs.items():
        found = baycomps(details, accuracies, *couple)
        expected = dict(zip(("worse", "equal", "better"), found, strict=True))
        assert told["posterior"] == pytest.approx(expected, abs=PROBABLE)
        sure = [name for name, part in expected.items() if part > 0.95]
        assert [told["verdict"]] == (sure or ["unknown"])


def test_the_test_images(details, pairs):
    for (first, second), told in pairs.items():
        both, one, other, neither = (
            told[name] for name in ("both", "only_first", "only_second", "neither")
        )
        images = both + one + other + neither
        right = {first: (both + one) / images, second: (both + other) / images}
        for key, share in right.items():
            assert details["models"][key]["test"]["accuracy"] == pytest.approx(share, abs=SHORT)
        p_value = mcnemar([[both, one], [other, neither]], exact=True).pvalue
        assert told["mcnemar_p"] == pytest.approx(p_value, rel=0.06)
        # Bonett and Price: Wald's interval, of the images and one more on either side.
        differences = np.repeat([0, 1, -1], [both + neither, other + 1, one + 1])
        scale = np.std(differences) / np.sqrt(images + 2)
        low, high = stats.norm.interval(0.95, differences.mean(), scale)
        difference = told["test_difference"]
        assert difference["value"] == pytest.approx(right[second] - right[first], abs=SHORT)
        assert [difference["ci_low"], difference["ci_high"]] == pytest.approx(
            [low, high], abs=SHORT
        )


def test_the_headlines_are_of_the_best_two(details, accuracies, pairs):
    told = read("metrics.json")["comparison"]
    runner_up, winner = sorted(accuracies, key=lambda key: accuracies[key].mean())[-2:]
    assert told["winner"] == winner
    found = corrected_t(details, accuracies[runner_up], accuracies[winner])
    numbers = [told["difference"], told["ci_low"], told["ci_high"]]
    assert numbers == pytest.approx(found[:3], abs=SHORT)
    best = {winner, runner_up}
    (pair,) = (pair for couple, pair in pairs.items() if {*couple} == best)
    assert told["p_value"] == pair["p_value"]
    better = baycomps(details, accuracies, runner_up, winner)[2]
    assert told["probability"] == pytest.approx(better, abs=PROBABLE)
