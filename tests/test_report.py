"""The report says every ending as it is, of any contestants, in the numbers of the results."""

import re
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results
from results import CNN, LETTERS, SIMPLE, TUNED, WRITERS, Made
from scipy import stats

from taller.common import params
from taller.common.terminal import UserError
from taller.report import language
from taller.report.contents import context
from taller.report.language import Language
from taller.statistics import learning_curve
from taller.statistics.comparison import Comparison, read

ROOT = Path(__file__).parents[1]
SPACE = "\u00a0"
LOW, MIDDLE, HIGH = [0.95, 0.951, 0.952], [0.96, 0.9612, 0.9621], [0.98, 0.981, 0.9825]
NEAR_HIGH = [0.9801, 0.9812, 0.9824]
SPREAD = [0.97, 0.985, 0.98]  # against HIGH, whatever
FROM_SCRATCH = (
    "Gana entrenar desde cero: una {} pequeña acierta {} que {}, y cada respuesta cuesta 100 veces "
    "menos."
)
TUNED_WINS = (
    "Gana {}: {} acierta 2,01 puntos más que la CNN, la mejor de las entrenadas desde cero, aunque "
    "cada respuesta cuesta 100 veces más."
)
AJUSTADA, SIN = "la ResNet18 ajustada", "la ResNet18 sin preentrenar"
# What ResNet18 starts from; the accuracies of SimpleNN, CNN and ResNet18; the verdicts of the last
# on the two; the report's first words; what it says of the workshop's thought.
ENDINGS = [
    ("letters", (LOW, MIDDLE, HIGH), ("better", "better"),
     TUNED_WINS.format("el *fine-tuning*", AJUSTADA), "sale lo contrario. Concuerda con esa idea"),
    ("none", (LOW, MIDDLE, HIGH), ("better", "better"),
     TUNED_WINS.format("la red sin preentrenar", SIN), "es el"),
    ("imagenet", (LOW, MIDDLE, HIGH), ("better", "better"),
     TUNED_WINS.format("el *fine-tuning*", AJUSTADA), "pese a lo poco"),
    ("letters", (LOW, HIGH, NEAR_HIGH), ("better", "equal"),
     FROM_SCRATCH.format("CNN", "lo mismo", AJUSTADA), "sale lo contrario. Concuerda con"),
    ("letters", (HIGH, NEAR_HIGH, HIGH), ("equal", "equal"),
     FROM_SCRATCH.format("CNN", "lo mismo", AJUSTADA), "No va en contra de esa idea"),
    ("letters", (HIGH, MIDDLE, LOW), ("worse", "worse"),
     FROM_SCRATCH.format("SimpleNN", "3,02 puntos más", AJUSTADA), "Va en contra de esa idea"),
    ("letters", (HIGH, NEAR_HIGH, SPREAD), ("unknown", "unknown"),
     f"No se puede decir quién gana: entre {AJUSTADA} y la CNN, la diferencia queda sin decidir.",
     "no se puede decir cuál de las dos"),
]  # fmt: skip
WORDS = {
    "better": "supera a {} (", "worse": "queda por debajo de {} (",
    "equal": "es prácticamente igual a {} (", "unknown": "queda sin decidir frente a {} (",
}  # fmt: skip
SPANISH, ENGLISH = Language("es"), Language("en")
SPANISH_WORDS = re.compile(
    r"\b([Ee]l|[Ll]as?|[Ll]os|[Dd]el?|que|y|con|sin|por|para|es|una?)\b|[áíóúñ¿]"
)
SAME = [
    (r"supera (?:también )?a (?=[A-Z])", r"beats (?=[A-Z])"),
    (r"queda por debajo de (?=[A-Z])", r"falls short of (?=[A-Z])"),
    (r"sin decidir frente a", r"undecided against"),
    (r"una mejora", r"a gain"), (r"una pérdida(?=[,.;:])", r"a drop"),
    (r"\| mejor ", r"\| better "), (r"\| peor ", r"\| worse "),
    (r"prácticamente igual(?:es)?", r"practically equal"),
    (r"en la práctica nada|prácticamente nada", r"practically nothing"),
    (r"como en los pliegues", r"as on the folds"), (r"al contrario que", r"contrary to"),
    (r"no se solapan", r"do not overlap"), (r"de más", r"overconfident"),
]  # fmt: skip
NOTHING = pd.DataFrame()
TOKEN = re.compile(r"[<>]|[+−]?\d+(?:\.\d+)?|`[^`]+`|SimpleNN|CNN|ResNet18|SHA|\w+\.png")
END = re.compile(r"(?<=[.?])[*”»]* (?=[A-ZÁÉÍÓÚ¿«“*`\d])")  # of a sentence
HOLES = r"  | \n|\n\n\n| [.,;:)]|\( |\.\.[^/]|,,|;;"


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Comparison:
    with chdir(tmp_path_factory.mktemp("digits")):
        return made(*three(LOW, HIGH, MIDDLE))


def three(*scores: list[float]) -> list[Made]:
    return [one.but(scores=row) for one, row in zip((SIMPLE, CNN, TUNED), scores, strict=True)]


def made(*contestants: Made, metric="accuracy", **options) -> Comparison:
    results.write(*contestants, **options)
    return read(params.contestants(), 0.005, metric)


def report(comparison: Comparison, tuning=NOTHING, study=NOTHING, gains=()) -> str:
    """The report in Spanish, of which the one in English says the same."""
    values = context(comparison, gains, tuning, study)
    render, names = language.render, language.WORDS
    spanish, english = (render("informe", Language(name), values) for name in names)
    assert places(english, "en") == places(spanish, "es")
    for text in (spanish, english):
        assert not re.search(HOLES, text)
    return spanish


def places(text: str, spoken: str) -> list[list[list[str]]]:
    """The numbers, names and code of each line, sentence by sentence, in no language.

    The glossary is in the order of its words, which each language has its own.
    """
    if spoken == "es":
        text = re.sub(rf"(?<=\d)[{SPACE}](?=\d)", "", text)
        text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    else:
        text = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace(".en.png", ".es.png")
    for one in SAME:  # verdicts, as numbers are
        text = re.sub(one[spoken == "en"], f"`{one[1]}`", text)
    numerals = language.WORDS[spoken]["numerals"].split()
    for value in range(3, 11):  # "one" and "two" may be other words
        text = re.sub(rf"\b{numerals[value]}\b", str(value), text)
    body, glossary = (
        [[TOKEN.findall(part) for part in END.split(line)] for line in half.split("\n")]
        for half in re.split(r"(?m)^## Glos\w+$", text)
    )
    return body + sorted(glossary)


def has(text: str, *parts: str) -> None:
    assert [one for one in parts if one not in text] == []


def lead(text: str) -> str:
    return re.match(r"# [^\n]+\n\n\*\*(.*?)\*\*", text)[1]


def row(text: str, label: str) -> list[str]:
    (line,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", text, re.M)
    return [cell.strip(" ") for cell in line.split(" | ")]


def value(text: str) -> float:
    return float(text.replace(",", ".").replace("−", "-"))


def but(digits: Comparison, name: str, **changes) -> Comparison:
    """The comparison with other results of one of the models."""
    models = (replace(one, **changes) if one.name == name else one for one in digits.models)
    return replace(digits, models=tuple(models))


def by_epoch(digits: Comparison, name: str, **columns: list[float]) -> Comparison:
    """The comparison, had a model had these losses or accuracies in its four epochs."""
    history = next(one.history for one in digits.models if one.name == name)
    place = history["epoch"] - 1
    columns = {key: np.array(values)[place] for key, values in columns.items()}
    return but(digits, name, history=history.assign(**columns))


@pytest.mark.parametrize(("source", "scores", "verdicts", "first", "taller"), ENDINGS)
def test_every_ending_is_said_as_it_is(workdir, source, scores, verdicts, first, taller):
    simple, cnn, tuned = three(*scores)
    comparison = made(simple, cnn, tuned.but(source=source))
    simple, cnn, tuned = comparison.models
    assert tuple(comparison.pair(tuned, one).verdict for one in (simple, cnn)) == verdicts
    text = report(comparison)
    assert lead(text) == first
    summary = text.split("![")[0]
    for one, verdict in zip((simple, cnn), verdicts, strict=True):
        assert [key for key in WORDS if WORDS[key].format(one.short) in summary] == [verdict]
    # The difference comes apart into two steps.
    said = re.search(
        r"De SimpleNN a ResNet18 van (\S+) puntos, .* la arquitectura \(CNN − SimpleNN\) da (\S+), "
        r".* \(ResNet18 − CNN\), (\S+), ",
        summary,
    ).groups()
    means = [100 * np.mean(one) for one in scores]
    gaps = [means[2] - means[0], means[1] - means[0], means[2] - means[1]]
    assert [*map(value, said)] == pytest.approx(gaps, abs=0.0051)
    assert ("Para decidir entre" in text) == ("unknown" in verdicts)
    elsewhere = "sin contar el preentrenamiento, que nadie midió aquí, cuesta 1,0 veces" in text
    assert elsewhere == (source == "imagenet")
    has(text, taller, f"validación cruzada, {comparison.ranking[0].short}, queda en `modelos/mod")
    # A first sentence, a summary of five lines: the sixth is of a learning curve.
    assert [len(part.split("\n")) for part in summary.split("\n\n")[:3]] == [1, 1, 5]
    assert_reads_well(text)


def assert_reads_well(text: str) -> None:
    """Decimal commas, nothing missing; all that is cited is listed."""
    prose = text.replace("CC BY-SA 3.0", "")
    assert not re.search(r"\d\.\d|= 0,000|−0,00[ ;\]]|\b(nan|None|inf)\b|\{|\}|\|\|", prose)
    body, works = text.split("## Referencias")
    cited = set(re.findall(r"\b([A-Z]\w+)(?: y \w+| et al\.)?, (\d{4})", body))
    listed = re.findall(r"^- [A-Z]\. (?:[A-Z]\. )*(\w[\w-]*).*? \((\d{4})\)\. \*", works, re.M)
    assert {(name.split("-")[0], year) for name, year in listed} == cited
    assert re.findall(r"^## (.*)$", text, re.M)[-2:] == ["Referencias", "Glosario"]


def test_difference_interval_and_probabilities_are_those_of_the_pair(workdir):
    text, gaps = report(made(*three(LOW, HIGH, SPREAD))), 100 * np.subtract(SPREAD, HIGH)
    # Three folds: each validates on half as many images as it trains on.
    posterior = stats.t(2, gaps.mean(), np.sqrt((1 / 3 + 1 / 2) * gaps.var(ddof=1)))
    said = re.search(r"CNN \((\S+) puntos; IC 95 % de (\S+) a (\S+); ([^)]*)\)", text)
    expected = (gaps.mean(), *posterior.interval(0.95))
    assert [value(one) for one in said.groups()[:3]] == pytest.approx(expected, abs=0.0051)
    below, above = posterior.cdf(-0.5), posterior.sf(0.5)
    chances = [f"{100 * p:.1f}{SPACE}%" for p in (below, 1 - below - above, above)]
    listed = f"{chances[0]}, {chances[1]} y {chances[2]}".replace(".", ",")
    assert said[4] == f"probabilidades de peor, igual y mejor: {listed}"


def test_of_networks_from_scratch_alone_and_of_one_alone(workdir):
    text = report(made(SIMPLE.but(scores=LOW), CNN.but(scores=HIGH)))
    assert lead(text) == "Gana la CNN: acierta 3,02 puntos más que la SimpleNN."
    assert not re.search("preentrena[drm]|letras|ResNet|Holm", text.split("## Referencias")[0])
    text = report(made(TUNED))
    assert lead(text) == "Solo hay una red, la ResNet18 ajustada: falta otra con la que compararla."


def test_each_of_several_fine_tuned_has_its_own_start_and_a_control_isolates_it(workdir):
    other = LETTERS | {"accuracy": [0.6], "letters": 77, "sha256": "12" * 32}
    lite0 = TUNED.but(name="lite0", network="efficientnet_lite0", source="imagenet", scores=LOW)
    control = TUNED.but(name="control", source="none", scores=LOW)
    more = TUNED.but(name="more", scores=NEAR_HIGH, letters=other)
    text = report(made(*three(LOW, MIDDLE, HIGH), control, more, lite0))
    assert "la more ajustada acierta 2,01 puntos más que la CNN" in lead(text)
    has(
        text, "pesos aleatorios, sin preentrenamiento: es el control (pesos de partida: SHA-256 cd",
        "preentrenada aquí con letras dibujadas y ajustada (pesos de partida: SHA-256 12121212…).",
        "una red convolucional eficiente (Tan y Le, 2019), con pesos de ImageNet",
        "Las letras de ResNet18 son 426", "Las letras de more son 77",
        "La misma red con y sin preentrenamiento, more (fine-tuning) frente a control "
        "(fine-tuning): +3,02 puntos (IC 95 % de +", "), una mejora.",
    )  # fmt: skip
    assert row(text, "more frente a control (solo el preentrenamiento)")[-1] == "mejor"
    assert row(text, "ResNet18 frente a CNN (arquitectura y preentrenamiento)")[-1] == "mejor"


def rare(one: Made, scores: list[float], **options) -> Made:
    """A contestant on images of which 95 % are of one of two classes."""
    shares = {"largest_class": 0.95, "largest_class_balanced": 0.5}
    return one.but(scores=scores, metrics=shares, **options)


def test_of_null_data_nothing_beats_the_largest_class(workdir):
    # CNN is right more often than SimpleNN, and never names the rare class.
    models = [rare(SIMPLE, [0.9, 0.901, 0.902]), rare(CNN, [0.95, 0.949, 0.95])]
    text = report(made(*models, names=("a", "b"), dataset="Nada"))
    assert lead(text) == (
        f"Nada supera a decir siempre la clase mayor, que acierta el 95,00{SPACE}%: no se "
        "recomienda ninguna red."
    )
    assert not re.search(r"Gana |Empata|supera a [A-Z]|por debajo de |Qué da el|mejor \|", text)
    has(text, "no la superan con certeza SimpleNN (probabilidad: ", "aunque no se recomienda.")
    assert row(text, "Decir siempre la clase mayor al entrenar (%)")[0].startswith("95,00 ± 0,00")
    assert_reads_well(text)


def test_what_is_rare_where_it_is_measured_counts_as_the_largest_class_of_all(workdir):
    # Folds by group of one class each: who names what training has most of is never right.
    shares = {"largest_class": 0.0, "largest_class_balanced": 0.0}
    models = [one.but(scores=[0.48, 0.5, 0.49], metrics=shares) for one in (SIMPLE, CNN)]
    text = report(made(*models, names=("a", "b"), dataset="Nada"))
    assert lead(text).startswith("Nada supera a decir siempre la clase mayor, que acierta el 50,00")


def test_who_beats_the_largest_class_wins_and_who_does_not_is_named(workdir):
    models = rare(SIMPLE, [0.9, 0.901, 0.902]), rare(CNN, [0.95, 0.949, 0.95]), rare(TUNED, HIGH)
    text = report(made(*models, names=("a", "b"), dataset="Raras"))
    assert lead(text).startswith("Gana el *fine-tuning*: la ResNet18 ajustada acierta 3,15 puntos")
    assert re.search("no la superan con certeza SimpleNN .* y CNN ", text)
    last = row(text, "CNN frente a SimpleNN (arquitectura)")[-1]
    assert last == "sin conclusión: no supera a la clase mayor"
    assert row(text, "ResNet18 frente a CNN (arquitectura y preentrenamiento)")[-1] == "mejor"


def test_the_metric_that_decides_is_said_and_why(workdir):
    simple = rare(SIMPLE, [0.96, 0.961, 0.962], balanced=[0.6, 0.61, 0.605])
    tuned = rare(TUNED, LOW, balanced=[0.8, 0.81, 0.812])
    text = report(made(simple, tuned, metric="balanced_accuracy", names=("a", "b")))
    assert "ajustada acierta 20,23 puntos más, pesando igual todas las clases" in lead(text)
    has(
        text, "(`compare.metric`) la exactitud equilibrada (*balanced accuracy*), en la que pesa "
        f"igual cada clase, pues la mayor tiene el 95,0{SPACE}% de las imágenes: es del 60,50",
        "El de mayor exactitud equilibrada en validación cruzada, ResNet18, queda en",
    )  # fmt: skip
    means = row(text, "Exactitud equilibrada, o exhaustividad media (%)")
    assert means[1].startswith("80,73 ± 0,64")
    plain = report(made(simple, tuned, names=("a", "b")))
    assert lead(plain).startswith("Gana entrenar desde cero")


def test_a_control_of_two_folds_is_told_with_them_and_does_not_win(workdir):
    tuned = TUNED.but(name="todo", scores=HIGH, training={"epochs": 8})
    control = TUNED.but(name="control", source="none", folds=2, training={"epochs": 16})
    text = report(made(SIMPLE, CNN.but(scores=MIDDLE), control.but(scores=[0.999, 0.998]), tuned))
    assert lead(text).startswith("Gana el *fine-tuning*: la todo ajustada")
    has(
        text, "control (fine-tuning): −1,80 puntos (IC 95 % de ",
        ", en 2 de 3 pliegues), una pérdida; difieren además en `epochs`.",
        "control se mide solo en 2 de 3 pliegues", "no puede ganar",
        f"99,85{SPACE}% en control (2 de 3 pliegues)",
    )  # fmt: skip
    assert row(text, "todo frente a control (preentrenamiento y ajustes; 2 pliegues)")


SAME_NETWORK = {"frozen": [], "model_params": {"stem": "sum_rgb", "image_size": 28}}


def test_the_same_network_with_letters_and_without_isolates_pretraining(workdir):
    letters = Made("letras", "cnn", "letters", HIGH, training=SAME_NETWORK)
    text = report(made(SIMPLE, CNN.but(scores=MIDDLE), TUNED, letters))
    has(text, "el preentrenamiento (letras − CNN), +2,01, una mejora. El segundo paso cambia solo")
    other = letters.but(training=SAME_NETWORK | {"epochs": 9})
    text = report(made(SIMPLE, CNN.but(scores=MIDDLE), TUNED, other))
    has(text, "El segundo paso cambia el preentrenamiento y `epochs`.")
    # Of another size, and tuned in its last layer alone.
    assert row(text, "letras frente a ResNet18 (arquitectura y capas que se ajustan)")


@pytest.mark.parametrize(
    ("votes", "known"),
    [(0.978, "quizá ya conocía"), (0.96, None), (0.99, "ya conocía")],
)
def test_that_imagenet_knew_the_classes_is_said(workdir, votes, known):
    heads = {"imagenet_votes": votes, "imagenet_votes_balanced": 0.1}
    text = report(made(SIMPLE, TUNED.but(source="imagenet", scores=HIGH, metrics=heads)))
    share = f"{100 * votes:.2f}".replace(".", ",")
    said = re.search(rf"\*\*ImageNet (.*) estas clases\.\*\* .* acierta el {share}{SPACE}%", text)
    assert (said and said[1]) == known
    assert ("lo que falla es su ajuste" in text) == (votes == 0.99)
    assert row(text, "Cabeza de ImageNet, sin entrenar (%)")[1].startswith(share)


def test_what_was_chosen_and_what_could_not_be_is_said(workdir):
    row = {"repeat": 1, "weight_decay": 0.1, "epochs": 10, "fixed": False}
    chosen = [row | {"fold": 1}, row | {"fold": 2}]
    chosen.append(row | {"fold": None, "weight_decay": 0.001, "fixed": True})
    text = report(made(SIMPLE, TUNED.but(fit={"chosen": chosen})))
    has(
        text, "2 entrenamientos toman un decaimiento de 0,1 y 10 épocas, elegidos dentro de su par",
        "1 entrenamiento toma un decaimiento de 0,001 y 10 épocas, fijados, pues con tan",
    )  # fmt: skip
    assert "De SimpleNN se dio" not in text


FAILED = {
    "letters": (
        lambda all: but(all, "resnet18", pretraining=LETTERS | {"accuracy": [0.7, 0.0025]}),
        "el preentrenamiento de ResNet18 no aprendió las letras (acierta el 0,25\u00a0%; diez "
        "veces el azar sería el 2,69\u00a0%)", "más letras (`pretrain.images`)",
    ),
    "falling": (
        lambda all: by_epoch(all, "cnn", val_loss=[1, 1, 1, 0.77], val_accuracy=[0, 0, 0.89, 0.9]),
        "en CNN, la pérdida de validación aún bajaba un 23\u00a0% en la última época (se admite un "
        "10\u00a0%), y con ella subía la exactitud", "más épocas (`epochs`; con pocas imágenes,",
    ),
    "one score": (
        lambda _: made(*three([0.9], [0.91], [0.92])),
        "hay una sola medida de cada modelo, y no se sabe cuánto varía", "más pliegues o",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILED)
def test_where_an_assumption_fails_nothing_is_concluded(digits, workdir, case):
    change, said, remedy = FAILED[case]
    text = report(change(digits))
    assert lead(text) == f"Sin conclusión: {said}; así no se decide nada."
    has(text, f"para decidir hacen falta {remedy}", "de esa idea no se puede decir nada.")
    conclusions = (
        "Gana|supera a|por debajo de |De dónde viene|Conclusión|Se concluye|en los pliegues, con|"
        "al contrario que|no lo confirma|Concuerda|Va en contra|sale lo|bastaba|Para decidir entre"
    )
    assert not re.search(conclusions, text.replace("Ganó la red simple", ""))


def test_what_the_losses_say(digits):
    losses = {"train_loss": [1, 0.5, 0.3, 0.2], "val_loss": [1.1, 0.5, 0.4, 0.42]}
    text = report(by_epoch(digits, "cnn", **losses))
    has(
        text, "0,200 y 0,420 en CNN;",
        f"El sobreajuste daña: la de validación sube un 5,0{SPACE}% en CNN, desde la época 3.",
    )  # fmt: skip
    # Losses of other targets are not compared.
    fit = digits.models[1].fit
    fit = fit | {"training": fit["training"] | {"label_smoothing": 0.1}}
    text = report(but(digits, "cnn", fit=fit))
    has(text, "En CNN no son comparables: la de entrenamiento se mide con imágenes o etiquetas")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["Los 539 escritores que identifica QMNIST (Yadav y Bottou, 2019) no se reparten",
              "Ninguno de los 297 de la prueba", "Las letras son 426, de tres alfabetos (latino,",
              "tres de los cuatro tienen una letra casi igual (una correlación mayor que 0,94",
              "se parecen la O al 0, la ⵒ tifinag al 2 y la З cirílica al 3; no la tiene el 4."]),
        ({"groups": WRITERS | {"grouped": False, "shared": 12}},
         ["están a los dos lados de cada pliegue", "De los 297 de la prueba, 12 están entre"]),
        ({"groups": WRITERS | {"largest": 438}, "train_images": 600, "folds": 5},
         ["Un escritor tiene el 73,0", "mucho más que un pliegue"]),
        ({"groups": None, "repeats": 2}, ["No se sabe de qué escritores son las imágenes",
         "Hay 2 repeticiones, cada una con otros pliegues y otras semillas."]),
        ({"dataset": "KMNIST"}, ["Los 539 grupos no se reparten", "| Carácter más difícil |"]),
    ],
)  # fmt: skip
def test_what_is_known_of_the_images_is_said(digits, changes, said):
    has(report(replace(digits, data=digits.data | changes)), *said)


def test_own_pictures_are_described_and_nothing_of_mnist_is_said(workdir):
    pictures = {
        "test": "drawn", "groups": "groups.csv", "duplicates": 3, "several_frames": 1,
        "smallest": [40, 30], "largest": [2000, 1500], "fit": "pad", "conflicts": 6, "white": 4095,
        "dark": 7,
        "left_out": {"HEIC": 2, "notes": 5}, "parts": {},
        "near_copies": {"pairs": 4, "apart": 1, "dissolved": 70,
                        "across": [("a/1.jpg", "b/2.jpg"), ("a/3.jpg", "a/4.jpg")]},
    }  # fmt: skip
    names = ("manzana", "pera", "a_b|c*", "uva", "higo")
    own = {"names": names, "dataset": "Frutas_1", "shape": (3, 64, 64), "groups": None}
    text = report(made(SIMPLE, TUNED.but(scores=HIGH), pictures=pictures, **own))
    has(
        text, "**Frutas\\_1**: imágenes de 5 clases (manzana, pera, a\\_b\\|c\\*, uva e higo), 64",
        "Medían de 40 × 30 a 2000 × 1500 píxeles", "ajustó, sin recortarla ni deformarla, a un",
        "por grupos enteros", "que no cuentan: 3.", "se usa el primero: 1.", "`groups.csv` diga",
        "de las que no cuenta ninguna: 6.", "archivos, que no cuentan: 7.",
        "por blanco se toma 4095.", "toma: 4, de las que 1 no se separan. Sin mantener juntas",
        "Quedan entre entrenamiento y prueba 2, y la prueba es optimista: `a/1.jpg` y `b/2.jpg`; "
        "`a/3.jpg` y",
        "70 imágenes están en grupos demasiado", "- **Tomas repetidas.** Parejas",
        "no todas nuevas (parejas que parecen de una misma toma con las de entrenamiento: 2)",
        "a los dos lados de un pliegue: 1.", "los que dicen: 7.",
        "| Clase más difícil |",
    )  # fmt: skip
    assert not re.search(r"d[ií]gito|28 × 28|escritor|casi igual|LeCun|QMNIST|taller", text)
    given = {"test": "given", "parts": {"train": ["Train"], "test": ["val"]}, "fit": "crop"}
    text = report(made(SIMPLE, CNN, pictures=pictures | given, **own))
    has(text, "cada una se recortó a su cuadrado central,", "Las de prueba son las de `val`.")
    numbered = report(made(SIMPLE, names=("上", "una clase de nombre larguísimo"), dataset="Kanji"))
    has(numbered, "dibuja: 1, 上; 2, una clase de nombre larguísimo.")


@pytest.mark.parametrize(
    ("only_cnn", "only_tuned", "said"),
    [
        (163, 43, ", como en los pliegues."),
        (43, 163, ", al contrario que en los pliegues."),
        (22, 20, ", que por sí solo no lo confirma."),
    ],
)
def test_the_test_images_may_say_something_else(digits, only_cnn, only_tuned, said):
    counts = {"both": 9955 - only_cnn - only_tuned, "only_first": only_cnn, "neither": 45}
    counts |= {"first": "cnn", "second": "resnet18", "only_second": only_tuned}
    text = report(replace(digits, models=digits.models[1:], agreement=[counts]))
    (bullet,) = re.findall(r"^- .* acierta .* imágenes en las que .*$", text, re.M)
    counts = max(only_cnn, only_tuned), min(only_cnn, only_tuned), 45
    assert tuple(map(int, re.findall(r"\d+", bullet.replace("ResNet18", ""))))[:3] == counts
    assert bullet.endswith(f"){said}")


def test_cells_of_the_tables_are_those_of_the_results(digits):
    counts, cnn = np.diag([40] * 10), digits.models[1]
    counts[4, 9], counts[7, 2], counts[9, 4] = 7, 7, 5
    hardest = cnn.per_class.assign(recall=0.99)
    hardest.loc[[3, 6], ["recall", "support"]] = [[0.6, 40], [0, 0]]  # of 6 there is none
    test = cnn.test | {"ece": 0.0031, "ece_calibrated": {"mean": 0.002, "high": 0.003}}
    surer = cnn.calibration.assign(hits=0)
    changed = {"confusion": counts, "per_class": hardest, "test": test, "calibration": surer}
    text = report(but(digits, "cnn", **changed))
    assert row(text, "Confusión más frecuente")[1] == "4 → 9 y 7 → 2 (7)"
    assert row(text, "Dígito más difícil")[1] == f"3 (exhaustividad 60,0{SPACE}%)"
    assert re.search(r"Supera lo que explica el azar el ECE de .*CNN \(confía de más\)", text)
    assert row(text, "Capas congeladas") == ["ninguna", "ninguna", "`conv1` y `layer1`"]
    assert row(text, "Operaciones por respuesta")[2] == f"2,0{SPACE}×{SPACE}10⁶"
    has(text, "incluido, cuesta 20 veces lo que SimpleNN y 20 veces lo que CNN")


def test_the_tables_of_the_study_are_said_where_they_have_rows(digits):
    tables = [pd.read_csv(ROOT / f"resultados/{name}.csv") for name in ("ajuste", "estudio/mapa")]
    text, grid = report(digits, *tables), tables[0].query("elegida == 'sí'").set_index("modelo")
    cnn, simple = (
        f"{100 * grid.accuracy[name]:.2f}{SPACE}%".replace(".", ",") for name in ("CNN", "SimpleNN")
    )
    has(text, f"{simple} en SimpleNN", f"{cnn} en CNN", "(estudio/mapa.es.png)")
    for one in (report(digits, *(table[:0] for table in tables)), report(digits)):
        assert not re.search("ajuste.csv|estudio|cuadrícula|compensa preentrenar", one)
    other = report(replace(digits, data=digits.data | {"dataset": "Frutas"}), *tables)
    assert "con MNIST, no con estas imágenes" in other and "estudio" not in other


def test_a_mistake_in_the_template_is_named_with_its_line(tmp_path):
    for text, said in (
        ("uno\n{{ dos|percent }\n", "line 2: "),
        ("{{ nadie }}", ": 'nadie' is undef"),
    ):
        (tmp_path / "informe.en.md.j2").write_text(text)
        with pytest.raises(UserError, match=rf"/informe\.en\.md\.j2.*{said}"):
            language.render("informe", ENGLISH, {}, tmp_path)


def test_numbers_and_lists_as_their_readers_write_them():
    for name, argument, spanish, english in (
        ("number", -1e-18, "0,00", "0.00"),
        ("thousands", 5130, "5130", "5,130"), ("thousands", 1_234_567, "1_234_567", "1,234,567"),
        ("p_value", 0.0321, "0,032", "0.032"), ("p_value", 1e-9, "< 0,001", "< 0.001"),
        ("certainty", 0.99999, "> 99,9_%", "> 99.9%"), ("plain", 1e-05, "0,00001", "0.00001"),
        ("scientific", 66_021_888, "6,6_×_10⁷", "6.6_×_10⁷"),
        ("times", 0.047, "el 4,7_% de", "4.7% of"), ("times", 5.13, "5,1 veces", "5.1 times"),
        ("enumeration", ["uva", "higo"], "uva e higo", "uva and higo"),
        ("enumeration", ["a", "hielo"], "a y hielo", "a and hielo"),
    ):  # fmt: skip
        for say, expected in (SPANISH, spanish), (ENGLISH, english):
            assert getattr(say, name)(argument) == expected.replace("_", SPACE)


def test_what_a_template_says_otherwise_or_leaves_out_is_seen(digits):
    text = language.render("informe", ENGLISH, context(digits, (), NOTHING, NOTHING))
    expected = places(text, "en")
    for old, new in (
        (" 539 ", " 538 "), (" The folds are the same for all: the comparison is paired.", ""),
        ("`compare.rope`", "the margin"), ("three alphabets", "two alphabets"),
        ("falls short of ", "beats "),
    ):  # fmt: skip
        assert old in text and places(text.replace(old, new), "en") != expected, old
    assert not SPANISH_WORDS.search(text.replace("et al.", ""))


def test_every_word_is_in_both_languages_and_takes_the_same_values():
    spanish, english = language.WORDS["es"], language.WORDS["en"]
    assert [*spanish] == [*english]
    for key, text in spanish.items():
        names = ({*re.findall(r"{(\w+)}", one)} for one in (text, english[key]))
        es, en = (one - {"metric", "english"} for one in names)  # Spanish says accuracy twice
        assert es == en, key
    assert not [one for one in english.values() if SPANISH_WORDS.search(one)]


def test_both_languages_have_one_form_of_each_plot_on_the_page():
    def form(path: Path) -> str:
        lines = path.read_text("utf-8").splitlines()
        texts = r'"(title|text|subtitle|description|labelExpr|language)": "[^"]*"'
        together = r"datum.value < 10000 \? 'd' : (?=',d')"  # Spanish has four digits together
        return [re.sub(together, "", re.sub(texts, r"\1", line)) for line in lines]

    spanish = sorted((Path(__file__).parents[1] / ".dvc/plots").glob("*_es.json"))
    assert len(spanish) == 4
    for path in spanish:
        assert form(path) == form(path.with_name(path.name.replace("_es", "_en")))


def test_an_undecided_winner_hides_no_network_that_pretraining_makes_better(workdir):
    letters = Made("cnn_letters", "cnn", "letters", scores=MIDDLE, training=SAME_NETWORK)
    text = report(made(CNN.but(scores=LOW), letters, TUNED.but(scores=(0.9, 0.999, 1.0))))
    assert lead(text).startswith("No se puede decir quién gana: entre la ResNet18 ajustada y la C")
    has(text, "Pero la CNN ajustada acierta 1,01 puntos más que la CNN: con la misma red")


def test_what_pretraining_gives_with_fewer_images_is_said_and_from_where_on_it_is_nothing(workdir):
    letters = Made("cnn_letters", "cnn", "letters", NEAR_HIGH, training=SAME_NETWORK)
    letters = letters.but(fit={"flops": {"inference": 20_000, "training": 1}, "parameters": 10_000})
    few = {20: [0.85, 0.86, 0.87], 150: NEAR_HIGH}
    curves = {"cnn": few, "cnn_letters": {20: [0.9, 0.91, 0.92], 150: HIGH}}
    comparison = made(SIMPLE.but(scores=LOW), CNN.but(scores=HIGH), letters, curves=curves)
    read_curves = learning_curve.read(comparison, ["kfold_train.cnn", "finetune.cnn_letters"])
    text = report(comparison, gains=learning_curve.gains(comparison, read_curves))
    assert lead(text).startswith("Basta entrenar desde cero: la CNN acierta lo mismo que la CNN aj")
    has(
        text, "Con menos imágenes es otra cosa: con 20, la CNN ajustada acierta 5,00 puntos más",
        "es de +5,00 puntos con 20 imágenes, −0,01 con 150 y +0,01 con 400: de estas cantidades, "
        "desde 150 se puede decir que es prácticamente nada.",
    )  # fmt: skip
    part = text.partition("## ¿Desde cuántas imágenes deja de importar el *fine-tuning*?")[2]
    assert re.findall(r"^\| (\d+) \|.*\| ([\w ]+) \|$", part, re.M) == [
        ("20", "mejor"), ("150", "prácticamente iguales"), ("400", "prácticamente iguales"),
    ]  # fmt: skip
