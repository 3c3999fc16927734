"""The report's first lines: the answer, whichever way it falls, or why there is none."""

import re
from dataclasses import replace

import contest
import made_up
import numpy as np
import pytest
from contest import ENDINGS, HIGH, LOW, MIDDLE, PRETRAINING
from scipy import stats

from taller.report.report import report
from taller.scores.pair import Verdict

# Of the fine-tuned network (TUNED) against the best one from scratch.
VERDICT = {
    "beats both": "Fine-tuning: TUNED, acierta más que CNN, BEST.",
    "equals CNN": "Desde cero: TUNED, y CNN, BEST, aciertan prácticamente lo mismo, y cada "
    "respuesta de CNN cuesta menos que una de ResNet18.",
    "loses to CNN": "Desde cero: CNN acierta más que TUNED.",
    "open with CNN": "No se puede decir: entre TUNED, y CNN, BEST, la diferencia queda sin "
    "decidir.",
    "equals SimpleNN": "Desde cero: CNN acierta más que TUNED.",
    "equals both": "Desde cero: TUNED, y CNN, BEST, aciertan prácticamente lo mismo, y cada "
    "respuesta de CNN cuesta menos que una de ResNet18.",
    "loses to both": "Desde cero: SimpleNN acierta más que TUNED.",
    "open with both": "No se puede decir: entre TUNED, y CNN, BEST, la diferencia queda sin "
    "decidir.",
    "open with SimpleNN": "No se puede decir: entre TUNED, y SimpleNN, BEST, la diferencia queda "
    "sin decidir.",
}
BEST = "la mejor de las entrenadas desde cero"
# Without pretraining there is nothing to choose: it is the control.
LEAD = {
    "beats both": "Sí.",
    "equals CNN": "A SimpleNN, sí; a CNN, no: es prácticamente igual.",
    "loses to CNN": "A SimpleNN, sí; a CNN, no: queda por debajo.",
    "open with CNN": "A SimpleNN, sí; a CNN, no se puede decir.",
    "equals SimpleNN": "A SimpleNN, no: es prácticamente igual; a CNN, no: queda por debajo.",
    "equals both": "No: es prácticamente igual.",
    "loses to both": "No: queda por debajo.",
    "open with both": "No se puede decir.",
    "open with SimpleNN": "A CNN, sí; a SimpleNN, no se puede decir.",
}
CLAUSE = {
    Verdict.BETTER: "supera a {} (",
    Verdict.EQUAL: "es prácticamente igual a {} (",
    Verdict.WORSE: "queda por debajo de {} (",
    Verdict.UNKNOWN: "frente a {} queda sin decidir (",
}
SIZE = {
    Verdict.BETTER: "una mejora",
    Verdict.EQUAL: "en la práctica nada",
    Verdict.WORSE: "una pérdida",
    Verdict.UNKNOWN: "sin decidir",
}


SURE = r"probabilidad: (> )?9\d,\d\u00a0%"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return contest.read(tmp_path_factory.mktemp("digits"))


def opening(found) -> str:
    """What stands before the first picture."""
    return report(found).split("![")[0]


def value(text: str) -> float:
    return float(text.replace(",", ".").replace("−", "-"))


@pytest.mark.parametrize("source", PRETRAINING)
@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_is_told_as_it_is(digits, name, source):
    found = contest.ending(digits, name, source)
    against = found.pair("simple_nn", "resnet18"), found.pair("cnn", "resnet18")
    verdicts = *(pair.verdict for pair in against), found.pair("simple_nn", "cnn").verdict
    assert verdicts == ENDINGS[name][1]
    text = opening(found)
    tuned = {
        "glyphs": "ResNet18, preentrenada con letras y ajustada",
        "imagenet": "ResNet18, preentrenada con ImageNet y ajustada",
        "none": "ResNet18, sin preentrenar",
    }
    expected = VERDICT[name].replace("TUNED", tuned[source]).replace("BEST", BEST)
    expected = LEAD[name] if source == "none" else expected
    assert re.findall(r"^\*\*(.*?)\*\*", text, re.M)[0] == expected
    for other, verdict in zip(("SimpleNN", "CNN"), verdicts[:2], strict=True):
        told = [key for key, clause in CLAUSE.items() if clause.format(other) in text]
        assert told == [verdict]
    assert [key for key, start in tuned.items() if start in text] == [source]
    question = (
        "¿Una ResNet18 sin preentrenar supera a una pequeña entrenada desde cero? "
        if source == "none"
        else "¿Conviene ajustar una red preentrenada o entrenar una pequeña desde cero? "
    )
    assert f"*{question}¿Por cuánto y con qué certeza?*" in text
    assert "queda en `modelos/modelo_final.pth`" in report(found)
    assert f"validación cruzada, {found.winner.entry.short}, queda" in report(found)


@pytest.mark.parametrize("name", ENDINGS)
def test_the_difference_comes_apart_into_architecture_and_pretraining(digits, name):
    found = contest.ending(digits, name)
    simple, cnn, tuned = (100 * np.mean(scores) for scores in ENDINGS[name][0])
    told = re.search(
        r"De SimpleNN a ResNet18 van (\S+) puntos, .* la arquitectura \(CNN − SimpleNN\) da (\S+), "
        r"(.*), y el preentrenamiento \(ResNet18 − CNN\), (\S+), (.*)\. El segundo paso cambia "
        r"también la arquitectura",
        opening(found),
    ).groups()
    sizes = [value(told[0]), value(told[1]), value(told[3])]
    assert sizes == pytest.approx([tuned - simple, cnn - simple, tuned - cnn], abs=0.0051)
    _, pretraining, architecture = ENDINGS[name][1]
    assert (told[2], told[4]) == (SIZE[architecture], SIZE[pretraining])


def test_without_pretraining_no_step_is_called_so(digits):
    text = opening(contest.ending(digits, "beats both", "none"))
    assert "y el cambio de red (ResNet18 − CNN), +2,01, una mejora. Ninguno" in text
    assert "el preentrenamiento (" not in text


@pytest.mark.parametrize("name", ["beats both", "loses to both", "open with CNN"])
def test_difference_interval_and_probability_are_those_of_the_pair(digits, name):
    scores = dict(zip(("SimpleNN", "CNN", "ResNet18"), ENDINGS[name][0], strict=True))
    text = opening(contest.ending(digits, name))
    for other, verdict in zip(("SimpleNN", "CNN"), ENDINGS[name][1][:2], strict=True):
        assert verdict is Verdict.UNKNOWN or re.search(rf"{other} \([^)]*; {SURE}\)", text)
        mean, low, high = map(
            value,
            re.search(rf"{other}[\w ]* \((\S+) puntos; IC 95 % de (\S+) a (\S+);", text).groups(),
        )
        differences = 100 * np.subtract(scores["ResNet18"], scores[other])
        # Three folds: each validates on half as many images as it trains on.
        error = np.sqrt((1 / 3 + 1 / 2) * differences.var(ddof=1))
        expected = stats.t(2, differences.mean(), error).interval(0.95)
        assert (mean, low, high) == pytest.approx((differences.mean(), *expected), abs=0.0051)


def test_the_accuracies_of_all_models_come_first(digits):
    text = opening(contest.ending(digits, "equals CNN"))
    assert (
        "del 95,10\u00a0% en SimpleNN, del 98,12\u00a0% en CNN y del 98,12\u00a0% en ResNet18."
    ) in text


@pytest.mark.parametrize(
    ("rope", "told"), [(0.005, "0,5"), (0.0025, "0,25"), (0.01, "1"), (0.0, "0")]
)
def test_the_margin_is_told_as_it_was_declared(digits, rope, told):
    assert f"de menos de {told} puntos porcentuales" in opening(replace(digits, rope=rope))


def test_what_would_settle_it_is_told_once_for_each_open_pair(digits):
    settled = "Para decidir entre {} no basta con repetir: harían falta más imágenes, y de otros"
    text = report(contest.ending(digits, "open with CNN"))
    assert text.count("Para decidir entre") == 1
    assert f"{settled.format('CNN y ResNet18')} escritores." in text
    text = report(contest.ending(digits, "open with both"))
    assert text.count("Para decidir entre") == 2
    # Of a pair that the answer does not speak of, where all pairs stand.
    apart = made_up.with_accuracies(digits, HIGH, contest.SPREAD, LOW)
    assert "Para decidir" not in opening(apart)
    assert settled.format("SimpleNN y CNN") in report(apart).split("## ¿Con qué certeza?")[1]


def test_a_few_more_repeats_are_asked_for_where_they_settle_it(digits):
    ahead = np.add(LOW, [0.0062, 0.0080, 0.0085])
    found = made_up.with_accuracies(digits, LOW, MIDDLE, ahead)
    pair = found.pair("simple_nn", "resnet18")
    assert pair.verdict is Verdict.UNKNOWN and pair.settled_by > 1
    assert (
        f"Para decidir entre SimpleNN y ResNet18 bastarían {pair.settled_by} repeticiones en total "
        "(`preprocess.repeats`; hay 1)"
    ) in opening(found)


def test_an_open_pair_has_its_three_probabilities(digits):
    found = contest.ending(digits, "open with CNN")
    chances = found.pair("cnn", "resnet18").posterior
    assert len({round(part, 3) for part in (chances.worse, chances.equal, chances.better)}) == 3
    *others, last = (
        f"{100 * part:.1f}\u00a0%".replace(".", ",")
        for part in (chances.worse, chances.equal, chances.better)
    )
    assert f"de peor, igual y mejor: {', '.join(others)} y {last})" in opening(found)


def test_no_way_is_told_where_the_baseline_is_pretrained(digits):
    turned = [row | {"first": row["second"], "second": row["first"]} for row in digits.agreement]
    found = replace(digits, models=digits.models[::-1], agreement=turned)
    text = report(found)
    assert "De dónde viene" not in text and "arquitectura)" not in text
    assert "de su idea esta comparación no dice nada" in text


def test_two_models_do_not_tell_architecture_from_pretraining(digits):
    found = contest.without(contest.ending(digits, "beats both"), "cnn")
    mixed = "SimpleNN y ResNet18 difieren en la arquitectura además del preentrenamiento"
    assert mixed in opening(found)
    assert "De dónde viene" not in report(found)
    assert mixed not in report(replace(found, pretraining=PRETRAINING["none"]))


@pytest.mark.parametrize(
    ("cnn", "told"),
    [
        (HIGH, "**CNN.**"),
        (contest.NEAR_LOW, "prácticamente iguales.**"),
        ([0.93, 0.99, 0.955], "**No se puede decir si CNN o SimpleNN.**"),
    ],
)
def test_of_networks_from_scratch_alone_the_best_is_asked_for(digits, cnn, told):
    found = made_up.with_accuracies(contest.without(digits, "resnet18"), LOW, cnn)
    text = opening(found)
    assert "*De SimpleNN y CNN, ¿cuál acierta más? ¿Por cuánto y con qué certeza?*" in text
    assert told in text
    assert not re.search("preentren|letras|ResNet", report(found))


def still_falling(found, key: str, share: float):
    (result,) = (result for result in found.models if result.entry.key == key)
    history = result.history.copy()
    last = history["epoch"] == history["epoch"].max()
    history["val_loss"] = np.where(last, 1 - share, 1.0)
    history["val_accuracy"] = np.where(last, 0.9, 0.89)
    return contest.changed(found, key, history=history)


def one_epoch(found):
    for result in found.models:
        history = result.history[result.history["epoch"] == 1]
        found = contest.changed(found, result.entry.key, history=history)
    return found


FAILED = {
    "letters not learnt": (
        lambda found: replace(
            found, pretraining=made_up.GLYPHS | {"glyph_accuracy": [0.7, 0.0025], "networks": 2}
        ),
        "el preentrenamiento no aprendió las letras (acierta el 0,25\u00a0%; diez veces el azar "
        "sería el 2,69\u00a0%)",
    ),
    "one falls": (
        lambda found: still_falling(found, "cnn", 0.23),
        "la pérdida de validación aún bajaba en la última época, y con ella subía la exactitud "
        "(un 23\u00a0% en CNN; se admite un "
        "10\u00a0%)",
    ),
    "one epoch": (
        one_epoch,
        "con una sola época (SimpleNN, CNN y ResNet18) no se sabe si la pérdida aún bajaba",
    ),
    "one fold": (
        lambda found: made_up.with_accuracies(found, LOW[:1], MIDDLE[:1], HIGH[:1]),
        "hay una sola medida de cada modelo, y no se sabe cuánto varía",
    ),
}


@pytest.mark.parametrize("name", ["beats both", "loses to both"])
@pytest.mark.parametrize(
    ("case", "source"),
    [("letters not learnt", "glyphs")]
    + [(case, one) for case in [*FAILED][1:] for one in ("glyphs", "imagenet")],
)
def test_where_a_premise_fails_nothing_is_concluded(digits, case, source, name):
    fail, told = FAILED[case]
    found = fail(contest.ending(digits, name, source))
    text = report(found)
    assert f"con qué certeza?*\n\n**Sin conclusión: {told}.** Lo que sigue describe" in text
    for conclusion in (
        "supera a SimpleNN", "supera a CNN", "por debajo", "De dónde viene", "Conclusión",
        "Se concluye", "como en los pliegues", "al contrario que", "no lo confirma", "Concuerda",
        "Va en contra", "sale lo", "bastaba", "Para decidir",
    ):  # fmt: skip
        assert conclusion not in text, conclusion
    assert "Como aquí falla una premisa, de esa idea no se puede decir nada." in text
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_all_premises_that_fail_are_told(digits):
    found = still_falling(contest.ending(digits, "beats both"), "cnn", 0.23)
    found = still_falling(found, "simple_nn", 0.15)
    found, letters = FAILED["letters not learnt"][0](found), FAILED["letters not learnt"][1]
    assert (
        f"**Sin conclusión: {letters}; la pérdida de validación aún bajaba en la última época, "
        "y con ella subía la exactitud (un 15\u00a0% en SimpleNN y un 23\u00a0% en CNN; se "
        "admite un 10\u00a0%).**"
    ) in opening(found)
