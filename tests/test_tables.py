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
    assert len(found) <= 15
    assert max(map(len, found)) <= 28
    assert set(leaves(tables.metrics(mnist))) == {
        *(f"{key}.cv.accuracy.{part}" for key in ("simple_nn", "resnet18")
          for part in ("mean", "std")),
        "simple_nn.test.accuracy", "resnet18.test.accuracy",
        *(f"comparison.{part}" for part in
          ("winner", "difference", "ci_low", "ci_high", "p_value")),
    }  # fmt: skip


def test_metrics_are_those_of_winner_against_runner_up(fruit):
    found = tables.metrics(made_up.with_accuracies(fruit, LOW, MIDDLE, HIGH))
    assert found["comparison"]["winner"] == "cnn"
    assert found["comparison"]["difference"] == round(float(np.subtract(HIGH, MIDDLE).mean()), 4)
    assert 0 < found["comparison"]["ci_low"] < found["comparison"]["ci_high"]
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
    assert found["pretraining"] == {
        "requested": "glyphs", "source": "glyphs", "images": 60_000, "glyph_accuracy": 0.7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0321, "p = 0.0321"), (1e-4, "p = 0.0001"), (9e-5, "p < 0.0001"), (0, "p < 0.0001")],
)
def test_no_p_value_reads_as_zero(value, told):
    assert tables.p_text(value) == told


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
