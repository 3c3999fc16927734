"""The picture of which classes are taken for which."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.models.catalogue import Entry
from taller.report import spanish
from taller.report.figures import style

MOST_WRITTEN = 15  # classes; of more, the cells have no room for numbers


def draw(counts: Mapping[Entry, np.ndarray], names: Sequence[str]) -> Figure:
    """Counts of the test images and their share of the row, one panel per model.

    Parameters
    ----------
    counts : mapping of Entry to ndarray of int, shape (classes, classes)
        Rows are the truth, columns the prediction.
    names : sequence of str
        Of the classes.
    """
    columns = min(len(counts), 3 if len(names) <= 5 else 2)
    width = style.WIDTH / columns
    longest = max(map(len, names))
    # Names take their room from the cells, and slanted ones below them: inches a letter.
    side = width - 0.6 - 0.06 * longest
    height = side + 1.3 + 0.045 * longest
    what = "imágenes de prueba y % de la fila"
    if len(names) > MOST_WRITTEN:
        what = "parte de las imágenes de prueba de la fila"
    figure, panels = style.panels(len(counts), height, f"Matriz de confusión: {what}", columns)
    for axes, (entry, matrix) in zip(panels, counts.items(), strict=True):
        _heat_map(axes, matrix, names, size=min(8.0, 72 * side / len(names) / 3))
        axes.set(title=entry.name, xlabel="Predicción")
    for axes in panels[::columns]:
        axes.set_ylabel("Etiqueta real")
    return figure


def _heat_map(axes: Axes, matrix: np.ndarray, names: Sequence[str], size: float) -> None:
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    written = len(names) <= MOST_WRITTEN
    # The square root makes the few errors visible beside the diagonal.
    sns.heatmap(
        np.sqrt(shares), ax=axes, cmap="Blues", vmin=0, vmax=1, square=True, cbar=False,
        annot=np.vectorize(_cell)(matrix, shares) if written else None, fmt="",
        annot_kws={"size": size, "linespacing": 1.1}, xticklabels=names, yticklabels=names,
    )  # fmt: skip
    long = max(map(len, names)) > 2
    small = min(9.0, 72 * 3.6 / len(names) / 1.1)  # as high as a row of a panel
    axes.tick_params(labelsize=small)
    axes.set_xticks(
        axes.get_xticks(), names, rotation=45 if long else 0, ha="right" if long else "center",
        rotation_mode="anchor" if long else "default",
    )  # fmt: skip
    axes.set_yticks(axes.get_yticks(), names, rotation=0)


def _cell(images: int, share: float) -> str:
    return f"{images}\n{spanish.number(100 * share, 1)}" if images else "·"
