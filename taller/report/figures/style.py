"""What all pictures share: width, quiet lines, the models' looks, panels, and how they are saved.

Nothing outside this folder imports Matplotlib. What the reader sees is in language.py.
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.legend_handler import HandlerTuple

from taller.common import files
from taller.statistics.intervals import Estimate
from taller.statistics.results import Result

QUIET = "0.4"  # grey of what is not a model's
WIDTH = 9  # inches: on a page pictures shrink to two thirds
LONGEST = 18  # letters of a class's name that fit above an image
FONT = Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf")  # of all pictures
# Okabe and Ito's palette, distinct to colour-blind readers. Markers differ too, for grey print;
# as there is one more of them, no two of many models look the same.
COLORS = ("#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "D", "s", "^", "v", "P", "X", "*")

# Matplotlib's own defaults first: a matplotlibrc of the user's would change the bytes.
mpl.rcdefaults()
mpl.rcParams |= {
    "axes.axisbelow": True,
    "axes.edgecolor": "0.8",
    "axes.grid": True,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.titlesize": 13,
    "font.size": 10,
    "grid.color": "0.85",
    "savefig.dpi": 150,
    "xtick.bottom": False,
    "ytick.left": False,
}


def looks(models: Sequence[Result]) -> list[tuple[Result, str, str]]:
    """Each model with its color and its marker, which its place decides."""
    return list(zip(models, cycle(COLORS), cycle(MARKERS), strict=False))


def can_name(names: Sequence[str]) -> bool:
    """Whether the names of the classes fit into pictures, and their font has all letters."""
    letters = FT2Font(str(FONT)).get_charmap()
    return max(map(len, names)) <= LONGEST and {*map(ord, "".join(names))} <= {*letters}


def class_labels(names: Sequence[str]) -> list[str]:
    """What pictures call the classes: their names or, where these cannot be drawn, 1, 2, …

    What the numbers mean, the report says.
    """
    if not can_name(names):
        return [str(number) for number in range(1, len(names) + 1)]
    # To Matplotlib, dollars would make a formula of a name.
    return [name.replace("$", r"\$") for name in names]


def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone."""
    with files.atomic_write(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def panels(
    count: int, height: float, title: str, columns: int = 3, **options: object
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, at most `columns` side by side, each row `height` inches."""
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = Figure((WIDTH, height * rows))
    figure.suptitle(title)
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).ravel())
    for empty in axes[count:]:
        empty.set_axis_off()
    return figure, axes[:count]


def columns(count: int) -> int:
    """How many of `count` panels stand side by side."""
    return 2 if count == 4 else min(count, 3)


def legend(figure: Figure, keys: Sequence[tuple], labels: Sequence[str], **options: object) -> None:
    """A legend below the panels, each key of which shows several models side by side."""
    # Which corner of the panels is free depends on the models.
    figure.legend(
        keys, labels, loc="outside lower center", ncols=2,
        handler_map={tuple: HandlerTuple(ndivide=None)}, **options,
    )  # fmt: skip


def whiskers(estimate: Estimate) -> list[list[float]]:
    """What Matplotlib draws of a fraction's interval, in percent."""
    value, low, high = estimate
    return [[100 * (value - low)], [100 * (high - value)]]


def show(axes: Axes, image: np.ndarray, grey: str = "gray") -> None:
    """Draw an image, uint8, shape (channels, height, width), in grey or, of three, in colour."""
    # What Matplotlib gets of three channels, it does not map to colours.
    shown = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    axes.imshow(shown, cmap=grey, vmin=0, vmax=255)
    axes.grid(visible=False)
