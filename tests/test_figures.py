"""The pictures: what they say, in which language, and that the committed ones are there."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.text import Text
from PIL import Image

from taller.report import figures
from taller.scores import comparison, results

ROOT = Path(__file__).parents[1]
ENGLISH = re.compile(
    r"\b(folds?|epochs?|loss|train(ing)?|validation|images?|confidence|said|true|label|"
    r"predict(ed|ion)|counts?|mean|errors?|test|perfect|model)\b",
    re.IGNORECASE,
)
NAMES = ["SimpleNN", "ResNet18 (fine-tuning)"]


@pytest.fixture(scope="module")
def found():
    return comparison.read(ROOT / "resultados")


def errors(count: int) -> dict:
    return {
        "images": np.zeros((count, 28, 28), np.uint8),
        "labels": np.arange(count) % 10,
        "predicted": (np.arange(count) + 1) % 10,
        "confidence": np.linspace(1, 0.5, count),
    }


def all_figures(found) -> dict:
    both = dict(zip(NAMES, found.both, strict=True))
    accuracies = {name: result.scores["accuracy"] for name, result in both.items()}
    return {
        "example": figures.example(np.zeros((28, 28), np.uint8), 5),
        "curva_loss": figures.loss_curves(
            {name: results.loss_curves(result) for name, result in both.items()}
        ),
        "folds": figures.folds(accuracies, {name: (0.98, 0.97, 0.99) for name in NAMES}),
        "confusion_matrix": figures.confusion_matrices(
            {name: result.confusion for name, result in both.items()}
        ),
        "calibracion": figures.reliability(
            {name: comparison.calibration(result) for name, result in both.items()},
            dict.fromkeys(NAMES, 0.0123),
        ),
        "errores": figures.surest_errors(dict.fromkeys(NAMES, errors(8))),
    }


def texts(figure) -> list[str]:
    """All that a figure says, tick labels included."""
    figure.draw_without_rendering()
    found = (text.get_text() for text in figure.findobj(Text) if text.get_visible())
    return [text for text in found if text]


def test_pictures_speak_spanish(found):
    for name, figure in all_figures(found).items():
        said = texts(figure)
        assert said, name
        assert not [text for text in said if ENGLISH.search(text)], name
        assert not [text for text in said if re.search(r"\d\.\d|\d-|10\^", text)], name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("curva_loss", {"0,1", "0,5", "Época", "entrenamiento", "validación"}),
        ("folds", {"Pliegue 1", "Media e IC 95 %"}),
        ("calibracion", {"SimpleNN: ECE = 1,23\u00a0%", "Confianza (%)", "calibración perfecta"}),
        ("errores", {"dijo 1 (> 99,9\u00a0%)\nera 0", "dijo 8 (50,0\u00a0%)\nera 7"}),
    ],
)
def test_pictures_say_what_they_should(found, name, expected):
    assert expected <= set(texts(all_figures(found)[name]))


def test_the_models_differ_in_colour_and_in_marker(found):
    for looks in (figures.COLORS, figures.MARKERS):
        assert len({looks[name] for name in NAMES}) == 2
    for axes, name in zip(all_figures(found)["curva_loss"].axes, NAMES, strict=True):
        assert {line.get_color() for line in axes.lines} == {figures.COLORS[name]}
        assert {line.get_linestyle() for line in axes.lines} == {"-", "--"}


def test_the_confusion_matrix_tells_counts_and_shares_of_rows():
    counts = np.array([[3, 1], [0, 2]])
    figure = figures.confusion_matrices({"SimpleNN": counts})
    said = texts(figure)
    assert {"3", "75,0", "25,0", "2", "100,0", "·"} <= set(said)
    # x is the prediction, y the truth.
    at = {text.get_text(): tuple(np.round(text.get_position())) for text in figure.axes[0].texts}
    assert (at["1"], at["·"], at["25,0"]) == ((1, 0), (0, 1), (1, 0))


def test_the_losses_spread_is_that_of_the_folds():
    rows = {"media": [0.4, 0.2], "inferior": [0.3, 0.15], "superior": [0.5, 0.3]}
    curves = pd.concat(
        pd.DataFrame(rows).assign(epoca=[1, 2], conjunto=split)
        for split in ("entrenamiento", "validación")
    )
    (axes,) = figures.loss_curves({"SimpleNN": curves}).axes
    for line, band in zip(axes.lines, axes.collections, strict=True):
        np.testing.assert_allclose(line.get_ydata(), rows["media"])
        corners = band.get_paths()[0].vertices
        for epoch, low, high in zip((1, 2), rows["inferior"], rows["superior"], strict=True):
            heights = corners[corners[:, 0] == epoch, 1]
            assert (heights.min(), heights.max()) == pytest.approx((low, high))


def test_the_means_have_the_intervals_that_are_given():
    accuracies = {name: pd.Series([0.98, 0.97], index=[1, 2]) for name in NAMES}
    means = dict(zip(NAMES, [(0.97, 0.96, 0.99), (0.98, 0.95, 0.985)], strict=True))
    axes = figures.folds(accuracies, means).axes[0]
    for container, (mean, low, high) in zip(axes.containers, means.values(), strict=True):
        point, _, (bar,) = container.lines
        assert point.get_xdata()[0] == pytest.approx(100 * mean)
        assert bar.get_segments()[0][:, 0] == pytest.approx([100 * low, 100 * high])


def test_the_folds_tell_the_difference_with_its_sign():
    accuracies = {
        NAMES[0]: pd.Series([0.98, 0.97], index=[1, 2]),
        NAMES[1]: pd.Series([0.99, 0.965], index=[1, 2]),
    }
    said = texts(figures.folds(accuracies, dict.fromkeys(NAMES, (0.98, 0.97, 0.99))))
    assert {"+1,00", "−0,50"} <= set(said)


@pytest.mark.parametrize("count", [0, 1, 12])
def test_models_with_few_errors_or_none_are_drawn_too(count):
    figure = figures.surest_errors({NAMES[0]: errors(count), NAMES[1]: errors(12)})
    said = [text for text in texts(figure) if text.startswith("dijo")]
    assert len(said) == count + 12


def test_the_plots_page_has_every_picture_of_the_pipeline(pipeline_pictures):
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    pictures = [
        name for plot in plots for name in ([plot] if isinstance(plot, str) else plot)
        if name.endswith(".png")
    ]  # fmt: skip
    assert set(pictures) == pipeline_pictures
    for name in pictures:
        with Image.open(ROOT / name) as picture:
            assert len(picture.convert("L").getcolors()) > 10, name
