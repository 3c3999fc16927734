"""The picture of which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from taller.report.figures import style
from taller.report.format import Language
from taller.statistics.results import Result

MOST_WRITTEN = 15  # classes: with more, the cells are too small for numbers


def draw(models: Sequence[Result], names: Sequence[str], say: Language) -> Figure:
    """Counts of the test images and their share of the row, a panel per model.

    `names` are those of the classes.
    """
    columns = min(len(models), 3 if len(names) <= 5 else 2)
    longest = max(map(len, names))
    # Long names make the cells smaller, and take more below them, where they are slanted.
    side = style.WIDTH / columns - 0.6 - 0.06 * longest
    height = side + 1.3 + 0.045 * longest
    title = say("confusion" if len(names) <= MOST_WRITTEN else "confusion_shares")
    figure, panels = style.panels(len(models), height, title, columns)
    tables, size = [result.confusion for result in models], min(8.0, 72 * side / len(names) / 3)
    darkest = max(float(_errors(matrix).max()) for matrix in tables) or 1.0
    for axes, result in zip(panels, models, strict=True):
        _heat_map(axes, result.confusion, names, size, darkest, say)
        axes.set(title=result.model, xlabel=say("confusion_x"))
    for axes in panels[::columns]:
        axes.set_ylabel(say("confusion_y"))
    return figure


def _shares(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def _errors(matrix: np.ndarray) -> np.ndarray:
    return _shares(matrix) * ~np.eye(len(matrix), dtype=bool)


def _heat_map(
    axes: Axes, matrix: np.ndarray, names: Sequence[str], size: float, darkest: float, say: Language
) -> None:
    shares = _shares(matrix)
    written = len(names) <= MOST_WRITTEN

    def cell(images: int, share: float) -> str:
        return f"{images}\n{say.number(100 * share, 1)}" if images else "·"

    # The colour is of errors, the same in all panels; what is right, the diagonal, is grey.
    sns.heatmap(
        _errors(matrix), ax=axes, cmap="Oranges", vmin=0, vmax=darkest, square=True, cbar=False,
        annot=np.vectorize(cell)(matrix, shares) if written else None, fmt="",
        annot_kws={"size": size, "linespacing": 1.1}, xticklabels=names, yticklabels=names,
    )  # fmt: skip
    for place in range(len(names)):
        axes.add_patch(Rectangle((place, place), 1, 1, facecolor="0.88", zorder=2))
    long = max(map(len, names)) > 2
    axes.tick_params(labelsize=min(9.0, 72 * 3.6 / len(names) / 1.1))  # as high as a panel's row
    axes.set_xticks(
        axes.get_xticks(), names, rotation=45 if long else 0, ha="right" if long else "center",
        rotation_mode="anchor" if long else "default",
    )  # fmt: skip
    axes.set_yticks(axes.get_yticks(), names, rotation=0)
