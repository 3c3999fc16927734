"""The report: of two and three models, and when others win, on made-up results."""

import re
from dataclasses import replace

import made_up
import numpy as np
import pytest

from taller.report.reflections import REFLECTION, Outcome, outcome
from taller.report.report import report

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


@pytest.mark.parametrize("source", PRETRAINING)
@pytest.mark.parametrize("expected", Outcome)
def test_every_outcome_is_told_as_it_is(mnist, source, expected):
    found = replace(
        made_up.with_accuracies(mnist, *OUTCOMES[expected]), pretraining=PRETRAINING[source]
    )
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
    found = made_up.with_accuracies(mnist, *OUTCOMES[expected])
    text = report(replace(found, agreement=[mnist.agreement[0] | counts]))
    assert sentence in text
    assert f"ResNet18 acierta {only_second} que SimpleNN falla" in text


def test_the_interval_is_told_from_the_winners_side(mnist):
    there = report(made_up.with_accuracies(mnist, LOW, HIGH))
    back = report(made_up.with_accuracies(mnist, HIGH, LOW))
    interval = re.compile(r"IC 95 % de (\S+) a (\S+);")
    assert interval.search(there).groups() == interval.search(back).groups()
    low, high = (float(end.replace(",", ".")) for end in interval.search(back).groups())
    assert 0 < low < 100 * np.subtract(HIGH, LOW).mean() < high


def test_no_difference_favours_nobody(mnist):
    text = report(made_up.with_accuracies(mnist, [0.95, 0.96, 0.97], [0.96, 0.95, 0.97]))
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
    assert told in report(made_up.with_accuracies(mnist, simple, tuned))


def test_of_three_models_the_best_two_are_compared_and_all_pairs_listed(fruit):
    found = made_up.with_accuracies(fruit, LOW, HIGH, MIDDLE)
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
    tie = report(made_up.with_accuracies(fruit, LOW, *OUTCOMES[Outcome.TIE]))
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
