"""The tables and the report: of two and three models, and when others win, on made-up results."""

import json
import re
from dataclasses import replace
from io import StringIO

import made_up
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score

from stages.compare import compare
from taller.models.catalogue import MODELS
from taller.report import pictures, plot_rows, tables
from taller.report.reflections import REFLECTION, Outcome, outcome
from taller.report.report import report
from taller.scores import comparison, results

DIGITS = tuple("0123456789")
PRETRAINING = {
    "imagenet": {"requested": "imagenet", "source": "imagenet", "sha256": "ab" * 32},
    "glyphs": made_up.GLYPHS,
    "none": {"requested": "none", "source": "none", "sha256": "ef" * 32},
}
LOW, HIGH = [0.95, 0.951, 0.952], [0.98, 0.981, 0.9825]
MIDDLE = [0.96, 0.9612, 0.9621]
OUTCOMES = {
    Outcome.TUNED: (LOW, HIGH),
    Outcome.SIMPLE: (HIGH, LOW),
    Outcome.TIE: ([0.97, 0.98, 0.975], [0.975, 0.976, 0.976]),
}


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """Two models on ten digits."""
    place = tmp_path_factory.mktemp("mnist")
    made_up.write(place, names=DIGITS, shape=(1, 28, 28), name="MNIST")
    return comparison.read(place / "resultados", MODELS)


@pytest.fixture(scope="module")
def fruit(tmp_path_factory):
    """Three models on five classes, in colour."""
    place = tmp_path_factory.mktemp("fruit")
    made_up.write(place, made_up.THREE)
    return comparison.read(place / "resultados", made_up.THREE)


def with_accuracies(found, *accuracies: list[float]):
    """The same comparison, had the folds had other accuracies."""

    def changed(result, values):
        count = len(values)
        old = result.records[result.records["fold"] <= count].copy()
        assert old["fold"].nunique() == count
        rows = old["metric"] == "accuracy"
        old.loc[rows, "value"] = values
        return replace(result, records=old)

    models = zip(found.models, accuracies, strict=True)
    return replace(found, models=tuple(changed(*one) for one in models))


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
    found = tables.metrics(with_accuracies(fruit, LOW, MIDDLE, HIGH))
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


@pytest.mark.parametrize("source", PRETRAINING)
@pytest.mark.parametrize("expected", Outcome)
def test_every_outcome_is_told_as_it_is(mnist, source, expected):
    found = replace(with_accuracies(mnist, *OUTCOMES[expected]), pretraining=PRETRAINING[source])
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
def test_letters_for_want_of_imagenet_are_told(mnist, requested, told):
    found = replace(mnist, pretraining=PRETRAINING["glyphs"] | {"requested": requested})
    assert ("Los pesos de ImageNet no estaban al alcance." in report(found)) == told


@pytest.mark.parametrize(
    ("expected", "only_first", "only_second", "sentence"),
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
def test_the_test_images_may_say_something_else(mnist, expected, only_first, only_second, sentence):
    counts = {"only_first": only_first, "only_second": only_second}
    found = with_accuracies(mnist, *OUTCOMES[expected])
    text = report(replace(found, agreement=[mnist.agreement[0] | counts]))
    assert sentence in text
    assert f"ResNet18 acierta {only_second} que SimpleNN falla" in text


def test_the_interval_is_told_from_the_winners_side(mnist):
    there = report(with_accuracies(mnist, LOW, HIGH))
    back = report(with_accuracies(mnist, HIGH, LOW))
    interval = re.compile(r"IC 95 % de (\S+) a (\S+);")
    assert interval.search(there).groups() == interval.search(back).groups()
    low, high = (float(end.replace(",", ".")) for end in interval.search(back).groups())
    assert 0 < low < 100 * np.subtract(HIGH, LOW).mean() < high


def test_no_difference_favours_nobody(mnist):
    text = report(with_accuracies(mnist, [0.95, 0.96, 0.97], [0.96, 0.95, 0.97]))
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
def test_the_folds_that_fine_tuning_wins(mnist, simple, tuned, told):
    assert told in report(with_accuracies(mnist, simple, tuned))


def test_of_three_models_the_best_two_are_compared_and_all_pairs_listed(fruit):
    found = with_accuracies(fruit, LOW, HIGH, MIDDLE)
    text = report(found)
    assert "De SimpleNN, ResNet18 y CNN, ¿cuál acierta más" in text
    assert "ResNet18 supera a CNN, la segunda, en" in text
    assert "**ResNet18 supera a CNN.**" in text
    assert "corrección de Holm entre las 3 parejas" in text
    rows = re.findall(r"^\| (\w+), (\w+) \| (\S+) \[(\S+); (\S+)\] \| (p \S \S+) \|", text, re.M)
    assert [(row[0], row[1]) for row in rows] == [
        ("SimpleNN", "ResNet18"), ("SimpleNN", "CNN"), ("ResNet18", "CNN"),
    ]  # fmt: skip
    told = [float(row[2].replace(",", ".").replace("−", "-")) for row in rows]
    means = [100 * np.mean(one) for one in (LOW, HIGH, MIDDLE)]
    expected = [means[1] - means[0], means[2] - means[0], means[2] - means[1]]
    assert told == pytest.approx(expected, abs=0.005)
    assert "ResNet18 supera a SimpleNN en los 3 pliegues." in text
    assert "CNN supera a SimpleNN en los 3 pliegues." in text
    tie = report(with_accuracies(fruit, LOW, *OUTCOMES[Outcome.TIE]))
    assert "las dos redes de mejor accuracy, ResNet18 y CNN, no se distinguen." in tie


def test_nothing_of_mnist_is_said_of_other_images(fruit):
    text = report(fruit)
    assert not re.search(r"d[ií]gito|28 × 28|ambos modelos|escala de grises", text, re.IGNORECASE)
    assert text.count("MNIST") == 1  # of the workshop
    assert not [thought for thought in REFLECTION.values() if thought in text]
    assert "imágenes de 5 clases (manzana, pera, ciruela, uva e higo)" in text
    assert "20 × 24 píxeles en color" in text
    hardest = re.search(r"Clase más difícil \|(.*)\|", text).group(1).split("|")
    assert all(any(name in cell for name in made_up.FRUIT) for cell in hardest)


def test_the_hardest_class_is_one_that_was_asked(fruit):
    def unasked(result):
        rows = result.per_class.copy()
        rows.loc[0, ["recall", "support"]] = 0
        return replace(result, per_class=rows)

    text = report(replace(fruit, models=tuple(map(unasked, fruit.models))))
    assert "manzana (recall" not in text


@pytest.mark.parametrize("case", ["mnist", "fruit"])
def test_prose_has_decimal_commas_and_no_p_value_of_zero(case, request):
    text = report(request.getfixturevalue(case))
    assert not re.search(r"\d\.\d", text)
    assert "p = 0,000" not in text
    assert not re.search(r"\b(nan|None|inf)\b", text)


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


CASES = {
    "two": {"names": DIGITS, "shape": (1, 28, 28), "name": "MNIST"},
    "three": {"entries": made_up.THREE, "skill": {"simple_nn": 2.5, "resnet18": 4, "cnn": 9}},
    "twelve": {"names": made_up.MONTHS, "epochs": 1, "folds": 2, "name": "Meses"},
}


@pytest.mark.parametrize(("case", "winner"), [("two", 1), ("three", 2), ("twelve", 1)])
def test_compare_goes_through_to_table_pictures_and_report(
    tmp_path, monkeypatch, capsys, case, winner
):
    # Small pictures: what they show is looked at in test_figures.
    monkeypatch.setitem(pictures.style.mpl.rcParams, "savefig.dpi", 40)
    entries = CASES[case].get("entries", MODELS)
    made = made_up.write(tmp_path, **CASES[case])
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    folder = tmp_path / "resultados"
    compare(folder, tmp_path / "modelos", entries)

    name = {"two": "mnist", "three": "frutas", "twelve": "meses"}[case]
    images = {
        f"ejemplo_{name}.png", "calibracion.png", "confusion_matrix.png", "curva_loss.png",
        "errores.png", "folds.png", "glifos.png",
    }  # fmt: skip
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.relative_to(tmp_path).as_posix() for path in written} == {
        *(f"resultados/{image}" for image in images), "resultados/comparacion_metrics.csv",
        "resultados/metrics.json", "resultados/detalle.json", "resultados/informe.md",
        *(f"resultados/plots/{plot}.json" for plot in ("perdida", "folds", "confusion")),
        "modelos/modelo_final.pth",
    }  # fmt: skip
    text = (folder / "informe.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\S+\.png)\)", text)) == images

    csv = pd.read_csv(StringIO((folder / "comparacion_metrics.csv").read_text(encoding="utf-8")))
    labels = list(range(len(made.names)))
    for (_, row), entry in zip(csv.iterrows(), entries, strict=True):
        folds = made.folds[entry.key]
        accuracies = [accuracy_score(fold.labels, fold.predicted) for fold in folds]
        precision, recall = (
            np.mean(
                [
                    score(
                        fold.labels, fold.predicted, labels=labels, average="macro", zero_division=0
                    )
                    for fold in folds
                ]
            )
            for score in (precision_score, recall_score)
        )
        assert row["Modelo"] == entry.name
        assert [row["Accuracy"], row["Precision"], row["Recall"]] == pytest.approx(
            [np.mean(accuracies), precision, recall], abs=5e-5
        )
        assert row["Desv. accuracy"] == pytest.approx(np.std(accuracies, ddof=1), abs=5e-5)
        test = made.test[entry.key]
        assert row["Accuracy (prueba)"] == pytest.approx(
            accuracy_score(test.labels, test.predicted), abs=5e-5
        )
    final = (tmp_path / "modelos/modelo_final.pth").read_bytes()
    assert final == entries[winner].key.encode()
    said = capsys.readouterr().out
    assert f"winner by cross-validation: {entries[winner].name} (p" in said
    assert "0.0000" not in said
