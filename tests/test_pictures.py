"""Each picture by itself: it shows what it was given."""

from dataclasses import replace

import made_up
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from said import texts

from taller.data.dataset import Dataset
from taller.report.figures import (
    confusion_matrices,
    example,
    folds,
    glyph_sheet,
    loss_curves,
    style,
    surest_errors,
)
from taller.scores.statistics import Estimate

SIMPLE, TUNED = made_up.TWO


def errors(count: int) -> dict:
    return {
        "images": np.zeros((count, 1, 8, 8), np.uint8),
        "labels": np.arange(count) % 10,
        "predicted": (np.arange(count) + 1) % 10,
        "confidence": np.linspace(1, 0.5, count),
    }


def test_another_look_needs_no_other_place():
    entry = replace(TUNED, color="#123456", marker="v")
    rows = pd.DataFrame({"epoca": [1, 2], "conjunto": "validación"})
    rows = rows.assign(media=0.5, inferior=0.4, superior=0.6)
    lines = loss_curves.draw({entry: rows}).axes[0].lines
    assert {(line.get_color(), line.get_marker()) for line in lines} == {("#123456", "v")}


def test_the_confusion_matrix_tells_counts_and_shares_of_rows():
    counts = np.array([[3, 1], [0, 2]])
    axes = confusion_matrices.draw({SIMPLE: counts}, ("sí", "no")).axes[0]
    # x is the prediction, y the truth.
    at = {text.get_text(): tuple(np.floor(text.get_position())) for text in axes.texts}
    assert at == {"3\n75,0": (0, 0), "1\n25,0": (1, 0), "·": (0, 1), "2\n100,0": (1, 1)}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["sí", "no"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sí", "no"]


def test_a_class_without_test_images_is_drawn_and_counted():
    counts = np.array([[3, 1], [0, 0]])
    said = texts(confusion_matrices.draw({SIMPLE: counts}, ("sí", "no")))
    assert said.count("·") == 2


def test_of_many_classes_only_the_colours_are_told():
    names = [f"clase {number}" for number in range(30)]
    figure = confusion_matrices.draw({SIMPLE: np.eye(30, dtype=int) * 5}, names)
    assert not figure.axes[0].texts
    assert set(names) <= set(texts(figure))


def test_the_losses_spread_is_that_of_the_folds():
    rows = {"media": [0.4, 0.2], "inferior": [0.3, 0.15], "superior": [0.5, 0.3]}
    curves = pd.concat(
        pd.DataFrame(rows).assign(epoca=[1, 2], conjunto=split)
        for split in ("entrenamiento", "validación")
    )
    (axes,) = loss_curves.draw({SIMPLE: curves}).axes
    for line, band in zip(axes.lines, axes.collections, strict=True):
        np.testing.assert_allclose(line.get_ydata(), rows["media"])
        corners = band.get_paths()[0].vertices
        for epoch, low, high in zip((1, 2), rows["inferior"], rows["superior"], strict=True):
            heights = corners[corners[:, 0] == epoch, 1]
            assert (heights.min(), heights.max()) == pytest.approx((low, high))


@pytest.mark.parametrize("epochs", [1, 2, 3, 40])
def test_epochs_have_whole_ticks_and_losses_some(epochs):
    rows = pd.DataFrame({"epoca": range(1, epochs + 1), "conjunto": "validación"})
    rows = rows.assign(media=0.61, inferior=0.605, superior=0.615)
    axes = loss_curves.draw({SIMPLE: rows}).axes[0]
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        ticks = [tick for tick in axis.get_ticklocs() if low <= tick <= high]
        assert ticks
        assert axis is axes.yaxis or all(float(tick).is_integer() for tick in ticks)


def test_the_means_have_the_intervals_that_are_given():
    accuracies = {entry: pd.Series([0.98, 0.97], index=[1, 2]) for entry in made_up.TWO}
    ends = [(0.97, 0.96, 0.99), (0.98, 0.95, 0.985)]
    means = {entry: Estimate(*one) for entry, one in zip(made_up.TWO, ends, strict=True)}
    axes = folds.draw(accuracies, means).axes[0]
    for container, (mean, low, high) in zip(axes.containers, ends, strict=True):
        point, _, (bar,) = container.lines
        assert point.get_xdata()[0] == pytest.approx(100 * mean)
        assert bar.get_segments()[0][:, 0] == pytest.approx([100 * low, 100 * high])


def test_the_folds_tell_the_difference_of_two_models_with_its_sign():
    accuracies = {
        SIMPLE: pd.Series([0.98, 0.97], index=[1, 2]),
        TUNED: pd.Series([0.99, 0.965], index=[1, 2]),
    }
    means = dict.fromkeys(made_up.TWO, Estimate(0.98, 0.97, 0.99))
    assert {"+1,00", "−0,50"} <= set(texts(folds.draw(accuracies, means)))


def test_a_line_joins_all_models_of_a_fold():
    values = dict(zip(made_up.THREE, ([0.98, 0.97], [0.95, 0.99], [0.96, 0.98]), strict=True))
    accuracies = {entry: pd.Series(shares, index=[1, 2]) for entry, shares in values.items()}
    figure = folds.draw(accuracies, dict.fromkeys(values, Estimate(0.97, 0.96, 0.98)))
    axes = figure.axes[0]
    ends = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[95, 98], [97, 99]])
    assert not [text for text in texts(figure) if "diferencia" in text or text.startswith("+")]


def test_errors_say_what_was_said_how_surely_and_what_it_was():
    names = [str(digit) for digit in range(10)]
    said = texts(surest_errors.draw(dict.fromkeys(made_up.TWO, errors(8)), names))
    assert {"dijo 1 (> 99,9\u00a0%)\nera 0", "dijo 8 (50,0\u00a0%)\nera 7"} <= set(said)
    names[1] = "un nombre que no acaba nunca"
    said = texts(surest_errors.draw({SIMPLE: errors(8)}, names))
    assert "dijo un nombre que no…\n(> 99,9\u00a0%)\nera 0" in said


@pytest.mark.parametrize("count", [0, 1, 12])
def test_models_with_few_errors_or_none_are_drawn_too(count):
    names = [str(digit) for digit in range(10)]
    figure = surest_errors.draw({SIMPLE: errors(count), TUNED: errors(12)}, names)
    said = [text for text in texts(figure) if text.startswith("dijo")]
    assert len(said) == count + 12


def test_grey_is_shown_grey_and_colour_in_colour(tmp_path):
    """Seen in the picture's own pixels: a block of one colour in a black image."""
    for channels, block in ((1, (255, 255, 255)), (3, (255, 128, 0))):
        image = np.zeros((channels, 10, 12), np.uint8)
        image[:, 2:8, 3:9] = np.array(block[:channels], np.uint8)[:, None, None]
        style.save(example.draw(image, "x"), tmp_path / "one.png")
        with Image.open(tmp_path / "one.png") as picture:
            colours = {color for count, color in picture.convert("RGB").getcolors(99_999)
                       if count > 300}  # fmt: skip
        assert {block, (0, 0, 0)} <= colours


def test_the_sheet_has_every_image_at_its_place():
    random = np.random.default_rng(0)
    images = random.integers(1, 256, (57, 3, 4, 5)).astype(np.uint8)
    page = glyph_sheet.sheet(images)
    assert page.shape == (3, 40, 50)
    for number in (0, 9, 10, 56):
        row, column = divmod(number, 10)
        part = page[:, 4 * row : 4 * row + 4, 5 * column : 5 * column + 5]
        np.testing.assert_array_equal(part, images[number])
    assert not page[:, 24:].any()
    few = Dataset(images, np.zeros(57, np.int64), ("a",), None)
    assert glyph_sheet.draw(few, few, "Imágenes").axes[1].images[0].get_array().shape == (40, 50, 3)
