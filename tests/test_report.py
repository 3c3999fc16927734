"""The report says every ending as it is, of any contestants, in the numbers of the results."""

import re
from contextlib import chdir
from dataclasses import replace
from io import StringIO

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
from taller.statistics.results import Result

SPACE = "\u00a0"
LOW, MIDDLE, HIGH = [0.95, 0.951, 0.952], [0.96, 0.9612, 0.9621], [0.98, 0.981, 0.9825]
NEAR_HIGH, NEAR_LOW = [0.9801, 0.9812, 0.9824], [0.9501, 0.9508, 0.9521]
SPREAD = [0.97, 0.985, 0.98]  # against HIGH, whatever
# The folds' accuracies of SimpleNN, CNN and ResNet18; the verdicts of the last against the others,
# and of CNN against SimpleNN; and the first words of the report.
FROM_SCRATCH = (
    "Gana entrenar desde cero: una {} pequeña acierta {} que TUNED, y cada respuesta cuesta"
)
OPEN = "No se puede decir quién gana: entre TUNED y la CNN, la diferencia queda sin decidir."
ENDINGS = {
    "beats both": ((LOW, MIDDLE, HIGH), ("better", "better", "better"),
                   "Gana SIDE: TUNED acierta 2,01 puntos más que la CNN, la mejor de las "
                   "entrenadas desde cero, aunque cada respuesta cuesta 100 veces más."),
    "equals CNN": ((LOW, HIGH, NEAR_HIGH), ("better", "equal", "better"),
                   FROM_SCRATCH.format("CNN", "lo mismo")),
    "loses to CNN": ((LOW, HIGH, MIDDLE), ("better", "worse", "better"),
                     FROM_SCRATCH.format("CNN", "2,01 puntos más")),
    "open with CNN": ((LOW, HIGH, SPREAD), ("better", "unknown", "better"), OPEN),
    "equals SimpleNN": ((LOW, HIGH, NEAR_LOW), ("equal", "worse", "better"),
                        FROM_SCRATCH.format("CNN", "3,02 puntos más")),
    "equals both": ((HIGH, NEAR_HIGH, HIGH), ("equal", "equal", "equal"),
                    FROM_SCRATCH.format("CNN", "lo mismo")),
    "loses to both": ((HIGH, MIDDLE, LOW), ("worse", "worse", "worse"),
                      FROM_SCRATCH.format("SimpleNN", "3,02 puntos más")),
    "open with both": ((HIGH, NEAR_HIGH, SPREAD), ("unknown", "unknown", "equal"), OPEN),
}  # fmt: skip
WORDS = {
    "better": ("supera a {} (", "una mejora"), "worse": ("queda por debajo de {} (", "una pérdida"),
    "equal": ("es prácticamente igual a {} (", "en la práctica nada"),
    "unknown": ("queda sin decidir frente a {} (", "sin decidir"),
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
        return made(SIMPLE, CNN, TUNED)


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
        text = re.sub(r"(?<=\d),(?=\d{3})", "", text).replace(".en.png", ".png")
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


def section(text: str, heading: str) -> str:
    return re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)[0]


def lead(text: str) -> str:
    return re.match(r"# [^\n]+\n\n\*\*(.*?)\*\*", text)[1]


def row(text: str, label: str) -> list[str]:
    (line,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", text, re.M)
    return [cell.strip(" ") for cell in line.split(" | ")]


def value(text: str) -> float:
    return float(text.replace(",", ".").replace("−", "-"))


def scored(result: Result, scores: list[float]) -> Result:
    """The same, had the folds these accuracies; they may be fewer."""
    table = result.table[result.table["fold"] <= len(scores)].copy()
    table.loc[table["metric"] == "accuracy", "value"] = scores
    return replace(result, table=table)


def started(result: Result, source: str) -> Result:
    """The same, had it started from something else."""
    if result.source is None:
        return result
    fit = result.fit | {"start": result.fit["start"] | {"source": source}}
    return replace(result, fit=fit, pretraining=LETTERS if source == "letters" else {})


def ending(digits: Comparison, name: str, source: str = "letters") -> Comparison:
    models = zip(digits.models, ENDINGS[name][0], strict=True)
    return replace(digits, models=tuple(started(scored(*one), source) for one in models))


def of(digits: Comparison, **scores: list[float]) -> Comparison:
    """The comparison of these models alone, had they these accuracies."""
    models = (scored(one, scores[one.name]) for one in digits.models if one.name in scores)
    return replace(digits, models=tuple(models))


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


@pytest.mark.parametrize("source", ["letters", "imagenet", "none"])
@pytest.mark.parametrize("name", ENDINGS)
def test_every_ending_is_said_as_it_is(digits, name, source):
    comparison = ending(digits, name, source)
    simple, cnn, tuned = comparison.models
    verdicts = tuple(comparison.pair(tuned, one).verdict for one in (simple, cnn))
    assert (*verdicts, comparison.pair(cnn, simple).verdict) == ENDINGS[name][1]
    text, control = report(comparison), source == "none"
    expected = ENDINGS[name][2].replace(
        "TUNED", "la ResNet18 sin preentrenar" if control else "la ResNet18 ajustada"
    )
    side = "la red sin preentrenar" if control else "el *fine-tuning*"
    expected += " 100 veces menos." * expected.endswith("cuesta")
    assert lead(text) == expected.replace("SIDE", side)
    summary = text.split("![")[0]
    for one, verdict in zip((simple, cnn), verdicts, strict=True):
        said = [key for key, (words, _) in WORDS.items() if words.format(one.short) in summary]
        assert said == [verdict]
    # The difference comes apart into two steps.
    said = re.search(
        r"De SimpleNN a ResNet18 van (\S+) puntos, .* la arquitectura \(CNN − SimpleNN\) da (\S+), "
        r"(.*), y (.*) \(ResNet18 − CNN\), (\S+), (.*)\. (.*)",
        summary,
    ).groups()
    means = [100 * one.scores("accuracy").mean() for one in (simple, cnn, tuned)]
    gaps = [means[2] - means[0], means[1] - means[0], means[2] - means[1]]
    assert [value(said[place]) for place in (0, 1, 4)] == pytest.approx(gaps, abs=0.0051)
    assert (said[2], said[5]) == tuple(WORDS[ENDINGS[name][1][place]][1] for place in (2, 1))
    assert said[3] == ("el cambio de red" if control else "la red preentrenada")
    assert f"validación cruzada, {comparison.ranking[0].short}, queda en `modelos/modelo" in text
    assert ("Para decidir entre" in text) == ("unknown" in ENDINGS[name][1])
    elsewhere = "sin contar el preentrenamiento, que nadie midió aquí, cuesta 1,0 veces" in text
    assert elsewhere == (source == "imagenet")
    assert ("Lo mismo, con el preentrenamiento" in text) == (source == "letters")
    assert_reads_well(text)


def assert_reads_well(text: str) -> None:
    """Decimal commas, nothing missing, no holes; all that is cited, and all pictures, are there."""
    prose = text.replace("CC BY-SA 3.0", "")
    assert not re.search(r"\d\.\d|= 0,000|−0,00[ ;\]]|\b(nan|None|inf)\b|\{|\}|\|\|", prose)
    body, works = text.split("## Referencias")
    cited = set(re.findall(r"\b([A-Z]\w+)(?: y \w+| et al\.)?, (\d{4})", body))
    listed = re.findall(r"^- [A-Z]\. (?:[A-Z]\. )*(\w[\w-]*).*? \((\d{4})\)\. \*", works, re.M)
    assert {(name.split("-")[0], year) for name, year in listed} == cited
    assert re.findall(r"^## (.*)$", text, re.M)[-2:] == ["Referencias", "Glosario"]
    pictures = re.findall(r"^!\[[^\]]+\]\((\w+)\.png\)$", text, re.M)
    expected = ["folds", "ejemplo_mnist", "glifos", "curva_loss", "confusion_matrix", "calibracion"]
    expected = [one for one in expected if one != "glifos" or "Las letras" in text]
    assert pictures == [*expected, "errores", "coste"]


def test_a_summary_of_six_lines_follows_the_first_sentence(digits):
    summary = report(digits).split("![")[0].split("\n\n")
    assert [len(part.split("\n")) for part in summary[:3]] == [1, 1, 6]
    assert all(line.startswith("- **") for line in summary[2].split("\n"))


def test_difference_interval_and_probabilities_are_those_of_the_pair(digits):
    text, gaps = report(ending(digits, "open with CNN")), 100 * np.subtract(SPREAD, HIGH)
    # Three folds: each validates on half as many images as it trains on.
    posterior = stats.t(2, gaps.mean(), np.sqrt((1 / 3 + 1 / 2) * gaps.var(ddof=1)))
    said = re.search(r"CNN \((\S+) puntos; IC 95 % de (\S+) a (\S+); ([^)]*)\)", text)
    expected = (gaps.mean(), *posterior.interval(0.95))
    assert [value(one) for one in said.groups()[:3]] == pytest.approx(expected, abs=0.0051)
    below, above = posterior.cdf(-0.5), posterior.sf(0.5)
    chances = [f"{100 * p:.1f}{SPACE}%" for p in (below, 1 - below - above, above)]
    listed = f"{chances[0]}, {chances[1]} y {chances[2]}".replace(".", ",")
    assert said[4] == f"probabilidades de peor, igual y mejor: {listed}"


def test_few_more_repeats_are_asked_for_where_they_decide(digits):
    ahead = np.add(LOW, [0.0062, 0.0080, 0.0085]).tolist()
    comparison = of(digits, simple_nn=LOW, cnn=MIDDLE, resnet18=ahead)
    wanted = comparison.pair(comparison.models[2], comparison.models[0]).required_repeats
    assert wanted > 1
    assert (
        f"Para decidir entre ResNet18 y SimpleNN bastarían {wanted} repeticiones en total "
        "(`preprocess.repeats`; hay 1)"
    ) in report(comparison)


@pytest.mark.parametrize(
    ("cnn", "first"),
    [
        (HIGH, "Gana la CNN: acierta 3,02 puntos más que la SimpleNN."),
        (NEAR_LOW, "Empatan la SimpleNN y la CNN: aciertan lo mismo, y cada respuesta cuesta lo "
                   "mismo."),
        ([0.93, 0.99, 0.955], "No se puede decir quién gana: entre la CNN y la SimpleNN, la "
                              "diferencia queda sin decidir."),
    ],
)  # fmt: skip
def test_of_networks_from_scratch_alone_the_best_wins(digits, cnn, first):
    text = report(of(digits, simple_nn=LOW, cnn=cnn))
    assert lead(text) == first
    assert "*De SimpleNN y CNN, ¿cuál acierta más? ¿Por cuánto y con qué certeza?*" in text
    assert not re.search("preentrena[drm]|letras|ResNet", text.split("## Referencias")[0])
    assert "Holm" not in text  # one pair


def test_one_alone_and_fine_tuned_ones_alone(digits):
    text = report(of(digits, resnet18=HIGH))
    assert lead(text) == "Solo hay una red, la ResNet18 ajustada: falta otra con la que compararla."
    assert "| Comparación |" not in text
    other = replace(digits.models[2], name="other", short="other", model="other (fine-tuning)")
    counts = digits.agreement[0] | {"first": "resnet18", "second": "other"}
    two = (scored(digits.models[2], LOW), scored(other, HIGH))
    text = report(replace(digits, models=two, agreement=[counts]))
    assert lead(text) == "Gana la other ajustada: acierta 3,02 puntos más que la ResNet18 ajustada."
    assert "de su idea esta comparación no dice nada" in text


def test_each_of_several_fine_tuned_has_its_own_start(workdir):
    other = LETTERS | {"accuracy": [0.6], "letters": 77, "sha256": "12" * 32}
    lite0 = TUNED.but(name="lite0", network="efficientnet_lite0", source="imagenet", scores=LOW)
    control = TUNED.but(name="control", source="none", scores=LOW)
    more = TUNED.but(name="more", scores=NEAR_HIGH, letters=other)
    cnn, tuned = CNN.but(scores=MIDDLE), TUNED.but(scores=HIGH)
    text = report(made(SIMPLE, cnn, control, tuned, more, lite0))
    assert "la more ajustada acierta 2,01 puntos más que la CNN" in lead(text)
    compared = section(text, "¿Qué se comparó?")
    for start in (
        "**control (fine-tuning)**: una red residual (He et al., 2016), con pesos aleatorios, sin "
        "preentrenamiento: es el control (pesos de partida: SHA-256 cdcdcdcd…).",
        "**more (fine-tuning)**: una red residual (He et al., 2016), preentrenada aquí con letras "
        "dibujadas y ajustada (pesos de partida: SHA-256 12121212…).",
        "**lite0 (fine-tuning)**: una red convolucional eficiente (Tan y Le, 2019), con pesos de "
        "ImageNet (Deng et al., 2009; Russakovsky et al., 2015), aprendidos con fotografías",
        "Las letras de ResNet18 son 426", "Las letras de more son 77",
    ):  # fmt: skip
        assert start in compared, start
    # The control is the same network without pretraining: it isolates what that gives.
    for said in (
        "La misma red con y sin preentrenamiento, more (fine-tuning) frente a control "
        "(fine-tuning): +3,02 puntos (IC 95 % de +", "), una mejora.",
    ):  # fmt: skip
        assert said in text, said
    assert row(text, "more frente a control (solo el preentrenamiento)")[-1] == "mejor"
    assert row(text, "ResNet18 frente a CNN (arquitectura y preentrenamiento)")[-1] == "mejor"
    assert "Para aislar el preentrenamiento" not in text
    power = [row(text, "Lo mismo, con el preentrenamiento")[place][-2:] for place in range(6)]
    assert power == ["¹²", "¹²", "¹²", "¹³", "¹³", "¹²"]
    assert len(row(text, "Prueba")) == 6
    assert "100 veces lo que la de SimpleNN y 100 veces lo que la de CNN." in text


def rare(one: Made, scores: list[float], **options) -> Made:
    """A contestant on images of which 95 % are of one of two classes."""
    shares = {"largest_class": 0.95, "largest_class_balanced": 0.5}
    return one.but(scores=scores, metrics=shares, **options)


CONCLUSIONS = re.compile(
    r"Gana |Empata|supera a [A-Z]|por debajo de |De dónde viene|Qué da el|mejor \|"
)


@pytest.mark.parametrize(
    ("scores", "metric", "said"),
    [
        # Images of noise: CNN is right more often than SimpleNN, and never names the rare class.
        ([[0.90, 0.901, 0.902], [0.95, 0.949, 0.95], [0.90, 0.901, 0.902]], "accuracy",
         f"que acierta el 95,00{SPACE}%"),
        ([[0.49, 0.51, 0.505], [0.50, 0.498, 0.503], [0.52, 0.47, 0.51]], "balanced_accuracy",
         f"cuya exactitud equilibrada es del 50,00{SPACE}%"),
    ],
)  # fmt: skip
def test_of_null_data_nothing_beats_the_largest_class(workdir, scores, metric, said):
    models = [rare(*two, balanced=two[1]) for two in zip((SIMPLE, CNN, TUNED), scores, strict=True)]
    text = report(made(*models, metric=metric, names=("a", "b"), dataset="Nada"))
    assert lead(text) == (
        f"Nada supera a decir siempre la clase mayor, {said}: no se recomienda ninguna red."
    )
    assert not CONCLUSIONS.search(text) and "Para decidir" not in text
    assert "no la superan con certeza SimpleNN (probabilidad: " in text
    assert "queda en `modelos/modelo_final.pth`, aunque no se recomienda." in text
    assert row(text, "Decir siempre la clase mayor (%)")[2].startswith("95,00 ± 0,00")
    alone = report(made(models[0], metric=metric, names=("a", "b"), dataset="Nada"))
    assert lead(alone) == lead(text)
    assert_reads_well(text)


def test_who_beats_the_largest_class_wins_and_who_does_not_is_named(workdir):
    worse, better = [0.90, 0.901, 0.902], [0.95, 0.949, 0.95]
    models = rare(SIMPLE, worse), rare(CNN, better), rare(TUNED, HIGH)
    text = report(made(*models, names=("a", "b"), dataset="Raras"))
    assert lead(text).startswith("Gana el *fine-tuning*: la ResNet18 ajustada acierta 3,15 puntos")
    assert (
        f"exactitud del 95,00{SPACE}%; no la superan con certeza SimpleNN (probabilidad: < 0,1"
        f"{SPACE}%) y CNN (probabilidad: 0,5{SPACE}%)."
    ) in text
    assert row(text, "CNN frente a SimpleNN (arquitectura)")[-1] == (
        "sin conclusión: no supera a la clase mayor"
    )
    assert row(text, "ResNet18 frente a CNN (arquitectura y preentrenamiento)")[-1] == "mejor"
    # The better of two by their mean does not beat the largest class with certainty.
    text = report(made(models[0], rare(CNN, [0.99, 0.99, 0.93]), rare(TUNED, HIGH)))
    assert lead(text).startswith("No se puede decir quién gana")
    text = report(made(models[0], rare(CNN, HIGH), rare(TUNED, better)))
    assert "ResNet18 no se dice ni mejor ni peor que SimpleNN (+4,87 " in text


def test_the_metric_that_decides_is_said_and_why(workdir):
    simple = rare(SIMPLE, [0.96, 0.961, 0.962], balanced=[0.6, 0.61, 0.605])
    tuned = rare(TUNED, [0.95, 0.951, 0.952], balanced=[0.8, 0.81, 0.812])
    text = report(made(simple, tuned, metric="balanced_accuracy", names=("a", "b")))
    assert lead(text).startswith(
        "Gana el *fine-tuning*: la ResNet18 ajustada acierta 20,23 puntos más, pesando igual todas "
        "las clases, que la SimpleNN"
    )
    for said in (
        f"(`compare.metric`) la exactitud equilibrada (*balanced accuracy*), en la que pesa igual "
        f"cada clase, pues la mayor tiene el 95,0{SPACE}% de las imágenes: es del 60,50{SPACE}%",
        "El de mayor exactitud equilibrada en validación cruzada, ResNet18, queda en",
        f"Entre pliegues, la exactitud equilibrada va de 60,00 a 61,00{SPACE}% en SimpleNN",
    ):  # fmt: skip
        assert said in text, said
    validation = section(text, "¿Con qué certeza?")
    assert row(validation, "Exactitud equilibrada, o exhaustividad media (%)")[1].startswith(
        "80,73 ± 0,64"
    )
    assert row(text, "Lo mismo, exactitud equilibrada (%)")[0].startswith("50,00 ±")
    assert "en los pliegues." not in text  # that the test images, by accuracy, say the same
    plain = report(made(simple, tuned, names=("a", "b")))
    assert f"la que decide (`compare.metric`); la clase mayor tiene el 95,0{SPACE}%" in plain
    assert lead(plain).startswith("Gana entrenar desde cero")


def test_a_control_of_two_folds_is_told_with_them_and_does_not_win(workdir):
    tuned = TUNED.but(name="todo", scores=HIGH, training={"epochs": 8})
    control = TUNED.but(name="control", source="none", folds=2, training={"epochs": 16})
    lucky = control.but(scores=[0.999, 0.998])
    text = report(made(SIMPLE, CNN.but(scores=MIDDLE), lucky, tuned))
    assert lead(text).startswith("Gana el *fine-tuning*: la todo ajustada")
    assert (
        "La misma red con y sin preentrenamiento, todo (fine-tuning) frente a control "
        "(fine-tuning): −1,80 puntos (IC 95 % de "
    ) in text
    assert ", en 2 de 3 pliegues), una pérdida; difieren además en `epochs`." in text
    assert "control se mide solo en 2 de 3 pliegues" in text and "no puede ganar" in text
    assert f"99,85{SPACE}% en control (2 de 3 pliegues)" in text
    assert row(text, "todo frente a control (preentrenamiento y ajustes; 2 pliegues)")
    open_ = report(made(SIMPLE, CNN.but(scores=MIDDLE), control.but(scores=[0.91, 0.99]), tuned))
    assert (
        "Para decidir entre todo y control hacen falta más pliegues de control (`folds`)." in open_
    )
    assert_reads_well(text)


def test_the_same_network_with_letters_and_without_isolates_pretraining(workdir):
    training = {"frozen": [], "model_params": {"stem": "sum_rgb", "image_size": 28}}
    letters = Made("letras", "cnn", "letters", HIGH, training=training)
    text = report(made(SIMPLE.but(scores=LOW), CNN.but(scores=MIDDLE), TUNED, letters))
    summary = text.split("![")[0]
    assert (
        "y el preentrenamiento (letras − CNN), +2,01, una mejora. El segundo paso cambia solo"
        in text
    )
    assert "Qué da el preentrenamiento" not in summary  # as it is the second step
    other = letters.but(training=training | {"epochs": 9})
    text = report(made(SIMPLE.but(scores=LOW), CNN.but(scores=MIDDLE), TUNED, other))
    assert "El segundo paso cambia el preentrenamiento y `epochs`." in text
    assert "aislar el preentrenamiento hace falta" not in text
    # Of another size, and tuned in its last layer alone.
    assert row(text, "letras frente a ResNet18 (arquitectura y capas que se ajustan)")
    assert "donde cambian varias cosas, la diferencia no dice a cuál se debe." in text


@pytest.mark.parametrize(("votes", "known"), [(0.985, True), (0.978, True), (0.96, False)])
def test_that_imagenet_knew_the_classes_is_said(workdir, votes, known):
    heads = {"imagenet_votes": votes, "imagenet_votes_balanced": 0.1}
    text = report(made(SIMPLE, TUNED.but(source="imagenet", scores=HIGH, metrics=heads)))
    share = f"{100 * votes:.2f}".replace(".", ",")
    said = f"acierta el {share}{SPACE}%, y ResNet18 no la supera con certeza"
    assert (said in text) == known == ("ImageNet ya conocía estas clases" in text)
    cells = row(text, "Cabeza de ImageNet, sin entrenar (%)")
    assert cells[0] == "—" and cells[1].startswith(share)


def test_what_was_chosen_and_what_could_not_be_is_said(workdir):
    row = {"repeat": 1, "weight_decay": 0.1, "epochs": 10, "fixed": False}
    chosen = [row | {"fold": 1}, row | {"fold": 2}, row | {"fold": 3, "weight_decay": 0.01}]
    chosen.append(row | {"fold": None, "weight_decay": 0.001, "fixed": True})
    training = {"augment": "photographs", "label_smoothing": 0.1}
    text = report(made(SIMPLE.but(training=training), TUNED.but(fit={"chosen": chosen})))
    assert (
        "De ResNet18 se dio una lista de valores: 2 entrenamientos toman un decaimiento de 0,1 y "
        "10 épocas, elegidos dentro de su parte de entrenamiento; 1 entrenamiento toma un "
        "decaimiento de 0,01 y 10 épocas, elegidos dentro de su parte de entrenamiento; 1 "
        "entrenamiento toma un decaimiento de 0,001 y 10 épocas, el valor central, pues con tan "
        "pocas imágenes no se puede elegir."
    ) in text
    assert "De SimpleNN se dio" not in text
    assert "`augment`: photographs; `label_smoothing`: 0,1 |" in text


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
    "one epoch": (
        lambda all: but(all, "cnn", history=all.models[1].history.query("epoch == 1")),
        "en CNN, con una sola época, no se sabe si la pérdida aún bajaba", "más épocas (`epochs`;",
    ),
    "one score": (
        lambda all: of(all, simple_nn=[0.9], cnn=[0.91], resnet18=[0.92]),
        "hay una sola medida de cada modelo, y no se sabe cuánto varía", "más pliegues o",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILED)
def test_where_an_assumption_fails_nothing_is_concluded(digits, case):
    change, said, remedy = FAILED[case]
    text = report(change(ending(digits, "loses to CNN")))
    assert lead(text) == f"Sin conclusión: {said}; así no se decide nada."
    assert f"para decidir hacen falta {remedy}" in text
    for conclusion in (
        "Gana", "supera a", "por debajo de ", "De dónde viene", "Conclusión", "Se concluye",
        "como en los pliegues", "al contrario que", "no lo confirma", "Concuerda", "Va en contra",
        "sale lo", "bastaba", "Para decidir entre",
    ):  # fmt: skip
        assert conclusion not in text.replace("Ganó la red simple", ""), conclusion
    assert "Como aquí falla un supuesto, de esa idea no se puede decir nada." in text


def test_a_loss_that_falls_without_accuracy_is_disclosed(digits):
    rising = {"val_loss": [1, 1, 1, 0.86], "val_accuracy": [0, 0, 0.9, 0.9018]}
    text = report(by_epoch(digits, "cnn", **rising))
    assert f"En CNN aún bajó la de validación un 14{SPACE}% en la última época" in text
    assert "la exactitud varió 0,18 puntos, menos de la mitad del margen" in text


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        ([1, 0.5, 0.3, 0.2], [0.8, 0.5, 0.4, 0.39], "de entrenamiento en SimpleNN: la de "
         "entrenamiento se promedia a lo largo de la época, con pesos más viejos que los del "
         "final (y, en SimpleNN, con *dropout* activo)"),
        ([1, 0.5, 0.3, 0.2], [1.1, 0.5, 0.4, 0.42], "El sobreajuste daña: la de validación sube "
         f"un 5,0{SPACE}% en SimpleNN, desde la época 3."),
    ],
)  # fmt: skip
def test_what_the_losses_say(digits, train, val, said):
    text = report(by_epoch(digits, "simple_nn", train_loss=train, val_loss=val))
    assert said in text
    assert f"{train[-1]:.3f} y {val[-1]:.3f} en SimpleNN;".replace(".", ",") in text


@pytest.mark.parametrize("setting", [{"label_smoothing": 0.1}, {"augment": "photographs"}])
def test_losses_of_other_targets_or_images_are_not_compared(digits, setting):
    changed = by_epoch(digits, "cnn", train_loss=[1, 0.5, 0.3, 0.2], val_loss=[0.8, 0.5, 0.4, 0.39])
    fit = next(one.fit for one in changed.models if one.name == "cnn")
    text = report(but(changed, "cnn", fit=fit | {"training": fit["training"] | setting}))
    assert "En CNN no son comparables: la de entrenamiento se mide con imágenes o etiquetas" in text
    assert not re.search("de entrenamiento en [^:]*CNN[^:]*: la de", text)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["Los 539 escritores que identifica QMNIST (Yadav y Bottou, 2019) no se reparten",
              "Ninguno de los 297 de la prueba", "de un pliegue a otro de estos escritores, con",
              "un solo reparto, una sola red preentrenada y una semilla por"]),
        ({"groups": WRITERS | {"grouped": False, "shared": 12}},
         ["están a los dos lados de cada pliegue", "de estas imágenes, con",
          "De los 297 de la prueba, 12 están entre ellos."]),
        ({"groups": None}, ["No se sabe de qué escritores son las imágenes"]),
        ({"repeats": 2}, ["Hay 2 repeticiones, cada una con otros pliegues y otras semillas.",
                          "con 2 repartos, una sola red preentrenada y una semilla por entrena"]),
        ({"dataset": "FashionMNIST"}, ["de Zalando SE", "| Prenda más difícil |"]),
        ({"dataset": "KMNIST"}, ["Los 539 orígenes no se reparten", "| Carácter más difícil |"]),
    ],
)  # fmt: skip
def test_what_is_known_of_the_images_is_said(digits, changes, said):
    text = report(replace(digits, data=digits.data | changes))
    assert [one for one in said if one not in text] == []


def test_own_pictures_are_described_and_nothing_of_mnist_is_said(workdir):
    pictures = {
        "test": "drawn", "groups": "groups.csv", "duplicates": 3, "several_frames": 1,
        "smallest": [40, 30], "largest": [2000, 1500], "fit": "pad", "conflicts": 6, "white": 4095,
        "left_out": {"HEIC": 2, "notes": 5}, "parts": {},
        "near_copies": {"pairs": 4, "grouped": True, "dissolved": 70,
                        "across": [("a/1.jpg", "b/2.jpg"), ("a/3.jpg", "a/4.jpg")]},
    }  # fmt: skip
    names = ("manzana", "pera", "a_b|c*", "uva", "higo")
    text = report(
        made(SIMPLE, TUNED.but(scores=HIGH), names=names, dataset="Frutas_1", shape=(3, 64, 64),
             groups=None, pictures=pictures)
    )  # fmt: skip
    for said in (
        "**Frutas\\_1**: imágenes de 5 clases (manzana, pera, a\\_b\\|c\\*, uva e higo), 64 × 64",
        "píxeles en color.", "Medían de 40 × 30 a 2000 × 1500 píxeles (ancho por alto); cada una "
        "se ajustó, sin recortarla ni deformarla, a un cuadrado de 64, con gris en lo que sobra.",
        "por orígenes enteros", "que no cuentan: 3.", "se usa el primero: 1.", "`groups.csv` diga",
        "clase o parte, de las que no cuenta ninguna: 6.", "archivos, que no cuentan: 7.",
        "por blanco se toma 4095.", "una misma toma: 4, que no se separan. Quedan entre "
        "entrenamiento y prueba 2, y la prueba es optimista: `a/1.jpg` y `b/2.jpg`; `a/3.jpg` y",
        "70 se parecen tanto entre sí", "se redujeron a 64 píxeles", "| Clase más difícil |",
        "No se sabe de qué orígenes son",
    ):  # fmt: skip
        assert said in text, said
    assert not re.search(r"d[ií]gito|28 × 28|escritor|casi igual|LeCun|QMNIST|taller", text)
    assert "llevan un número" not in text
    none = {"pairs": 0, "grouped": False, "dissolved": 0, "across": []}
    given = {"test": "given", "parts": {"train": ["Train"], "test": ["val"]}, "fit": "crop"}
    given |= {"near_copies": none, "white": None}
    text = report(made(SIMPLE, CNN, names=names, groups=None, pictures=pictures | given))
    assert "cada una se recortó a su cuadrado central, y este se llevó a 28 píxeles." in text
    assert "Las de prueba son las de `val`." in text
    assert not re.search("una misma toma|se parecen tanto|16 bits", text)
    numbered = report(made(SIMPLE, names=("上", "una clase de nombre larguísimo"), dataset="Kanji"))
    assert "dibuja: 1, 上; 2, una clase de nombre larguísimo." in numbered


def test_the_letters_most_like_a_digit_are_named(digits):
    text = report(digits)
    assert "Las letras son 426, de tres alfabetos (latino, griego y n’ko)." in text
    assert (
        "pero tres de los cuatro tienen una letra casi igual (una correlación mayor que 0,94 entre "
        "los dos dibujos): se parecen la O al 0, la ⵒ tifinag al 2 y la З cirílica al 3; no la "
        "tiene el 4."
    ) in text
    none = report(but(digits, "resnet18", pretraining=LETTERS | {"alike": 0.99}))
    assert "No se dibujó ningún dígito, y ninguno tiene una letra casi igual" in none


@pytest.mark.parametrize(
    ("name", "simple", "tuned", "said"),
    [
        ("beats both", 43, 163, ", como en los pliegues."),
        ("beats both", 163, 43, ", al contrario que en los pliegues."),
        ("loses to both", 163, 43, ", como en los pliegues."),
        ("equals SimpleNN", 20, 22, ", como en los pliegues."),
        ("equals SimpleNN", 43, 90, ", que por sí solo no lo confirma."),
        ("open with both", 43, 163, "."),
    ],
)
def test_the_test_images_may_say_something_else(digits, name, simple, tuned, said):
    comparison = ending(digits, name)
    counts = {"both": 9955 - simple - tuned, "only_first": simple, "only_second": tuned}
    counts |= {"first": "simple_nn", "second": "resnet18", "neither": 45}
    two = (comparison.models[0], comparison.models[2])
    text = report(replace(comparison, models=two, agreement=[counts]))
    (bullet,) = re.findall(r"^- .* acierta .* imágenes en las que .*$", text, re.M)
    more, less = ("SimpleNN", "ResNet18") if simple > tuned else ("ResNet18", "SimpleNN")
    assert bullet.startswith(
        f"- {more} acierta {max(simple, tuned)} imágenes en las que {less} falla, y {less}, "
        f"{min(simple, tuned)} en las que falla {more}; ambos fallan en 45. Diferencia: +"
    )
    assert bullet.endswith(f"){said}")


def test_cells_of_the_tables_are_those_of_the_results(digits):
    counts, cnn = np.diag([40] * 10), digits.models[1]
    counts[4, 9], counts[7, 2], counts[9, 4] = 7, 7, 5
    hardest = cnn.per_class.assign(recall=0.99)
    hardest.loc[[3, 6], ["recall", "support"]] = [[0.6, 40], [0, 0]]  # of 6 there is none
    test = cnn.test | {"ece": 0.0031, "ece_calibrated": {"mean": 0.002, "high": 0.003}}
    training = digits.models[0].fit["training"] | {"weight_decay": 1e-5, "optimizer": "AdamW"}
    changed = but(digits, "simple_nn", fit=digits.models[0].fit | {"training": training})
    surer = cnn.calibration.assign(hits=0)
    changed = but(changed, "cnn", confusion=counts, per_class=hardest, test=test, calibration=surer)
    text = report(changed)
    assert row(text, "Confusión más frecuente")[1] == "4 → 9 y 7 → 2 (7)"
    assert row(text, "Dígito más difícil")[1] == f"3 (exhaustividad 60,0{SPACE}%)"
    assert re.search(r"Supera lo que explica el azar el ECE de .*CNN \(confía de más\)", text)
    assert row(text, "Optimizador") == ["AdamW, decaimiento 0,00001", "Adam", "Adam"]
    assert row(text, "Capas congeladas") == ["ninguna", "ninguna", "`conv1` y `layer1`"]
    assert row(text, "Operaciones por respuesta")[2] == f"2,0{SPACE}×{SPACE}10⁶"
    assert f"entrena 5000 parámetros, el 50,0{SPACE}% de los de SimpleNN, pero eso no es" in text
    assert "incluido, cuesta 20 veces lo que SimpleNN y 20 veces lo que CNN" in text


TALLER = {
    ("letters", "better"): "sale lo contrario. Concuerda con esa idea", ("none", "better"): "es el",
    ("letters", "worse"): "Va en contra de esa idea", ("imagenet", "better"): "pese a lo poco",
    ("letters", "equal"): "No va en contra de esa idea", ("imagenet", "worse"): "sale lo mismo.",
    ("letters", "unknown"): "no se puede decir cuál de las dos",
}  # fmt: skip


@pytest.mark.parametrize(("source", "verdict"), TALLER)
def test_the_workshops_thought_is_held_against_what_came_out(digits, source, verdict):
    name = next(name for name in ENDINGS if ENDINGS[name][1][0] == verdict)
    text = section(report(ending(digits, name, source)), "¿Y el taller?")
    assert TALLER[source, verdict] in text
    if (source, verdict) == ("letters", "better"):
        assert "cambian a la vez el preentrenamiento, la primera capa y la manera de" in text


TUNING = """modelo,tasa de aprendizaje,épocas,hiperparámetro propio,valor,accuracy,en la cuadrícula,elegida
SimpleNN,0.003,10,dropout,0,0.976238,sí,sí
SimpleNN,0.003,5,dropout,0,0.9,sí,no
CNN,0.003,2,units,64,0.989876,sí,sí
CNN,0.001,4,units,64,0.988676,sí,no
SimpleNN,0.001,10,dropout,0,0.966951,no,no
"""  # noqa: E501
STUDY = """fuente,capas entrenadas,primera capa,accuracy,imágenes,épocas,accuracy de SimpleNN,accuracy de CNN
none,fc,sum_rgb,0.8774,5000,5,0.927,0.9618
letters,fc,sum_rgb,0.9812,5000,5,0.927,0.9618
letters,all,sum_rgb,0.988,5000,5,0.927,0.9618
letters,"conv1, fc",random,0.9456,5000,5,0.927,0.9618
"""  # noqa: E501


def test_the_tables_of_the_study_are_said_where_they_have_rows(digits):
    tuning, study = (pd.read_csv(StringIO(text)) for text in (TUNING, STUDY))
    text = report(digits, tuning, study)
    for said in (
        f"la exactitud fue del 97,62{SPACE}% en SimpleNN y del 98,99{SPACE}% en CNN.",
        "En SimpleNN ganó el mayor número de épocas", "Los de ResNet18 no se probaron así.",
        "con una tasa de 0,003, 2 épocas y `units`: 64, acierta 0,12 puntos más en esa única",
        f"con una tasa constante de 0,001, da un 96,70{SPACE}%", "con 5000 imágenes y 5 épocas",
        f"con letras, 98,1{SPACE}% entrenando la última capa y 98,8{SPACE}% entrenando todas las",
        f"sin preentrenar, 87,7{SPACE}%", f"el código del taller, al 94,6{SPACE}%", "(estudio.png)",
    ):  # fmt: skip
        assert said in text, said
    for one in (report(digits, tuning[:0], study[:0]), report(digits)):
        assert not re.search("ajuste.csv|estudio|cuadrícula|Qué capas ajustar", one)
    other = report(replace(digits, data=digits.data | {"dataset": "Frutas"}), tuning, study)
    assert "con MNIST, no con estas imágenes" in other and "estudio" not in other


def test_a_mistake_in_the_template_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(language, "TEMPLATES", tmp_path)
    for text, said in (
        ("uno\n{{ dos|percent }\n", "line 2: "), ("{{ nadie }}", ": 'nadie' is undefined"),
        ("{{ 0.5|porcentaje }}", "No filter named 'porcentaje'"),
    ):  # fmt: skip
        (tmp_path / "informe.en.md.j2").write_text(text)
        with pytest.raises(UserError) as raised:
            language.render("informe", ENGLISH, {})
        assert "templates/informe.en.md.j2" in str(raised.value) and said in str(raised.value)


def test_numbers_and_lists_as_their_readers_write_them():
    for name, arguments, spanish, english in (
        ("number", [-0.5], "−0,50", "−0.50"), ("number", [-1e-18], "0,00", "0.00"),
        ("tick", [-0.25], "−0,25", "−0.25"), ("percent", [0.97531], "97,53_%", "97.53%"),
        ("points", [0.01126], "1,13", "1.13"), ("thousands", [5130], "5130", "5,130"),
        ("thousands", [1_234_567], "1_234_567", "1,234,567"), ("numeral", [8], "ocho", "eight"),
        ("numeral", [12], "12", "12"), ("p_value", [0.0321], "0,032", "0.032"),
        ("p_value", [1e-9], "< 0,001", "< 0.001"), ("certainty", [0.99999], "> 99,9_%", "> 99.9%"),
        ("certainty", [0.0004], "< 0,1_%", "< 0.1%"), ("plain", [1e-05], "0,00001", "0.00001"),
        ("scientific", [66_021_888], "6,6_×_10⁷", "6.6_×_10⁷"),
        ("plain", [[128, 64]], "128, 64", "128, 64"), ("times", [0.047], "el 4,7_% de", "4.7% of"),
        ("times", [5.13], "5,1 veces", "5.1 times"),
        ("times", [12_345.0], "12_345 veces", "12,345 times"),
        ("enumeration", [["uva", "higo"]], "uva e higo", "uva and higo"),
        ("enumeration", [["a", "hielo"]], "a y hielo", "a and hielo"),
    ):  # fmt: skip
        for say, expected in (SPANISH, spanish), (ENGLISH, english):
            assert getattr(say, name)(*arguments) == expected.replace("_", SPACE)
    assert SPANISH.points(0.01126, sign=True) == "+1,13"


def test_what_a_template_says_otherwise_or_leaves_out_is_seen(digits):
    values = context(digits, (), NOTHING, NOTHING)
    text = language.render("informe", ENGLISH, values)
    expected = places(text, "en")
    for old, new in (
        (" 539 ", " 538 "), (" The folds are the same for all: the comparison is paired.", ""),
        ("SimpleNN is wrong, and", "CNN is wrong, and"), ("`compare.rope`", "the margin"),
        ("three alphabets", "two alphabets"),
        ("is practically equal to ", "beats "),
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


def test_an_undecided_winner_hides_no_network_that_pretraining_makes_better(workdir):
    training = {"frozen": [], "model_params": {"stem": "sum_rgb", "image_size": 28}}
    letters = Made("cnn_letters", "cnn", "letters", scores=MIDDLE, training=training)
    text = report(made(CNN.but(scores=LOW), letters, TUNED.but(scores=(0.9, 0.999, 1.0))))
    assert lead(text).startswith(
        "No se puede decir quién gana: entre la ResNet18 ajustada y la CNN"
    )
    gain = f"{100 * (np.mean(MIDDLE) - np.mean(LOW)):.2f}".replace(".", ",")
    assert f"Pero la CNN ajustada acierta {gain} puntos más que la CNN: con la misma red" in text


def test_what_pretraining_gives_with_fewer_images_is_said_and_from_where_on_it_is_nothing(workdir):
    training = {"frozen": [], "model_params": {"stem": "sum_rgb", "image_size": 28}}
    training["batch_size"] = 32
    same = {"flops": {"inference": 20_000, "training": 10**12}, "parameters": 10_000}
    letters = Made("cnn_letters", "cnn", "letters", NEAR_HIGH, training=training, fit=same)
    few = {20: [0.85, 0.86, 0.87], 60: [0.9, 0.91, 0.92], 150: NEAR_HIGH}
    ahead = {images: [one + 0.05 for one in row] for images, row in few.items()} | {150: HIGH}
    curves = {"cnn": few, "cnn_letters": ahead}
    comparison = made(SIMPLE.but(scores=LOW), CNN.but(scores=HIGH), letters, curves=curves)
    sections = ["kfold_train.cnn", "finetune.cnn_letters"]
    gains = learning_curve.gains(comparison, learning_curve.read(comparison, sections))
    text = report(comparison, gains=gains)
    assert lead(text).startswith(
        "Basta entrenar desde cero: la CNN acierta lo mismo que la CNN ajust"
    )
    assert (
        "Con menos imágenes es otra cosa: con 20, la CNN ajustada acierta 5,00 puntos más que la"
        in text
    )
    assert (
        "La diferencia entre la CNN ajustada y la CNN es de +5,00 puntos con 20 imágenes, +5,00 "
        "con 60, −0,01 con 150 y +0,01 con 400: de estas cantidades, desde 150 se puede decir que "
        "es prácticamente nada." in text
    )
    part = section(text, "¿Desde cuántas imágenes deja de importar el *fine-tuning*?")
    assert "La CNN ajustada y la CNN difieren además en `batch_size`." in part
    equal = "prácticamente iguales"
    assert re.findall(r"^\| (\d+) \|.*\| ([\w ]+) \|$", part, re.M) == [
        ("20", "mejor"), ("60", "mejor"), ("150", equal), ("400", equal),
    ]  # fmt: skip
