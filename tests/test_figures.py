"""The pictures together: in which language, of how many models, classes and channels."""

import json
import re
import subprocess
import sys
from pathlib import Path

import made_up
import numpy as np
import pytest
from contest import PRETRAINING
from matplotlib.colors import to_rgb
from said import shown, texts

from taller.report import pictures
from taller.scores import comparison

ROOT = Path(__file__).parents[1]
ENGLISH = re.compile(
    r"\b(folds?|epochs?|loss|train(ing)?|validation|images?|confidence|said|true|label|"
    r"predict(ed|ion)|counts?|mean|errors?|test|perfect|model)\b",
    re.IGNORECASE,
)
CASES = {
    "two": {},
    "three": {"entries": made_up.THREE, "folds": 2},
    "digits": {"names": made_up.DIGITS, "shape": (1, 28, 28)},
    "repeats": {"entries": made_up.THREE, "names": made_up.DIGITS, "folds": 5, "repeats": 5},
    "twelve": {"entries": made_up.THREE, "names": made_up.MONTHS, "shape": (1, 28, 28)},
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> dict[str, dict]:
    """The pictures of each case, by name, laid out once."""
    return {name: draw(tmp_path_factory.mktemp(name), case) for name, case in CASES.items()}


def draw(place: Path, case: dict) -> dict:
    made_up.write(place, **case)
    folder = place / "resultados"
    found = comparison.read(folder, case.get("entries", made_up.TWO), rope=0.005)
    drawn = pictures.figures(found, folder)
    for figure in drawn.values():
        figure.draw_without_rendering()
    return drawn


@pytest.mark.parametrize("case", CASES)
def test_pictures_speak_spanish(drawn, case):
    for name, figure in drawn[case].items():
        said = shown(figure)
        assert said, name
        assert not [text for text in said if ENGLISH.search(text)], name
        # A fold of several repeats has both numbers: 2.1.
        numbers = [text for text in said if not re.fullmatch(r"Pliegue \d+\.\d+", text)]
        assert not [text for text in numbers if re.search(r"\d\.\d|\d-|10\^", text)], name


@pytest.mark.parametrize("case", CASES)
def test_no_title_is_cut_off_or_lies_upon_another(drawn, case):
    for name, figure in drawn[case].items():
        width, height = figure.canvas.get_width_height()
        labels = [
            label
            for axes in figure.axes
            for label in (axes.title, axes.xaxis.label, axes.yaxis.label)
            if label.get_text()
        ]
        above = list(figure.texts)  # the title of all, and what stands between panels
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert box.x0 >= 0 and box.x1 <= width, name
        boxes = [label.get_window_extent() for label in labels + above]
        for label, box in zip(labels + above, boxes, strict=True):
            inside = box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1
            assert inside, (name, label.get_text())
            assert box.count_overlaps(boxes) == 1, (name, label.get_text())  # itself


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("curva_loss", {"0,5", "Época", "entrenamiento", "validación"}),
        ("folds", {"Pliegue 1", "Media e IC 95 %"}),
        ("calibracion", {"Confianza (%)", "calibración perfecta"}),
        ("coste", {"Operaciones por respuesta (coma flotante, escala log.)", "solo su ajuste"}),
        ("confusion_matrix", {"Etiqueta real", "Predicción", *made_up.FRUIT}),
        ("glifos", {"Letras dibujadas", "Imágenes de Frutas"}),
    ],
)
def test_pictures_say_what_they_should(drawn, name, expected):
    assert expected <= set(shown(drawn["two"][name]))


@pytest.mark.parametrize("case", ["three", "twelve"])
@pytest.mark.parametrize(
    "name", ["curva_loss", "folds", "confusion_matrix", "calibracion", "errores"]
)
def test_every_model_is_named(drawn, case, name):
    said = {line for text in shown(drawn[case][name]) for line in text.split("\n")}
    assert {entry.name for entry in made_up.THREE} <= said


def test_the_pictures_show_what_the_stages_left(tmp_path):
    """Read again from the files, without the project's reader."""
    digits = {"names": made_up.DIGITS, "shape": (1, 28, 28), "name": "MNIST"}
    made_up.write(tmp_path, made_up.THREE, repeats=2, **digits)
    folder = tmp_path / "resultados"
    drawn = pictures.figures(comparison.read(folder, made_up.THREE, rope=0.005), folder)

    def told(path):
        return json.loads((folder / path).read_text(encoding="utf-8"))

    pretraining = told("pretrain.json")
    for axes, entry in zip(drawn["calibracion"].axes, made_up.THREE, strict=False):
        test = told(f"{entry.key}/test_metrics.json")
        ece, chance = (
            f"{100 * share:.2f}".replace(".", ",")
            for share in (test["ece"], test["ece_calibrated"]["high"])
        )
        assert axes.get_title() == f"{entry.name}\nECE {ece} puntos\n(calibrado: hasta {chance})"
    training, answer = drawn["coste"].axes
    for entry, total, once in zip(
        made_up.THREE, training.containers, answer.containers, strict=True
    ):
        flops = told(f"{entry.key}/fit.json")["flops"]
        before = pretraining["flops"] if entry.pretrained else 0
        assert total.lines[0].get_xdata()[0] == flops["training"] + before
        assert once.lines[0].get_xdata()[0] == flops["answer"]
    with np.load(folder / "muestra_letras.npz") as letters:
        shown_letters = letters["names"][letters["labels"]]
    twins = "".join(t["letters"] for t in pretraining["twins"] if t["correlation"] > 0.94)
    assert 0 < len(drawn["glifos"].axes[0].patches) < len(shown_letters)
    assert len(drawn["glifos"].axes[0].patches) == sum(name in twins for name in shown_letters)
    with np.load(folder / "muestra_datos.npz") as sample:
        label = sample["names"][sample["labels"][0]]
    assert f"Etiqueta: {label}" in texts(drawn["ejemplo_mnist"])


@pytest.mark.parametrize("source", ["none", "imagenet"])
def test_without_letters_there_are_no_twins_and_of_downloaded_weights_no_cost(tmp_path, source):
    made_up.write(tmp_path, pretraining=PRETRAINING[source])
    folder = tmp_path / "resultados"
    drawn = pictures.figures(comparison.read(folder, made_up.TWO, rope=0.005), folder)
    assert not drawn["glifos"].axes[0].patches
    assert not drawn["glifos"].legends
    marks = [bars.lines[0] for bars in drawn["coste"].axes[0].containers]
    assert [mark.get_markerfacecolor() for mark in marks] == [
        made_up.TWO[0].color, "white" if source == "imagenet" else made_up.TWO[1].color
    ]  # fmt: skip
    assert ("no se sabe" in " ".join(texts(drawn["coste"]))) == (source == "imagenet")


def test_the_models_differ_in_colour_and_in_marker(drawn):
    for axes, entry in zip(drawn["three"]["curva_loss"].axes, made_up.THREE, strict=True):
        assert {line.get_color() for line in axes.lines} == {entry.color}
        assert {line.get_marker() for line in axes.lines} == {entry.marker}
        assert {line.get_linestyle() for line in axes.lines} == {"-", "--"}


def test_long_names_are_slanted_and_numbers_fit_their_cells(drawn):
    figure = drawn["twelve"]["confusion_matrix"]
    for axes in figure.axes[:3]:
        assert {label.get_rotation() for label in axes.get_xticklabels()} == {45}
        cell = axes.get_window_extent().width / len(made_up.MONTHS)
        assert max(text.get_window_extent().width for text in axes.texts) < cell


SAVE = """
import sys
from pathlib import Path
import numpy as np
from taller.report.figures import example, style
style.save(example.draw(np.zeros((1, 4, 4), np.uint8), "x"), Path(sys.argv[1]))
"""


def test_a_pictures_bytes_depend_on_the_picture_alone(tmp_path):
    """Neither on the user's own matplotlibrc, nor on the locale, nor on the time."""
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nfont.family: serif\naxes.grid: False\n")
    for name, env in {
        "plain": {},
        "own": {"MATPLOTLIBRC": str(tmp_path), "LC_ALL": "C", "SOURCE_DATE_EPOCH": "1"},
    }.items():
        path = [sys.executable, "-c", SAVE, str(tmp_path / f"{name}.png")]
        subprocess.run(path, cwd=ROOT, check=True, env={"PATH": "/usr/bin:/bin", **env})
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "own.png").read_bytes()


def test_only_the_pictures_import_matplotlib_to_draw():
    drawing = {
        path.parent.relative_to(ROOT).as_posix()
        for folder in ("stages", "taller", "tools")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"matplotlib\.figure|pyplot|import seaborn", path.read_text(encoding="utf-8"))
    }
    assert drawing == {"taller/report/figures"}


def test_the_default_models_are_told_apart_in_grey():
    shades = [np.dot(to_rgb(entry.color), (0.299, 0.587, 0.114)) for entry in made_up.THREE[:2]]
    assert len({entry.marker for entry in made_up.TWO}) == len(made_up.TWO) == len({*shades})
