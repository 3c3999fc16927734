"""The table, the metrics, the details and the rows that plots draw, of made-up results."""

import json
import re
from dataclasses import replace

import made_up
import numpy as np
import pandas as pd
import pytest

from taller.report import plot_rows, tables
from taller.scores import results

LOW, MIDDLE, HIGH = [0.95, 0.951, 0.952], [0.96, 0.9612, 0.9621], [0.98, 0.981, 0.9825]


def leaves(value, prefix: str = "") -> dict[str, object]:
    """The numbers of a nested dict, by their names as DVC writes them."""
    if not isinstance(value, dict):
        return {prefix.removesuffix("."): value}
    parts = [leaves(part, f"{prefix}{key}.") for key, part in value.items()]
    return {name: number for part in parts for name, number in part.items()}


def test_the_table_begins_with_the_workshops_columns_and_reads_well(fruit):
    table = tables.comparison_table(fruit)
    assert list(table)[:4] == ["Modelo", "Accuracy", "Precision", "Recall"]
    assert list(table["Modelo"]) == [entry.name for entry in made_up.THREE]
    assert list(table["Preentrenamiento"]) == ["ninguno", "glyphs", "ninguno"]
    numbers = re.findall(r"\d+\.\d+", table.to_csv(index=False))
    assert max(len(number.split(".")[1]) for number in numbers) <= 4


def test_metrics_are_few_and_have_names_that_fit_a_terminal(fruit, mnist):
    found = leaves(tables.metrics(fruit))
    assert len(found) == 15
    assert max(map(len, found)) <= 28
    assert set(leaves(tables.metrics(mnist))) == {
        *(f"{key}.cv.accuracy.{part}" for key in ("simple_nn", "resnet18")
          for part in ("mean", "std")),
        "simple_nn.test.accuracy", "resnet18.test.accuracy",
        *(f"comparison.{part}" for part in
          ("winner", "difference", "ci_low", "ci_high", "p_value", "probability")),
    }  # fmt: skip


def test_metrics_are_those_of_winner_against_runner_up(fruit):
    found = tables.metrics(made_up.with_accuracies(fruit, LOW, MIDDLE, HIGH))
    assert found["comparison"]["winner"] == "cnn"
    assert found["comparison"]["difference"] == round(float(np.subtract(HIGH, MIDDLE).mean()), 4)
    assert 0 < found["comparison"]["ci_low"] < found["comparison"]["ci_high"]
    assert found["comparison"]["probability"] > 0.99
    assert found["cnn"]["cv"]["accuracy"] == {
        "mean": round(float(np.mean(HIGH)), 4),
        "std": round(float(np.std(HIGH, ddof=1)), 4),
    }


def test_the_details_have_all_that_is_no_metric(fruit):
    found = tables.details(fruit)
    json.dumps(found, allow_nan=False)
    for result in fruit.models:
        own = found["models"][result.entry.key]
        assert own["trained_parameters"] == result.trained_parameters
        assert set(own["cv"]) == set(results.METRICS)
        assert set(own["test"]) == {*result.test, "ci_low", "ci_high"}
        assert own["test"]["ci_low"] < own["test"]["accuracy"] < own["test"]["ci_high"]
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == [
        ("simple_nn", "resnet18"), ("simple_nn", "cnn"), ("resnet18", "cnn"),
    ]  # fmt: skip
    for pair, row in zip(found["pairs"], fruit.agreement, strict=True):
        assert {key: pair[key] for key in row} == row
        assert pair["p_value"] >= pair["p_value_uncorrected"]
        assert pair["both"] + pair["only_first"] + pair["only_second"] + pair["neither"] == 400
    known = {key: value for key, value in made_up.GLYPHS.items() if key != "sha256"}
    assert found["pretraining"] == known


def test_a_pair_has_its_verdict_and_the_test_images_difference(fruit):
    found = made_up.with_accuracies(fruit, LOW, MIDDLE, HIGH)
    for told, pair in zip(tables.details(found)["pairs"], found.pairs, strict=True):
        assert told["verdict"] == "better"  # in the order of the catalogue each is
        chances = told["posterior"]
        assert list(chances) == ["worse", "equal", "better"]
        assert sum(chances.values()) == pytest.approx(1, abs=2e-4)
        assert 0.95 < chances["better"] == pytest.approx(pair.posterior.better, abs=5e-5)
        on_test = told["test_difference"]
        right = {
            key: (told["both"] + told[only]) / 400
            for key, only in (("first", "only_first"), ("second", "only_second"))
        }
        assert on_test["value"] == pytest.approx(right["second"] - right["first"], abs=5e-5)
        assert on_test["ci_low"] < on_test["value"] < on_test["ci_high"]
        assert on_test["ci_low"] == pytest.approx(pair.test_difference.low, abs=5e-5)


def test_costs_are_told_with_pretraining(fruit):
    table, models = tables.comparison_table(fruit), tables.details(fruit)["models"]
    columns = ["Parámetros ejecutados", "Operaciones por respuesta", "Operaciones de entrenamiento"]
    assert list(table)[-3:] == columns
    for result, (_, row) in zip(fruit.models, table.iterrows(), strict=True):
        before = made_up.GLYPHS["flops"] if result.entry.pretrained else 0
        expected = [result.parameters, result.answer_flops, result.training_flops + before]
        assert row[columns].tolist() == expected
        own = models[result.entry.key]
        assert [own["parameters"], own["flops"]["answer"], own["flops"]["training"]] == expected


def test_what_the_verdicts_rest_on_is_told(fruit):
    found = tables.details(fruit)
    assert (found["rope"], found["premises"]) == (0.005, [])
    assert found["fold_images"] == {"train": 450, "val": 150}  # four folds of 600
    failed = replace(fruit, pretraining=fruit.pretraining | {"glyph_accuracy": [0.0025]})
    assert tables.details(failed)["premises"] == ["pretraining"]


def test_a_single_fold_has_no_spread(fruit):
    found = made_up.with_accuracies(fruit, LOW[:1], MIDDLE[:1], HIGH[:1])
    json.dumps([tables.details(found), tables.metrics(found)], allow_nan=False)
    assert tables.metrics(found)["cnn"]["cv"]["accuracy"] == {"mean": 0.98, "std": None}
    row = tables.comparison_table(found).to_csv(index=False, float_format="%.4f").split("\n")[1]
    assert "nan" not in row.lower()


def test_plot_rows_say_what_the_results_say(fruit, tmp_path):
    plot_rows.write(fruit, tmp_path)
    curves, folds, cells = (
        pd.DataFrame(json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")))
        for name in ("perdida", "folds", "confusion")
    )
    names = [entry.name for entry in made_up.THREE]
    assert list(curves) == ["modelo", "epoca", "conjunto", "media", "inferior", "superior"]
    for result, (name, rows) in zip(
        fruit.models, curves.groupby("modelo", sort=False), strict=True
    ):
        last = rows[(rows["epoca"] == made_up.EPOCHS) & (rows["conjunto"] == "validación")]
        losses = result.history.query("epoch == @made_up.EPOCHS")["val_loss"]
        expected = [losses.mean(), losses.min(), losses.max()]
        assert name == result.entry.name
        np.testing.assert_allclose(
            last[["media", "inferior", "superior"]].to_numpy()[0], expected, rtol=1e-5
        )
    assert list(folds) == ["modelo", "fold", "accuracy"]
    assert list(folds["modelo"].unique()) == names
    assert folds["fold"].tolist() == [1, 2, 3, 4] * 3
    scores = np.concatenate([result.scores("accuracy") for result in fruit.models])
    np.testing.assert_allclose(folds["accuracy"], scores, rtol=1e-5)
    assert list(cells) == ["modelo", "real", "predicho", "imagenes", "proporcion"]
    for result, (name, rows) in zip(fruit.models, cells.groupby("modelo", sort=False), strict=True):
        square = rows.pivot(index="real", columns="predicho", values="imagenes")
        square = square.loc[list(made_up.FRUIT), list(made_up.FRUIT)]
        np.testing.assert_array_equal(square, result.confusion)
        np.testing.assert_allclose(rows.groupby("real")["proporcion"].sum(), 1, atol=3e-4)
        assert name == result.entry.name


def test_folds_of_repeats_are_named_apart(fruit):
    result = fruit.models[0]
    again = pd.concat([result.records, result.records.assign(repeat=2)])
    names = plot_rows.fold_names(replace(result, records=again))
    assert names == ["1.1", "1.2", "1.3", "1.4", "2.1", "2.2", "2.3", "2.4"]
