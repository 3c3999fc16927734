"""The picture of the errors that the models were surest of."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure, SubFigure

from taller.models.catalogue import Entry
from taller.report import spanish
from taller.report.figures import style

KEYS = ("images", "labels", "predicted", "confidence")
LONG = 6  # letters: a longer name leaves no room for the confidence beside it
LONGEST = 18  # letters that fit above an image


def draw(
    errors: Mapping[Entry, Mapping[str, np.ndarray]], names: Sequence[str], columns: int = 6
) -> Figure:
    """The test images that each model got wrong with most confidence.

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
    lines = {entry: max(1, -(-len(found["labels"]) // columns)) for entry, found in errors.items()}
    row = 1.6 if max(map(len, names)) <= LONG else 1.85
    figure = Figure((style.WIDTH, 0.5 + sum(0.4 + row * count for count in lines.values())))
    parts = np.ravel(figure.subfigures(len(errors), height_ratios=list(lines.values())))
    for part, (entry, found) in zip(parts, errors.items(), strict=True):
        part.suptitle(entry.name, color=entry.color, size=12)
        _panels(part, found, names, lines[entry], columns)
    figure.suptitle("Errores cometidos con más confianza en las imágenes de prueba")
    return figure


def _panels(
    part: SubFigure, found: Mapping[str, np.ndarray], names: Sequence[str], lines: int, columns: int
) -> None:
    panels = part.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    between = " " if max(map(len, names)) <= LONG else "\n"
    for axes, (image, label, predicted, sure) in zip(
        panels, zip(*(found[key] for key in KEYS), strict=True), strict=False
    ):
        style.show(axes, image, grey="gray_r")
        said = f"dijo {_short(names[predicted])}{between}({spanish.certainty(sure)})"
        axes.set_title(f"{said}\nera {_short(names[label])}", size=9, pad=3)


def _short(name: str) -> str:
    return textwrap.shorten(name, LONGEST, placeholder="…") if len(name) > LONGEST else name
