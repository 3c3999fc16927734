"""Each picture by itself: it shows what it was given."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import made_up
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from PIL import Image
from said import texts

from taller.data.dataset import Dataset
from taller.report.figures import (
    confusion_matrices,
    cost,
    example,
    folds,
    glyph_sheet,
    loss_curves,
    reliability,
    study,
    style,
    surest_errors,
)
from taller.report.figures.cost import Cost
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


def ends_of(labels) -> list[tuple[float, float]]:
    """Lower and upper end of each label, in pixels, from the bottom up."""
    boxes = [label.get_window_extent() for label in labels if label.get_text()]
    return sorted((box.y0, box.y1) for box in boxes)


@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize(("repeats", "count"), [(1, 30), (3, 5), (10, 5), (20, 10)])
def test_many_folds_fit_on_a_page_and_their_names_beside_each_other(models, repeats, count):
    names = [f"{repeat + 1}.{fold + 1}" for repeat in range(repeats) for fold in range(count)]
    if repeats == 1:
        names = list(range(1, count + 1))
    random = np.random.default_rng(0)
    accuracies = {
        entry: pd.Series(random.uniform(0.97, 0.99, len(names)), names)
        for entry in made_up.THREE[:models]
    }
    figure = folds.draw(accuracies, dict.fromkeys(accuracies, Estimate(0.98, 0.97, 0.99)))
    said = texts(figure)
    assert figure.get_figheight() <= 10.5
    ends = ends_of(figure.axes[0].get_yticklabels())
    assert all(upper <= lower for (_, upper), (lower, _) in pairwise(ends))
    wanted = {f"Pliegue {name}" for name in names}
    if len(names) > 40:  # the first of each repeat
        wanted = {f"Pliegue {repeat + 1}.1" for repeat in range(repeats)}
    assert {text for text in said if text.startswith("Pliegue ")} == wanted
    points = [line for line in figure.axes[0].lines if len(line.get_xdata()) == len(names)]
    for line, shares in zip(points, accuracies.values(), strict=False):
        np.testing.assert_allclose(line.get_xdata(), 100 * shares)
    bottom, top = figure.axes[0].get_ylim()
    inside = [bottom > line.get_ydata().max() and line.get_ydata().min() > top for line in points]
    assert all(inside)


def test_equal_models_of_three_are_all_seen():
    """In the pixels: three models at one place, and every colour is there."""
    accuracies = {entry: pd.Series([0.98], index=[1]) for entry in made_up.THREE}
    figure = folds.draw(accuracies, dict.fromkeys(made_up.THREE, Estimate(0.5, 0.4, 0.6)))
    axes = figure.axes[0]
    axes.set_xlim(97, 99)  # the means lie outside
    figure.legends.clear()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].reshape(-1, 3)
    for entry in made_up.THREE:
        colour = np.round(np.array(to_rgb(entry.color)) * 255)
        assert (pixels == colour).all(axis=1).sum() > 15, entry.name


def test_the_error_of_calibration_stands_beside_what_chance_would_show():
    rows = pd.DataFrame({
        "low": [0.0, 0.5], "high": [0.5, 1.0], "images": [3, 90], "confidence": [0.4, 0.9],
        "accuracy": [0.3, 0.9], "accuracy_low": [0.1, 0.8], "accuracy_high": [0.6, 0.95],
    })  # fmt: skip
    for entries, between in ((made_up.TWO, " "), (made_up.THREE, "\n")):
        figure = reliability.draw(
            dict.fromkeys(entries, rows), dict.fromkeys(entries, 0.00474),
            dict.fromkeys(entries, 0.00308),
        )  # fmt: skip
        told = f"SimpleNN\nECE 0,47 puntos{between}(calibrado: hasta 0,31)"
        assert figure.axes[0].get_title() == told


COSTS = dict(zip(
    made_up.THREE,
    (Cost(2e5, 4e11, 4e11), Cost(6e7, 1e12, 2e13), Cost(3e6, 1.5e12, 1.5e12)),
    strict=True,
))  # fmt: skip


def test_costs_stand_where_they_are_with_their_interval_and_name():
    means = {
        entry: Estimate(value, value - 0.01, value + 0.005)
        for entry, value in zip(made_up.THREE, (0.97, 0.988, 0.99), strict=True)
    }
    figure = cost.draw(COSTS, means)
    figure.draw_without_rendering()
    for axes, field in zip(figure.axes, ("training", "answer"), strict=True):
        assert axes.get_xscale() == "log"
        for bars, label, (entry, mean) in zip(
            axes.containers, axes.texts, means.items(), strict=True
        ):
            operations = getattr(COSTS[entry], field)
            point, _, (bar,) = bars.lines
            assert (point.get_xdata()[0], point.get_ydata()[0]) == (operations, 100 * mean.value)
            assert bar.get_segments()[0][:, 1] == pytest.approx([100 * mean.low, 100 * mean.high])
            assert (label.get_text(), label.xy[0]) == (entry.short, operations)
            box = label.get_window_extent()
            assert axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
            whisker = axes.transData.transform((operations, 97))[0]
            assert box.x1 < whisker - 4 or box.x0 > whisker + 4
        ticks = [text.get_text() for text in axes.get_xticklabels()]
        assert ticks and all(re.fullmatch(r"([25]·)?10[⁰¹²³⁴⁵⁶⁷⁸⁹]+", text) for text in ticks)
    # Of the pretrained one alone: what its fit cost, hollow, and a line to the whole.
    line, hollow = (line for line in figure.axes[0].lines[:2])
    assert line.get_xdata().tolist() == [1e12, 2e13]
    assert (hollow.get_xdata().tolist(), hollow.get_markerfacecolor()) == ([1e12], "white")
    assert {"todo, preentrenamiento incluido", "solo su ajuste"} <= set(texts(figure))


def test_of_models_from_scratch_the_costs_have_one_mark_each_and_three_ticks():
    """However close to each other, or the same."""
    for others in (Cost(2e5, 4e11, 4e11), Cost(3e5, 5e11, 5e11)):
        costs = {SIMPLE: Cost(2e5, 4e11, 4e11), made_up.THREE[2]: others}
        figure = cost.draw(costs, dict.fromkeys(costs, Estimate(0.98, 0.97, 0.99)))
        assert not figure.legends
        figure.draw_without_rendering()
        for axes in figure.axes:
            assert len(axes.containers) == 2
            low, high = axes.get_xlim()
            shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
            assert len({*map(cost._power, shown)}) == len(shown) >= 2


def test_errors_say_what_was_said_how_surely_and_what_it_was():
    names = [str(digit) for digit in range(10)]
    said = texts(surest_errors.draw(dict.fromkeys(made_up.TWO, errors(8)), names))
    assert {"dijo 1 (> 99,9\u00a0%)\nera 0", "dijo 8 (50,0\u00a0%)\nera 7"} <= set(said)
    names[1] = "un nombre que no acaba nunca"
    said = texts(surest_errors.draw({SIMPLE: errors(8)}, names))
    assert "dijo un nombre que no…\n(> 99,9\u00a0%)\nera 0" in said


@pytest.mark.parametrize("shape", [(28, 28), (20, 30), (30, 20)])
def test_errors_lie_side_by_side_without_holes(shape):
    """No gap between neighbours, nor to the border, is wider than a fifth of an image."""
    found = errors(12) | {"images": np.zeros((12, 1, *shape), np.uint8)}
    names = [str(digit) for digit in range(10)]
    figure = surest_errors.draw(dict.fromkeys(made_up.THREE, found), names)
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    images = [axes.get_window_extent() for axes in figure.axes]
    side = images[0].width
    assert len(images) == 36
    assert all(box.height / box.width == pytest.approx(shape[0] / shape[1]) for box in images)
    columns = sorted({(round(box.x0), round(box.x1)) for box in images})
    edges = [0, *(edge for column in columns for edge in column), width]
    assert max(np.diff(edges)[::2]) < side / 5
    # From top to bottom the words of an image and of a model are all that lies between.
    words = [axes.title.get_window_extent() for axes in figure.axes]
    words += [text.get_window_extent() for text in figure.texts]
    spans = sorted((box.y0, box.y1) for box in images + words)
    reached, gaps = 0.0, []
    for low, high in [*spans, (height, height)]:
        gaps.append(low - reached)
        reached = max(reached, high)
    assert max(gaps) < side / 5


@pytest.mark.parametrize("count", [0, 1, 12])
def test_models_with_few_errors_or_none_are_drawn_too(count):
    names = [str(digit) for digit in range(10)]
    figure = surest_errors.draw({SIMPLE: errors(count), TUNED: errors(12)}, names)
    said = [text for text in texts(figure) if text.startswith("dijo")]
    assert len(said) == count + 12
    assert ("ningún error" in texts(figure)) == (count == 0)
    # Who made few errors takes little room.
    whole = surest_errors.draw({SIMPLE: errors(12), TUNED: errors(12)}, names).get_figheight()
    assert figure.get_figheight() < whole or count == 12


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


def letters_and_digits(count: int) -> Dataset:
    images = np.zeros((count, 1, 8, 8), np.uint8)
    return Dataset(images, np.arange(count) % 4, ("О", "Ш", "З", "Ω"), None)


def test_letters_with_the_shape_of_a_digit_are_framed(tmp_path):
    """In the pixels: the frame's colour lies around those letters, and around no other."""
    letters, digits = letters_and_digits(23), letters_and_digits(100)
    figure = glyph_sheet.draw(letters, digits, "Imágenes", {"О", "З", "l"})
    assert any(t.startswith("letra con la forma de un dígito") for t in texts(figure))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    colour = np.round(np.array(to_rgb(glyph_sheet.FRAME["color"])) * 255)
    orange = (np.abs(pixels - colour) < 8).all(axis=2)
    left, right = figure.axes
    for place in range(100):
        row, column = divmod(place, 10)
        expected = place < 23 and place % 4 in (0, 2)
        for axes, framed in ((left, expected), (right, False)):
            corners = [(8 * column - 0.5, 8 * row + 7.5), (8 * column + 7.5, 8 * row - 0.5)]
            (x0, y0), (x1, y1) = axes.transData.transform(corners)
            high = len(pixels)
            cell = orange[round(high - y1) : round(high - y0), round(x0) : round(x1)]
            assert (cell.sum() > 40) == framed, (place, framed)


def test_without_twins_nothing_is_framed_or_told():
    figure = glyph_sheet.draw(letters_and_digits(9), letters_and_digits(9), "Imágenes")
    assert not figure.axes[0].patches
    assert not [text for text in texts(figure) if "dígito" in text]


STUDY = pd.DataFrame(
    [
        ("none", "fc", "sum_rgb", 5130, 0.8), ("none", "all", "sum_rgb", 11_175_370, 0.95),
        ("glyphs", "all", "sum_rgb", 11_175_370, 0.99), ("glyphs", "fc", "sum_rgb", 5130, 0.97),
        ("imagenet", "layer4, fc", "sum_rgb", 8_398_858, 0.96),
        ("glyphs", "conv1, fc", "random", 8266, 0.9),
    ],
    columns=["fuente", "capas entrenadas", "primera capa", "parámetros entrenados", "accuracy"],
).assign(
    **{
        "desv. accuracy": 0.005, "imágenes": 10_000,
        "accuracy de SimpleNN": 0.94, "accuracy de CNN": 0.96,
    }
)  # fmt: skip


def test_the_study_has_a_column_for_each_set_of_layers_and_joins_nothing():
    figure = study.draw(STUDY)
    said = texts(figure)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "fc\n5130", "conv1 y fc\n8266", "layer4 y fc\n8\u00a0398\u00a0858",
        "todas\n11\u00a0175\u00a0370",
    ]  # fmt: skip
    assert "10\u00a0000 imágenes" in axes.get_title()
    assert {"80", "90", "95", "99"} <= set(said)
    assert "escala logit" in axes.get_ylabel()
    columns = {"fc": 0, "conv1, fc": 1, "layer4, fc": 2, "all": 3}
    names = {"none": "sin preentrenar", "glyphs": "letras", "imagenet": "ImageNet"}
    expected = [
        (
            "código del taller (letras)"
            if row["primera capa"] == "random"
            else names[row["fuente"]],
            columns[row["capas entrenadas"]],
            row["accuracy"],
        )
        for _, row in STUDY.iterrows()
    ]
    found, apart = [], []
    for bars in axes.containers:
        points, _, (whiskers,) = bars.lines
        assert points.get_linestyle() == "None"
        for (x, y), ends in zip(points.get_xydata(), whiskers.get_segments(), strict=True):
            found.append((bars.get_label(), round(x), y))
            apart.append((x, y))
            assert ends[:, 1] == pytest.approx([y - 0.005, y + 0.005])
    assert sorted(found) == sorted(expected)
    assert len({x for x, _ in apart if round(x) == 3}) == 2  # side by side
    scratch = {line.get_label(): set(line.get_ydata()) for line in axes.lines}
    assert scratch["SimpleNN desde cero"] == {0.94}
    assert scratch["CNN desde cero"] == {0.96}


def test_the_committed_study_can_be_drawn():
    table = pd.read_csv(Path(__file__).parents[1] / "resultados/estudio.csv")
    axes = study.draw(table).axes[0]
    assert sum(len(bars.lines[0].get_xdata()) for bars in axes.containers) == len(table)
