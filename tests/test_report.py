"""The committed report and tables, rebuilt; and what the report says when others win."""

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taller.program import files
from taller.report import tables
from taller.report.report import REFLECTION, Outcome, outcome, report
from taller.scores import comparison

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "resultados"
PRETRAINING = {
    "imagenet": {"requested": "imagenet", "source": "imagenet", "sha256": "ab" * 32},
    "glyphs": {
        "requested": "glyphs",
        "source": "glyphs",
        "images": 60_000,
        "glyph_accuracy": 0.7,
        "sha256": "cd" * 32,
    },
    "none": {"requested": "none", "source": "none", "sha256": "ef" * 32},
}


@pytest.fixture
def found():
    return comparison.read(RESULTS)


def with_accuracies(found, simple: list[float], tuned: list[float]):
    """The same comparison, had the folds had other accuracies."""

    def changed(result, accuracies):
        scores = result.scores.iloc[[0] * len(accuracies)].assign(
            fold=range(1, len(accuracies) + 1), accuracy=accuracies
        )
        return replace(result, scores=scores.reset_index(drop=True))

    return replace(found, simple=changed(found.simple, simple), tuned=changed(found.tuned, tuned))


LOW, HIGH = [0.95, 0.951, 0.952], [0.98, 0.981, 0.9825]
OUTCOMES = {
    Outcome.TUNED: (LOW, HIGH),
    Outcome.SIMPLE: (HIGH, LOW),
    Outcome.TIE: ([0.97, 0.98, 0.975], [0.975, 0.976, 0.976]),
}


def test_the_committed_report_is_that_of_the_committed_results(found):
    assert report(found) == (RESULTS / "informe.md").read_text(encoding="utf-8")


def test_the_committed_tables_are_those_of_the_committed_results(found, tmp_path):
    files.write_json(tmp_path / "metrics.json", tables.metrics(found))
    expected = (RESULTS / "metrics.json").read_text(encoding="utf-8")
    assert (tmp_path / "metrics.json").read_text(encoding="utf-8") == expected
    table = tables.comparison_table(found)
    text = (RESULTS / "comparacion_metrics.csv").read_text(encoding="utf-8")
    pd.testing.assert_frame_equal(pd.read_csv(StringIO(text)), table)


def test_the_table_begins_with_the_workshops_columns_and_reads_well(found):
    table = tables.comparison_table(found)
    assert list(table)[:4] == ["Modelo", "Accuracy", "Precision", "Recall"]
    numbers = re.findall(r"\d+\.\d+", table.to_csv(index=False))
    assert max(len(number.split(".")[1]) for number in numbers) <= 4


def test_metrics_have_names_that_fit_a_terminal(found):
    def names(value, prefix=""):
        if not isinstance(value, dict):
            return [prefix.removesuffix(".")]
        return [name for key, part in value.items() for name in names(part, f"{prefix}{key}.")]

    assert max(len(name) for name in names(tables.metrics(found))) <= 28


@pytest.mark.parametrize("source", PRETRAINING)
@pytest.mark.parametrize("expected", Outcome)
def test_every_outcome_is_told_as_it_is(found, source, expected):
    found = replace(with_accuracies(found, *OUTCOMES[expected]), pretraining=PRETRAINING[source])
    text = report(found)
    assert outcome(found) is expected
    verdicts = {
        Outcome.TUNED: "**ResNet18 supera a SimpleNN.**",
        Outcome.SIMPLE: "**SimpleNN supera a ResNet18.**",
        Outcome.TIE: "no se distinguen.**",
    }
    assert [outcome for outcome, verdict in verdicts.items() if verdict in text] == [expected]
    assert [key for key, thought in REFLECTION.items() if thought in text] == [(source, expected)]
    assert ("letras dibujadas" in text) == ("glifos.png" in text) == (source == "glyphs")
    assert ("¿Supera una ResNet18 sin preentrenar" in text) == (source == "none")
    assert found.pretraining["sha256"][:8] in text
    assert ("es el control." in text.split("## Validación")[0]) == (source == "none")


@pytest.mark.parametrize(("requested", "told"), [("auto", True), ("glyphs", False)])
def test_letters_for_want_of_imagenet_are_told(found, requested, told):
    found = replace(found, pretraining=PRETRAINING["glyphs"] | {"requested": requested})
    assert ("Los pesos de ImageNet no estaban al alcance." in report(found)) == told
    assert tables.metrics(found)["pretraining"] == {
        "requested": requested, "source": "glyphs", "images": 60_000, "glyph_accuracy": 0.7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "only_simple_nn", "only_resnet18", "sentence"),
    [
        (Outcome.TUNED, 10, 90, "Las imágenes de prueba lo confirman"),
        (Outcome.TUNED, 50, 52, "no bastan para confirmarlo"),
        (Outcome.TUNED, 90, 10, "en cambio, favorecen a SimpleNN"),
        (Outcome.SIMPLE, 90, 10, "Las imágenes de prueba lo confirman"),
        (Outcome.SIMPLE, 10, 90, "en cambio, favorecen a ResNet18"),
        (Outcome.TIE, 50, 52, "Tampoco las imágenes de prueba los separan"),
        (Outcome.TIE, 10, 90, "sí favorecen a ResNet18"),
        (Outcome.TIE, 90, 10, "sí favorecen a SimpleNN"),
    ],
)
def test_the_test_images_may_say_something_else(
    found, expected, only_simple_nn, only_resnet18, sentence
):
    counts = {"only_simple_nn": only_simple_nn, "only_resnet18": only_resnet18}
    found = replace(
        with_accuracies(found, *OUTCOMES[expected]), agreement={**found.agreement, **counts}
    )
    assert sentence in report(found)


def test_the_interval_is_told_from_the_winners_side(found):
    there = report(with_accuracies(found, LOW, HIGH))
    back = report(with_accuracies(found, HIGH, LOW))
    interval = re.compile(r"IC 95 % de (\S+) a (\S+);")
    assert interval.search(there).groups() == interval.search(back).groups()
    low, high = (float(end.replace(",", ".")) for end in interval.search(back).groups())
    assert 0 < low < 100 * np.subtract(HIGH, LOW).mean() < high


def test_no_difference_favours_nobody(found):
    text = report(with_accuracies(found, [0.95, 0.96, 0.97], [0.96, 0.95, 0.97]))
    assert "0,00 puntos de accuracy, es compatible con cero" in text
    assert "−0,00" not in text


@pytest.mark.parametrize(
    ("simple", "tuned", "told"),
    [
        (LOW, HIGH, "La red ajustada supera a SimpleNN en los 3 pliegues."),
        (HIGH, LOW, "La red ajustada no supera a SimpleNN en ninguno de los 3 pliegues."),
        ([0.99, 0.9, 0.9], LOW, "La red ajustada supera a SimpleNN en 2 de los 3 pliegues."),
    ],
)
def test_the_folds_that_fine_tuning_wins(found, simple, tuned, told):
    assert told in report(with_accuracies(found, simple, tuned))


def test_intervals_end_where_the_metric_does(found):
    wide = with_accuracies(found, [0.2, 0.9], [0.2, 0.9]).simple
    estimate = comparison.cv_estimate(wide, "accuracy")
    assert (estimate.low, estimate.high) == (0, 1)
    assert 0 < comparison.cv_estimate(found.simple, "accuracy").low < 1


def test_prose_has_decimal_commas_and_no_p_value_of_zero(found):
    text = report(found)
    assert not re.search(r"\d\.\d", text)
    assert "p = 0,000" not in text
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_the_report_shows_every_picture_of_the_pipeline(found, pipeline_pictures):
    pictures = re.findall(r"\]\((\S+\.png)\)", report(found))
    assert {f"resultados/{name}" for name in pictures} == pipeline_pictures
    assert all((RESULTS / name).is_file() for name in pictures)
