"""The pictures: in which language, how many models they hold, and that they show the results."""

import os
import re
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import results
from matplotlib.figure import Figure
from matplotlib.text import Text
from results import CNN, FRUIT, LETTERS, SIMPLE, TUNED

from taller.common import params
from taller.report import contents
from taller.report.figures import charts, images, style
from taller.report.language import Language
from taller.statistics.comparison import Comparison, read

ROOT = Path(__file__).parents[1]
MONTHS = ("a$b$", *(f"nombre {month}" for month in range(11)))
MANY = [
    SIMPLE, CNN, CNN.but(name="cnn_ancha"), TUNED,
    TUNED.but(name="control", source="none", scores=(0.94, 0.945, 0.942)),
    TUNED.but(name="lite0", network="efficientnet_lite0", source="imagenet"),
    TUNED.but(name="todo", scores=(0.97, 0.971, 0.968)),
]  # fmt: skip
REPEATED = np.linspace(0.95, 0.99, 10)
TWICE = [one.but(scores=REPEATED) for one in (SIMPLE, TUNED)]
CASES = {
    "one": ([SIMPLE.but(scores=(0.9,), skill=99)],
            {"epochs": 1, "names": MONTHS, "shape": (3, 20, 24), "dataset": "Meses"}),
    "digits": (TWICE, {"repeats": 2}),
    "many": (MANY, {"names": FRUIT, "dataset": "Frutas"}),
    "numbered": ([SIMPLE, TUNED.but(folds=2, scores=(0.9, 0.94))],
                 {"names": ("清水焼", "una clase de nombre largo", "uva"), "dataset": "Raras"}),
}  # fmt: skip
SPANISH, ENGLISH = Language("es"), Language("en")
BOTH = ("one", "digits")  # which take less time than the others
ENGLISH_WORDS = re.compile(
    r"(?i)\b(folds?|epochs?|loss|train(ing)?|validation|images?|confidence|said|true|label|"
    r"predict(ed|ion)|counts?|mean|errors?|test|perfect|model)\b"
)
SPANISH_WORDS = re.compile(
    r"(?i)\b(el|la|los|las|de|del|que|y|con|sin|por|para|dijo|era|imágenes|pliegues?|clase|media|"
    r"entrenamiento|exactitud|letras?|puntos|época|escala|IC)\b"
)


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> dict[tuple[str, str], tuple[Comparison, dict[str, Figure]]]:
    """The results and the pictures of each case, of two in each language, laid out."""
    cases = {}
    for name, (models, options) in CASES.items():
        with chdir(tmp_path_factory.mktemp(name)):
            results.write(*models, **options)
            comparison = read(params.contestants(), 0.005, "accuracy")
            for say in (SPANISH, ENGLISH) if name in BOTH else (SPANISH,):
                cases[name, say.name] = comparison, contents.draw_pictures(comparison, say)
    for _, figures in cases.values():
        for figure in figures.values():
            figure.draw_without_rendering()
    return cases


@pytest.fixture(scope="module")
def drawn(both) -> dict[str, tuple[Comparison, dict[str, Figure]]]:
    """The same, in Spanish."""
    return {name: both[name, "es"] for name in CASES}


def said(figure: Figure) -> list[str]:
    """All that a picture says, tick labels included."""
    texts = (text.get_text() for text in figure.findobj(Text) if text.get_visible())
    return [text for text in texts if text]


@pytest.mark.parametrize("case", CASES)
def test_pictures_speak_spanish_and_name_every_model(drawn, case):
    comparison, figures = drawn[case]
    assert len(figures) == 9
    for name, figure in figures.items():
        texts = said(figure)
        assert texts, name
        english = [text for text in texts if ENGLISH_WORDS.search(text) and text != "ningún error"]
        assert not english, name
        # A fold of several repeats has both numbers: 2.1.
        numbers = [text for text in texts if not re.fullmatch(r"Pliegue \d+\.\d+", text)]
        assert not [text for text in numbers if re.search(r"\d\.\d|\d-|10\^", text)], name
        if name not in ("ejemplo_mnist", "glifos", "coste", "curva_aprendizaje"):
            lines = {line for text in texts for line in text.split("\n")}
            assert {result.model for result in comparison.models} <= lines, name


@pytest.mark.parametrize("case", BOTH)
def test_in_english_they_say_the_same_numbers(both, case):
    classes, (spanish, english) = (
        both[case, "es"][0].data["names"],
        (both[case, one][1] for one in ("es", "en")),
    )
    for name, figure in english.items():
        texts = said(figure)
        words = [re.sub("|".join(map(re.escape, classes)), "", text) for text in texts]
        assert not [text for text in words if SPANISH_WORDS.search(text)], name
        numbers = [re.findall(r"\d[\d.]*", text.replace(",", "")) for text in texts]
        plain = [text.replace(",", ".").replace("\u00a0", "") for text in said(spanish[name])]
        assert numbers == [re.findall(r"\d[\d.]*", text) for text in plain], name


@pytest.mark.parametrize(
    ("case", "language"), [*((case, "es") for case in CASES), *((case, "en") for case in BOTH)]
)
def test_no_title_is_cut_off_or_lies_upon_another(both, case, language):
    for name, figure in both[case, language][1].items():
        width, height = figure.canvas.get_width_height()
        labels = [
            label
            for axes in figure.axes
            for label in (axes.title, axes.xaxis.label, axes.yaxis.label)
            if label.get_text() and axes.axison
        ]
        labels += figure.texts  # the title of all, and what stands between panels
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= width, name
        boxes = [label.get_window_extent() for label in labels]
        for label, box in zip(labels, boxes, strict=True):
            inside = box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1
            assert inside, (name, label.get_text())
            assert box.count_overlaps(boxes) == 1, (name, label.get_text())  # itself


def test_looks_go_by_place_and_no_two_are_the_same(drawn):
    comparison, figures = drawn["many"]
    looks = [look for _, *look in style.looks([*comparison.models] * 8)]
    assert [color for color, _ in looks[:3]] == ["#0072B2", "#009E73", "#D55E00"]
    assert len({tuple(look) for look in looks}) == 56
    for axes, (color, marker) in zip(figures["curva_loss"].axes, looks, strict=False):
        lines = axes.lines
        assert {line.get_color() for line in lines} <= {color}
        assert {line.get_marker() for line in lines} <= {marker}


def test_names_that_cannot_be_drawn_are_numbers(drawn):
    figures = drawn["numbered"][1]
    axes = figures["confusion_matrix"].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "2", "3"]
    titles = [axes.get_title() for axes in figures["errores"].axes]
    assert titles and all(re.match(r"dijo [123] .*\nera [123]$", title) for title in titles)


def test_cells_of_the_confusion_are_those_of_the_results(drawn):
    axes = drawn["one"][1]["confusion_matrix"].axes[0]
    labels = [label.get_text().replace("\\$", "$") for label in axes.get_yticklabels()]
    assert labels == list(MONTHS)
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {45}
    # x is the prediction, y the truth: the diagonal has the classes that are most often right.
    counts = drawn["one"][0].models[0].confusion
    written = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    assert written[3.5, 3.5].startswith(f"{counts[3, 3]}\n")


def test_costs_are_those_of_the_results_with_and_without_pretraining(drawn):
    comparison, figures = drawn["many"]
    training, answer = figures["coste"].axes
    marks = zip(comparison.models, training.containers, answer.containers, strict=True)
    for result, total, once in marks:
        assert total.lines[0].get_xdata()[0] == result.training_flops
        assert once.lines[0].get_xdata()[0] == result.inference_flops
        assert (total.lines[0].get_markerfacecolor() == "white") == (result.source == "imagenet")
        assert once.lines[0].get_markerfacecolor() != "white"


def test_folds_and_calibration_show_the_results(drawn):
    comparison, figures = drawn["digits"]
    texts = said(figures["folds"])
    assert {"Pliegue 1.1", "Pliegue 2.5", "Media e IC 95 %"} <= {*texts}
    (axes,) = figures["folds"].axes
    assert axes.lines[0].get_xdata() == pytest.approx(100 * REPEATED)
    for axes, result in zip(figures["calibracion"].axes[:2], comparison.models, strict=True):
        ece, chance = (
            f"{100 * value:.2f}".replace(".", ",")
            for value in (result.test["ece"], result.test["ece_calibrated"]["high"])
        )
        assert axes.get_title() == f"{result.model}\nECE {ece} puntos (calibrado: hasta {chance})"


def test_a_control_of_few_folds_and_a_near_largest_class_are_drawn(drawn):
    (axes,) = drawn["numbered"][1]["folds"].axes
    lines = {line.get_label(): line.get_xdata() for line in axes.lines}
    np.testing.assert_allclose(lines["ResNet18 (fine-tuning)"], [90, 94, np.nan])
    np.testing.assert_allclose(lines["SimpleNN"], [95, 95.1, 95.2])
    assert "clase mayor" not in said(drawn["numbered"][1]["folds"])
    simple, control = drawn["numbered"][0].models
    (axes,) = charts.folds([simple, control], "accuracy", 0.88, SPANISH).axes
    (line,) = [line for line in axes.lines if line.get_label() == "clase mayor"]
    assert line.get_xdata()[0] == pytest.approx(88)


def test_letters_with_the_shape_of_a_digit_are_framed(drawn):
    alike = [one["correlation"] > LETTERS["alike"] for one in LETTERS["look_alikes"]]
    letters, data = drawn["digits"][1]["glifos"].axes
    assert len(letters.patches) == sum(np.tile(alike, 25)) == 75
    assert [letters.get_title(), data.get_title()] == ["Letras dibujadas", "Imágenes de MNIST"]
    (other, _) = drawn["many"][1]["glifos"].axes
    assert not other.patches
    (alone,) = drawn["one"][1]["glifos"].axes
    assert alone.get_title() == "Imágenes de Meses"
    assert "ningún error" in said(drawn["one"][1]["errores"])


SAVE = """
from pathlib import Path
import numpy as np
from taller.report.figures import images, style
from taller.report.language import Language
style.save(images.example(np.zeros((1, 4, 4), np.uint8), "x", Language("es")), Path("own.png"))
"""


def test_a_pictures_bytes_depend_on_the_picture_alone(tmp_path):
    """Neither on the user's own matplotlibrc, nor on the locale, nor on the time."""
    style.save(images.example(np.zeros((1, 4, 4), np.uint8), "x", SPANISH), tmp_path / "plain.png")
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nfont.family: serif\naxes.grid: False\n")
    own = {"MATPLOTLIBRC": str(tmp_path), "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1"}
    environment = os.environ | own | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", SAVE], cwd=tmp_path, check=True, env=environment)
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "own.png").read_bytes()
