"""The picture of the errors that the models were surest of."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.models.catalogue import Entry
from taller.report import spanish
from taller.report.figures import style

KEYS = ("images", "labels", "predicted", "confidence")
LONG = 6  # letters: a longer name leaves no room for the confidence beside it
LONGEST = 18  # letters that fit above an image
# Inches: above the models, of a model's name, of a line of words, and between two images.
TITLE, NAME, LINE, GAP = 0.36, 0.34, 0.155, 0.1


def draw(
    errors: Mapping[Entry, Mapping[str, np.ndarray]], names: Sequence[str], columns: int = 6
) -> Figure:
    """The test images that each model got wrong with most confidence.

    Every image is laid at its place here, as wide as the columns allow and framed: a layout that
    is left to itself makes room by the height of the figure, and leaves holes between images.

    Parameters
    ----------
    errors : mapping of Entry to mapping
        For each model, ``images`` (uint8, shape (m, channels, height, width)), and of shape
        (m,) ``labels``, ``predicted`` and ``confidence`` (a fraction).
    names : sequence of str
        Of the classes.
    columns : int
        Images side by side.
    """
    side = style.WIDTH / columns - GAP
    high = max(side * found["images"].shape[2] / found["images"].shape[3]
               for found in errors.values())  # fmt: skip
    words = LINE * (2 if max(map(len, names)) <= LONG else 3) + 0.06
    row = words + high + GAP
    rows = {entry: -(-len(found["labels"]) // columns) for entry, found in errors.items()}
    # Who made no error has a line that says so.
    parts = {entry: NAME + (row * count if count else LINE + GAP) for entry, count in rows.items()}
    figure = Figure((style.WIDTH, TITLE + sum(parts.values())), layout="none")
    figure.suptitle(
        "Errores cometidos con más confianza en las imágenes de prueba",
        y=1 - 0.08 / figure.get_figheight(), va="top",
    )  # fmt: skip
    top = TITLE  # inches from the figure's top
    for entry, found in errors.items():
        _write(figure, top + GAP, entry.name, color=entry.color, size=12)
        if not rows[entry]:
            _write(figure, top + NAME, "ningún error", size=9)
        for number, error in enumerate(zip(*(found[key] for key in KEYS), strict=True)):
            line, column = divmod(number, columns)
            left, below = column * (side + GAP) + GAP / 2, top + NAME + line * row + words
            _error(_panel(figure, left, below, side, high), error, names)
        top += parts[entry]
    return figure


def _write(figure: Figure, top: float, text: str, **look: object) -> None:
    """Write a line in the middle, `top` inches below the figure's top."""
    figure.text(0.5, 1 - top / figure.get_figheight(), text, ha="center", va="top", **look)


def _panel(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place of the figure in inches, from its top left corner."""
    wide, high = figure.get_size_inches()
    box = (left / wide, 1 - (top + height) / high, width / wide, height / high)
    return figure.add_axes(box, xticks=[], yticks=[])


def _error(axes: Axes, error: tuple[np.ndarray, int, int, float], names: Sequence[str]) -> None:
    image, label, predicted, sure = error
    style.show(axes, image, grey="gray_r")
    between = " " if max(map(len, names)) <= LONG else "\n"
    said = f"dijo {_short(names[predicted])}{between}({spanish.certainty(sure)})"
    axes.set_title(f"{said}\nera {_short(names[label])}", size=9, pad=3)


def _short(name: str) -> str:
    return textwrap.shorten(name, LONGEST, placeholder="…") if len(name) > LONGEST else name
