"""The report behind its first lines: what was done, how sure, what it cost, what it means."""

import re
from dataclasses import replace

import contest
import made_up
import numpy as np
import pytest
from contest import CNN, ENDINGS, HIGH, LOW, MIDDLE, PRETRAINING, SIMPLE, TUNED, WRITERS

from taller.report.references import REFERENCES
from taller.report.reflections import CONTROL, SIMILARITY, WITHOUT
from taller.report.report import report
from taller.scores.pair import Verdict
from taller.scores.statistics import Estimate

SPACE = "\u00a0"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return contest.read(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """Two repeats, each with a pretrained network of its own."""
    return contest.read(tmp_path_factory.mktemp("repeated"), repeats=2)


def section(found, heading: str) -> str:
    (text,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", report(found), re.M | re.S)
    return text


def row(text: str, label: str) -> list[str]:
    """The cells of a table's row, by what heads it."""
    (line,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", text, re.M)
    return [cell.strip() for cell in line.split(" | ")]


def value(text: str) -> float:
    return float(text.replace(",", ".").replace("−", "-"))


def test_it_goes_in_the_order_of_a_readers_questions(digits):
    assert re.findall(r"^## (.*)$", report(digits), re.M) == [
        "¿Qué se comparó?", "¿Cómo se entrenó cada modelo?", "¿Con qué certeza?",
        "¿En qué se equivocan?", "¿Cuánto cuestan?", "¿Y el taller?", "Límites", "Referencias",
    ]  # fmt: skip


@pytest.mark.parametrize("source", PRETRAINING)
def test_pictures_are_shown_and_letters_where_they_were_drawn(digits, source):
    text = report(replace(digits, pretraining=PRETRAINING[source]))
    pictures = ["folds", "ejemplo_mnist", "glifos", "curva_loss", "confusion_matrix"]
    pictures += ["calibracion", "errores", "coste"]
    if source != "glyphs":
        pictures.remove("glifos")
    assert re.findall(r"^!\[[^\]]+\]\((\w+)\.png\)$", text, re.M) == pictures
    assert ("Las letras son 426" in text) == (source == "glyphs")
    assert PRETRAINING[source]["sha256"][:8] in text
    assert ("es el control (pesos" in text) == (source == "none")


@pytest.mark.parametrize(("requested", "told"), [("auto", True), ("glyphs", False)])
def test_letters_for_want_of_imagenet_are_told(digits, requested, told):
    found = replace(digits, pretraining=made_up.GLYPHS | {"requested": requested})
    assert ("Los pesos de ImageNet no estaban al alcance" in report(found)) == told


def test_letters_shapes_and_alphabets_are_those_of_the_file(digits, repeated):
    text = section(digits, "¿Qué se comparó?")
    assert "Las letras son 426, de nueve alfabetos (latino, fonético, griego, cirílico," in text
    assert f"Se dibujan 60{SPACE}000 imágenes" in text
    assert f"la red acierta el 70,0{SPACE}% entre 372 formas." in text
    assert f"las dos aciertan del 69,0 al 70,0{SPACE}% entre 372 formas" in report(repeated)


def test_the_digits_twins_are_named_by_their_most_familiar_letter(digits):
    text = section(digits, "¿Qué se comparó?")
    assert (
        "pero ocho de los diez tienen un gemelo entre las letras (una correlación mayor que 0,94 "
        "entre los dos dibujos): se parecen la O al 0, la l al 1, la ⵒ tifinag al 2, la З cirílica "
        "al 3, la S al 5, la б cirílica al 6, la ⵓ tifinag al 8 y la գ armenia al 9; no lo tienen "
        "el 4 ni el 7."
    ) in text


@pytest.mark.parametrize(
    ("alike", "told"),
    [
        (0.999, "ningún dígito, y ninguno tiene un gemelo entre las letras (una correlación"),
        (0.9, "pero diez de los diez tienen un gemelo"),
        (0.91, "la գ armenia al 9; no lo tiene el 4."),
    ],
)
def test_as_many_digits_have_a_twin_as_the_threshold_says(digits, alike, told):
    found = replace(digits, pretraining=made_up.GLYPHS | {"alike": alike})
    text = report(found)
    assert told in text
    assert ("no lo tiene" in text) == (alike == 0.91)
    assert ("la forma de varios ya estaba" in text) == (alike < 0.99)


def test_how_each_was_trained(digits):
    text = section(digits, "¿Cómo se entrenó cada modelo?")
    assert row(text, "Entrenamiento") == [entry.name for entry in contest.MODELS]
    assert row(text, "Capas entrenadas") == ["todas", "todas", "`fc`"]
    body = "`conv1`, `bn1`, `layer1`, `layer2`, `layer3` y `layer4`"
    assert row(text, "Capas congeladas") == ["ninguna", "ninguna", body]
    assert row(text, "Parámetros entrenados") == ["9000", "3000", "8000"]
    assert row(text, "Épocas") == ["4"] * 3
    rates = [cell.split(", ")[0] for cell in row(text, "Tasa de aprendizaje")]
    assert rates == ["0,001", "0,001", "0,01"]
    assert row(text, "Optimizador") == ["Adam"] * 3
    assert row(text, "Otros ajustes")[0] == "`hidden`: 128, 64; `dropout`: 0,2"
    assert "cuadrícula del mismo tamaño" in text and "(`ajuste.csv`)" in text
    training = digits.baseline.training
    decayed = training | {"weight_decay": 1e-5, "optimizer": "AdamW", "schedule": "constant"}
    text = report(contest.changed(digits, "simple_nn", training=decayed))
    assert row(text, "Optimizador")[0] == "AdamW, decaimiento 0,00001"
    assert row(text, "Tasa de aprendizaje")[0] == "0,001, constante"


def with_losses(found, key: str, train: list[float], val: list[float]):
    """The comparison, had a model had these losses in its four epochs."""
    (result,) = (result for result in found.models if result.entry.key == key)
    epochs = result.history["epoch"] - 1
    history = result.history.assign(
        train_loss=np.array(train)[epochs], val_loss=np.array(val)[epochs]
    )
    return contest.changed(found, key, history=history)


def test_why_validation_may_lie_below_training(digits):
    told = "Al principio, la pérdida de validación queda por debajo de la de entrenamiento en "
    assert told not in report(digits)
    found = with_losses(digits, "cnn", [1, 0.5, 0.3, 0.2], [0.8, 0.5, 0.4, 0.39])
    assert f"{told}CNN: la de entrenamiento se promedia" in report(found)
    assert "dropout* activo" not in report(found)
    found = with_losses(found, "simple_nn", [1, 0.5, 0.3, 0.2], [0.8, 0.5, 0.4, 0.39])
    assert f"{told}SimpleNN y CNN:" in report(found)
    assert "(y, en SimpleNN, con *dropout* activo)" in report(found)


def test_whether_the_end_is_overfitting(digits):
    harmless = (
        "acabe más baja la de entrenamiento es la brecha de generalización, no un sobreajuste que "
        "dañe: en ningún modelo"
    )
    assert f"Que en SimpleNN, CNN y ResNet18 {harmless}" in report(digits)
    found = with_losses(digits, "cnn", [1, 0.5, 0.3, 0.2], [1.1, 0.5, 0.4, 0.42])
    assert (
        f"El sobreajuste daña: la de validación sube un 5,0{SPACE}% en CNN, desde la época 3."
    ) in report(found)
    assert "0,200 y 0,420 en CNN;" in report(found)
    hardly = with_losses(digits, "cnn", [1, 0.5, 0.45, 0.41], [1.1, 0.5, 0.4, 0.403])
    assert f"Que en SimpleNN y ResNet18 {harmless}" in report(hardly)
    for key in ("simple_nn", "resnet18"):
        hardly = with_losses(hardly, key, [1, 0.5, 0.45, 0.41], [1.1, 0.5, 0.4, 0.403])
    assert "No hay señal de sobreajuste: en ningún modelo" in report(hardly)


@pytest.mark.parametrize(
    ("groups", "told", "whose"),
    [
        (WRITERS, "Los 539 escritores que identifica QMNIST (Yadav y Bottou, 2019) no se reparten",
         "estos escritores"),
        (WRITERS | {"kept_together": False}, "están a los dos lados de cada pliegue",
         "estas imágenes"),
        (None, "No se sabe de qué escritores son las imágenes", "estas imágenes"),
    ],
)  # fmt: skip
def test_whose_images_stand_on_both_sides_is_told(digits, groups, told, whose):
    text = section(replace(digits, data=digits.data | {"groups": groups}), "¿Con qué certeza?")
    known = [
        "no se reparten", "están a los dos lados de cada pliegue", "No se sabe de qué",
    ]  # fmt: skip
    assert told in text and sum(one in text for one in known) == 1
    assert f"de un pliegue a otro de {whose}," in text
    assert ("Ninguno de los 297 de la prueba está entre ellos." in text) == (groups is not None)


def test_who_is_on_both_sides_of_train_and_test_is_counted(digits):
    groups = WRITERS | {"shared": 12}
    text = report(replace(digits, data=digits.data | {"groups": groups}))
    assert "De los 297 de la prueba, 12 están entre ellos." in text


def test_what_the_interval_covers_hangs_on_repeats_and_networks(digits, repeated):
    text = section(digits, "¿Con qué certeza?")
    assert "con un solo reparto, una sola red preentrenada y una semilla por" in text
    assert "con otros repartos, otro preentrenamiento, otros hiperparámetros" in text
    assert "repeticiones, cada una" not in text
    text = section(repeated, "¿Con qué certeza?")
    assert "Hay 2 repeticiones, cada una con otros pliegues, otras semillas y otra red" in text
    assert "con 2 repartos, 2 redes preentrenadas y una semilla por entrenamiento" in text
    assert "No cubre lo que cambiaría con otros hiperparámetros y" in text
    text = section(replace(repeated, pretraining=PRETRAINING["imagenet"]), "¿Con qué certeza?")
    assert "cada una con otros pliegues y otras semillas." in text
    assert "2 repartos, una sola red preentrenada y" in text
    text = section(replace(repeated, pretraining=PRETRAINING["none"]), "¿Con qué certeza?")
    assert "preentrenada y" not in text and "otro preentrenamiento" not in text


@pytest.mark.parametrize("name", ENDINGS)
def test_every_two_models_have_a_row_with_its_conclusion(digits, name):
    found = contest.ending(digits, name)
    text = section(found, "¿Con qué certeza?")
    tuned_simple, tuned_cnn, cnn_simple = ENDINGS[name][1]
    words = {
        Verdict.BETTER: "mejor", Verdict.WORSE: "peor", Verdict.EQUAL: "prácticamente iguales",
        Verdict.UNKNOWN: "no se puede decir",
    }  # fmt: skip
    simple, cnn, tuned = (100 * np.mean(scores) for scores in ENDINGS[name][0])
    for label, difference, verdict in (
        ("CNN frente a SimpleNN (arquitectura)", cnn - simple, cnn_simple),
        ("ResNet18 frente a SimpleNN (ambas cosas)", tuned - simple, tuned_simple),
        ("ResNet18 frente a CNN (preentrenamiento)", tuned - cnn, tuned_cnn),
    ):
        told, _, *chances, conclusion = row(text, label)
        assert value(told.split(" ")[0]) == pytest.approx(difference, abs=0.0051)
        assert conclusion == words[verdict]
        sure = [chance for chance in chances if value(re.search(r"[\d,]+", chance)[0]) > 95]
        assert bool(sure) == (verdict is not Verdict.UNKNOWN)
        if sure:
            place = (Verdict.WORSE, Verdict.EQUAL, Verdict.BETTER).index(verdict)
            assert chances[place] == sure[0]
    assert "Holm, 1979" in text and "por ser 3 las comparaciones" in text


def test_one_pair_needs_no_correction_for_several(digits):
    found = contest.without(digits, "cnn")
    assert "Holm" not in report(found)
    assert row(report(found), "ResNet18 frente a SimpleNN")  # no step of a way


@pytest.mark.parametrize(
    ("name", "apart"), [("equals CNN", False), ("beats both", True), ("open with CNN", False)]
)
def test_the_ranges_of_the_best_two_meet_or_not(digits, name, apart):
    text = report(contest.ending(digits, name))
    assert (f"los rangos de CNN y ResNet18 {'no ' * apart}se solapan.") in text
    assert f"de 95,00 a 95,20{SPACE}% en SimpleNN" in text


def agreement(found, counts: dict[tuple[str, str], tuple[int, int, int, int]]):
    """The comparison, had the test images come out like this."""
    names = ("both", "only_first", "only_second", "neither")
    rows = [
        {"first": first, "second": second, **dict(zip(names, numbers, strict=True))}
        for (first, second), numbers in counts.items()
    ]
    return replace(found, agreement=rows)


def on_test(found, only_simple: int, only_tuned: int, images: int = 10_000):
    two = contest.without(found, "cnn")
    both = images - only_simple - only_tuned - 45
    return agreement(two, {("simple_nn", "resnet18"): (both, only_simple, only_tuned, 45)})


@pytest.mark.parametrize(
    ("name", "only_simple", "only_tuned", "told"),
    [
        ("beats both", 43, 163, ", como en los pliegues."),
        ("beats both", 50, 52, ", que por sí solo no lo confirma."),
        ("beats both", 163, 43, ", al contrario que en los pliegues."),
        ("loses to both", 163, 43, ", como en los pliegues."),
        ("loses to both", 43, 163, ", al contrario que en los pliegues."),
        ("equals SimpleNN", 20, 22, ", como en los pliegues."),
        ("equals SimpleNN", 43, 90, ", que por sí solo no lo confirma."),
        ("equals SimpleNN", 800, 830, ", que por sí solo no lo confirma."),
        ("equals SimpleNN", 43, 163, ", al contrario que en los pliegues."),
        ("open with both", 43, 163, "."),
    ],
)
def test_the_test_images_may_say_something_else(digits, name, only_simple, only_tuned, told):
    text = section(
        on_test(contest.ending(digits, name), only_simple, only_tuned), "¿En qué se equivocan?"
    )
    (bullet,) = re.findall(r"^- .*$", text, re.M)
    more, most = ("SimpleNN", only_simple), ("ResNet18", only_tuned)
    if only_simple > only_tuned:
        more, most = most, more
    assert bullet.startswith(
        f"- {most[0]} clasifica bien {most[1]} que {more[0]} confunde, y {more[0]}, {more[1]} que "
        f"{most[0]} confunde; ambos confunden 45. Diferencia: +"
    )
    assert bullet.endswith(f"){told}")


def test_the_difference_on_the_test_images_has_its_interval(digits):
    found = on_test(digits, 43, 163)
    expected = found.pairs[0].test_difference
    value_, low, high = (value(part) for part in re.search(
        r"Diferencia: (\S+) puntos \[(\S+); (\S+)\]", report(found)).groups())  # fmt: skip
    assert value_ == 1.2
    assert Estimate(value_, low, high) == Estimate(
        *(round(100 * end, 2) for end in (expected.value, expected.low, expected.high))
    )


def test_calibration_is_held_against_a_calibrated_network(digits):
    def ece(found, key, ece):
        (result,) = (one for one in found.models if one.entry.key == key)
        told = result.test | {"ece": ece, "ece_calibrated": {"mean": 0.002, "high": 0.003}}
        return contest.changed(found, key, test=told)

    found = ece(ece(ece(digits, "simple_nn", 0.0029), "cnn", 0.0031), "resnet18", 0.001)
    text = section(found, "¿En qué se equivocan?")
    assert row(text, "ECE (puntos)") == ["0,29", "0,31", "0,10"]
    assert row(text, "ECE si estuviera calibrada") == ["0,20 (hasta 0,30)"] * 3
    cnn = found.models[1].calibration
    surer = (cnn["images"] * cnn["confidence"]).sum() > cnn["hits"].sum()
    side = "más" if surer else "menos"
    assert f"Supera lo que explica el azar el ECE de CNN (confía de {side}).\n" in text
    turned = cnn.assign(hits=cnn["images"] if surer else 0)
    other = report(contest.changed(found, "cnn", calibration=turned))
    assert f"CNN (confía de {'menos' if surer else 'más'})." in other
    assert "Ninguno muestra más de lo que explica el azar" in report(ece(found, "cnn", 0.003))


def test_the_commonest_confusion_and_the_hardest_class_are_those_of_the_counts(digits):
    counts = np.diag([40] * 10)
    counts[4, 9], counts[9, 4], counts[7, 2] = 7, 5, 6
    found = contest.changed(digits, "cnn", confusion=counts)
    assert row(report(found), "Confusión más frecuente")[1] == "4 → 9 (7)"
    none = contest.changed(digits, "cnn", confusion=np.diag([40] * 10))
    assert row(report(none), "Confusión más frecuente")[1] == "ninguna"
    hardest = digits.models[1].per_class.assign(recall=0.99)
    hardest.loc[[3, 6], ["recall", "support"]] = [[0.6, 40], [0, 0]]  # of 6 there is none
    text = report(contest.changed(digits, "cnn", per_class=hardest))
    assert row(text, "Dígito más difícil")[1] == f"3 (exhaustividad 60,0{SPACE}%)"


COST = {
    "simple_nn": {"trained_parameters": 109_386, "parameters": 109_386, "answer_flops": 218_304,
                  "training_flops": 4 * 10**11},
    "cnn": {"trained_parameters": 114_410, "parameters": 114_410, "answer_flops": 2_500_000,
            "training_flops": 4 * 10**12},
    "resnet18": {"trained_parameters": 5130, "parameters": 11_173_962, "answer_flops": 66_021_888,
                 "training_flops": 10**12},
}  # fmt: skip


def costing(found):
    for key, cost in COST.items():
        found = contest.changed(found, key, **cost)
    return found


def test_what_fine_tuning_costs_is_told_with_its_pretraining(digits):
    text = section(costing(digits), "¿Cuánto cuestan?")
    assert row(text, "Parámetros que se ejecutan")[2] == f"11{SPACE}173{SPACE}962"
    answers = row(text, "Operaciones por respuesta")
    assert answers == [f"{one}{SPACE}×{SPACE}10{up}" for one, up in (
        ("2,2", "⁵"), ("2,5", "⁶"), ("6,6", "⁷"))]  # fmt: skip
    assert row(text, "Operaciones de entrenamiento")[2] == f"1,0{SPACE}×{SPACE}10¹²"
    assert row(text, "Lo mismo, con el preentrenamiento")[2] == f"2,0{SPACE}×{SPACE}10¹³"
    assert (
        f"ResNet18 entrena 5130 parámetros, el 4,7{SPACE}% de los de SimpleNN, pero eso no es todo "
        f"lo que hace falta: los otros 11{SPACE}168{SPACE}832 se entrenaron antes con letras, y "
        "para cada respuesta se ejecutan todos. Cada respuesta suya cuesta 302 veces lo que la de "
        "SimpleNN y 26 veces lo que la de CNN; entrenarla, preentrenamiento incluido, cuesta 50 "
        "veces lo que SimpleNN y 5,0 veces lo que CNN."
    ) in text


def test_what_was_spent_elsewhere_is_not_counted_and_that_is_told(digits):
    found = costing(replace(digits, pretraining=PRETRAINING["imagenet"]))
    text = section(found, "¿Cuánto cuestan?")
    assert "Lo mismo" not in text
    assert "se entrenaron antes con ImageNet, fuera de este proyecto" in text
    assert "sin contar el preentrenamiento, que nadie midió aquí, cuesta 2,5 veces" in text
    assert f"y el 25,0{SPACE}% de lo que CNN" in text
    random = section(replace(found, pretraining=PRETRAINING["none"]), "¿Cuánto cuestan?")
    assert "se quedan al azar" in random and "entrenarla cuesta 2,5 veces" in random
    assert "preentrenamiento" not in random


def test_a_network_that_is_trained_whole_has_no_rest(digits):
    found = contest.changed(costing(digits), "resnet18", trained_parameters=11_173_962)
    assert "102 veces los de SimpleNN, que partieron de lo aprendido antes con letras." in report(
        found
    )


@pytest.mark.parametrize("source", PRETRAINING)
@pytest.mark.parametrize("name", ENDINGS)
def test_the_workshops_thought_is_held_against_what_came_out(digits, name, source):
    found = contest.ending(digits, name, source)
    text = section(found, "¿Y el taller?")
    tuned_simple, tuned_cnn, cnn_simple = ENDINGS[name][1]
    thoughts = [key for key, thought in SIMILARITY.items() if thought in text]
    assert thoughts == ([] if source == "none" else [(source, tuned_simple)])
    assert (CONTROL in text) == (source == "none")
    names = {"base": "SimpleNN", "between": "CNN", "tuned": "ResNet18"}
    told = [verdict for verdict, thought in WITHOUT.items() if thought.format(**names) in text]
    speaks = source != "none" and cnn_simple is Verdict.BETTER and tuned_cnn in WITHOUT
    assert told == ([tuned_cnn] if speaks else [])
    changes = "respecto del taller cambian a la vez" in text
    assert changes == (source != "none" and tuned_simple is not Verdict.UNKNOWN)
    assert ("a la vez el preentrenamiento" in text) == (changes and source == "glyphs")


def test_a_first_layer_as_in_the_workshop_is_no_change(digits):
    found = contest.ending(digits, "beats both")
    knobs = {"knobs": {"stem": "random"}}
    same = contest.changed(found, "resnet18", training=found.models[2].training | knobs)
    assert "a la vez el preentrenamiento, la primera capa y la manera de entrenar" in report(found)
    assert "a la vez el preentrenamiento y la manera de entrenar" in report(same)
    same = replace(same, pretraining=PRETRAINING["imagenet"])
    assert "respecto del taller cambia la manera de entrenar." in report(same)


@pytest.mark.parametrize("source", PRETRAINING)
def test_the_literature_is_what_the_text_cites(digits, source):
    text, listed = report(replace(digits, pretraining=PRETRAINING[source])).split("## Referencias")
    cited = set(re.findall(r"\b([A-Z][A-Za-z]+(?: et al\.| y [A-Z]\w+)?, (?:19|20)\d\d)\b", text))
    assert len(cited) == 10 + 2 * (source == "imagenet") and cited <= set(REFERENCES)
    known = [work for key, work in REFERENCES.items() if key in cited]
    assert listed.strip().split("\n") == [f"- {work}" for work in known]
    for key, work in REFERENCES.items():
        assert key.split(" ")[0].strip(",") in work and f"({key[-4:]})" in work
    few = report(contest.without(replace(digits, data=digits.data | {"groups": None}), "cnn"))
    assert "Holm" not in few and "Yadav" not in few and "Nadeau" in few


def test_nothing_of_mnist_is_said_of_other_images(fruit):
    text = report(fruit)
    words = r"d[ií]gito|cifra|28 × 28|ambos modelos|escala de grises|escritor|gemelo|LeCun|QMNIST"
    assert not re.search(words, text, re.IGNORECASE)
    assert text.count("MNIST") == 1  # of how params were chosen
    assert "taller" not in text
    assert not [thought for thought in SIMILARITY.values() if thought in text]
    assert "imágenes de 5 clases (manzana, pera, ciruela, uva e higo)" in text
    assert "20 × 24 píxeles en color" in text
    assert "No se sabe de qué orígenes son las imágenes" in text
    assert "con MNIST, no con estas imágenes" in text
    assert "![Letras dibujadas e imágenes de Frutas]" in text
    assert all(cell.split(" ")[0] in made_up.FRUIT for cell in row(text, "Clase más difícil"))


def test_origins_that_are_not_writers_have_a_word_of_their_own(fruit):
    text = report(replace(fruit, data=fruit.data | {"groups": WRITERS}))
    assert "Los 539 orígenes no se reparten: las imágenes de cada uno van al mismo" in text
    assert not re.search("escritor|QMNIST", text)


@pytest.mark.parametrize("case", ["digits", "fruit", "repeated", "mnist"])
def test_prose_has_decimal_commas_and_no_p_value_of_zero(case, request):
    text = report(request.getfixturevalue(case)).replace(" CC BY-SA 3.0", "")
    assert not re.search(r"\d\.\d", text)
    assert not re.search(r"p = 0,000|−0,00[ ;\]]|\b(nan|None|inf)\b", text)
    assert not re.search(r"  | \n|\n\n\n| [.,;]|\.\.[^/]|\{|\}", text)


def test_the_fields_words_are_spanish_and_glossed_once(digits):
    text = report(digits)
    for gloss in ("exactitud (*accuracy*", "exhaustividad (*recall*)", "(*log loss*)"):
        assert text.count(gloss) == 1
    for word in ("accuracy", "recall", "log loss"):
        assert len(re.findall(word, text, re.IGNORECASE)) == 1, word
    assert "media ponderada por tramos de confianza" in text
    assert "solapamiento de los conjuntos de entrenamiento" in text


def test_models_are_introduced_in_order(digits):
    text = section(digits, "¿Qué se comparó?")
    assert re.findall(r"^- \*\*(.*?)\*\*", text, re.M) == [one.name for one in (SIMPLE, CNN, TUNED)]
    assert text.count("entrenada desde cero.") == 2
    assert "una red residual (He et al., 2016), preentrenada aquí con letras" in text


def test_of_other_folds_the_same_words_with_other_numbers(digits):
    text = report(made_up.with_accuracies(digits, LOW, MIDDLE, HIGH))
    assert "Cada modelo se entrena 3 veces, cada vez sin uno de 3 pliegues estratificados" in text


@pytest.mark.parametrize(("rise", "told"), [(0.0018, True), (0.0026, False)])
def test_a_loss_that_falls_without_accuracy_is_disclosed(digits, rise, told):
    history = digits.models[[one.entry.key for one in digits.models].index("cnn")].history.copy()
    last = history["epoch"] == history["epoch"].max()
    history["val_loss"] = np.where(last, 0.86, 1.0)
    history["val_accuracy"] = np.where(last, 0.9 + rise, 0.9)
    text = report(contest.changed(digits, "cnn", history=history))
    sentence = f"En CNN aún bajó la de validación un 14{SPACE}% en la última época; la exactitud"
    assert (sentence in text) == told
    assert ("Sin conclusión" in text) != told


def test_classes_that_are_confused_equally_often_are_all_told(digits):
    counts = np.diag([40] * 10)
    counts[7, 2] = counts[9, 4] = 6
    found = contest.changed(digits, "cnn", confusion=counts)
    assert "7 → 2 y 9 → 4 (6)" in report(found)
