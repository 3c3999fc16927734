"""The pictures of images: an example, the surest errors, and letters beside the data set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from taller.datasets.dataset import Dataset
from taller.report.figures import style
from taller.report.language import Language
from taller.statistics.results import Result

COLUMNS = 6  # errors side by side
LONG = 6  # letters: beside a longer name the confidence does not fit
# Inches: above the models, of a model's name, of a line of words, and between two images.
TITLE, NAME, LINE, GAP = 0.36, 0.34, 0.155, 0.1
SIDE = 10  # images side by side on a sheet
FRAME = {"fill": False, "color": "#E69F00", "lw": 1.8}


def example(image: np.ndarray, label: str, say: Language) -> Figure:
    """One image, uint8, shape (channels, height, width), titled with the name of its class."""
    figure = Figure((3.2, 3.4))
    axes = figure.subplots()
    style.show(axes, image)
    for axis in (axes.xaxis, axes.yaxis):  # whole pixels
        axis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_title(say("example", label=label))
    return figure


def errors(models: Sequence[Result], names: Sequence[str], say: Language) -> Figure:
    """The test images that each model got wrong with most confidence.

    Every image has its place in inches: a layout that is left to itself spaces by the height of
    the figure, and leaves holes between images.
    """
    side = style.WIDTH / COLUMNS - GAP
    shapes = [result.errors["images"].shape for result in models]
    high = max(side * height / width for _, _, height, width in shapes)
    words = LINE * (2 if max(map(len, names)) <= LONG else 3) + 0.06
    row = words + high + GAP
    rows = [-(-images // COLUMNS) for images, *_ in shapes]
    # A model without errors has a line that says so.
    heights = [NAME + (row * count if count else LINE + GAP) for count in rows]
    figure = Figure((style.WIDTH, TITLE + sum(heights)), layout="none")
    figure.suptitle(say("errors"), y=1 - 0.08 / figure.get_figheight(), va="top")
    top = TITLE  # inches from the figure's top
    for (result, color, _), height in zip(style.looks(models), heights, strict=True):
        _write(figure, top + GAP, result.model, color=color, size=12)
        if not len(result.errors["labels"]):
            _write(figure, top + NAME, say("errors_none"), size=9)
        for place in range(len(result.errors["labels"])):
            line, column = divmod(place, COLUMNS)
            left, below = column * (side + GAP) + GAP / 2, top + NAME + line * row + words
            wide, tall = figure.get_size_inches()
            box = (left / wide, 1 - (below + high) / tall, side / wide, high / tall)
            _error(figure.add_axes(box, xticks=[], yticks=[]), result, place, names, say)
        top += height
    return figure


def _write(figure: Figure, top: float, text: str, **look: object) -> None:
    """Write a line in the middle, `top` inches below the figure's top."""
    figure.text(0.5, 1 - top / figure.get_figheight(), text, ha="center", va="top", **look)


def _error(axes: Axes, result: Result, place: int, names: Sequence[str], say: Language) -> None:
    image, label, predicted, confidence = (
        result.errors[key][place] for key in ("images", "labels", "predicted", "confidence")
    )
    style.show(axes, image, grey="gray_r")
    between = " " if max(map(len, names)) <= LONG else "\n"
    answer, confidence = names[predicted], say.certainty(confidence)
    words = {"predicted": answer, "between": between, "confidence": confidence}
    axes.set_title(say("error", label=names[label], **words), size=9, pad=3)


def letters(
    images: Dataset,
    dataset: str,
    say: Language,
    drawn: Dataset | None = None,
    facts: dict[str, Any] | None = None,
) -> Figure:
    """A hundred images of a data set, beside a hundred letters that the pretraining drew, if any.

    With the `facts` of the pretraining, letters that have the shape of a digit are framed, and
    the picture says that the first row has the letters that are most like the digits.
    """
    sheets = [(drawn, say("letters"))] if drawn else []
    sheets.append((images, say("letters_data", dataset=dataset)))
    figure = Figure((style.WIDTH, 5.2 if facts else 4.8))
    panels = figure.subplots(1, len(sheets), squeeze=False)[0]
    for axes, (sheet, name) in zip(panels, sheets, strict=True):
        style.show(axes, _sheet(sheet.images))
        axes.set_title(name)
        axes.set_axis_off()
    if drawn and facts:
        _name_rows(panels[0], drawn.shape, say)
        alike = [one for one in facts["look_alikes"] if one["correlation"] > facts["alike"]]
        _frame(panels[0], drawn, "".join(one["letters"] for one in alike))
        figure.legend(
            [Rectangle((0, 0), 1, 1, **FRAME)],
            [say("letters_alike")],
            loc="outside lower center",
        )  # fmt: skip
    return figure


def _name_rows(axes: Axes, shape: tuple[int, ...], say: Language) -> None:
    """Say that the first row is the letters most like 0 to 9, above which these stand."""
    _, height, width = shape
    axes.set_axis_on()
    axes.set_xticks([width * (place + 0.5) for place in range(SIDE)], range(SIDE))
    axes.set_yticks(
        [height / 2, height * (SIDE + 1) / 2], [say("letters_first"), say("letters_other")]
    )
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)


def _frame(axes: Axes, drawn: Dataset, letters: str) -> None:
    _, height, width = drawn.shape
    for place, label in enumerate(drawn.labels[: SIDE * SIDE].tolist()):
        if drawn.names[label] in letters:
            row, column = divmod(place, SIDE)
            # Pixels are centred on whole numbers; one pixel inwards, neighbours stay apart.
            corner = (column * width + 0.5, row * height + 0.5)
            axes.add_patch(Rectangle(corner, width - 2, height - 2, **FRAME))


def _sheet(images: np.ndarray) -> np.ndarray:
    """Lay out up to 100 images, (n, channels, height, width), in rows of ten; the rest is black."""
    _, channels, height, width = images.shape
    page = np.zeros((SIDE * SIDE, channels, height, width), np.uint8)
    page[: len(images)] = images[: SIDE * SIDE]
    rows = page.reshape(SIDE, SIDE, channels, height, width)
    return rows.transpose(2, 0, 3, 1, 4).reshape(channels, SIDE * height, SIDE * width)
