"""What all pictures share: width, quiet lines, panels, images, and how a picture is saved.

Nothing outside this folder imports Matplotlib to draw. What the reader sees is in Spanish.
Models differ in colour and in marker or dashes, so that nothing is lost in grey print.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.program import files
from taller.report import spanish

QUIET = "0.4"  # grey of what is not a model's
WIDTH = 9  # inches: on a page pictures shrink to two thirds

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


def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone."""
    with files.whole(path) as file:
        figure.savefig(file, format="png", metadata={"Software": None})


def panels(
    count: int, height: float, title: str, columns: int = 3, **options: object
) -> tuple[Figure, list[Axes]]:
    """A figure of the width that all share, with a panel per model, as many side by side.

    Parameters
    ----------
    height : float
        Of a row of panels, in inches.
    columns : int
        At most so many panels stand side by side; what is left of the last row stays empty.
    **options
        For `Figure.subplots`.
    """
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = Figure((WIDTH, height * rows))
    figure.suptitle(title)
    found = list(figure.subplots(rows, columns, squeeze=False, **options).ravel())
    for axes in found[count:]:
        axes.set_axis_off()
    return figure, found[:count]


def show(axes: Axes, image: np.ndarray, grey: str = "gray") -> None:
    """Draw an image, uint8, shape (channels, height, width), in grey or, of three, in colour.

    Parameters
    ----------
    grey : str
        Matplotlib's colour map for an image of one channel.
    """
    if len(image) == 1:
        axes.imshow(image[0], cmap=grey, vmin=0, vmax=255)
    else:
        axes.imshow(np.moveaxis(image, 0, -1))
    axes.grid(visible=False)


def literal(name: str) -> str:
    """A name that others gave, such that Matplotlib draws it as it is, and not as a formula."""
    return name.replace("$", r"\$")


def comma(value: float, _position: int | None = None) -> str:
    """A tick's label: as many decimals as it needs, behind a comma."""
    return f"{value:g}".replace(".", ",").replace("-", "−")


def hundredths(value: float, _position: int | None = None) -> str:
    """A tick's label with two decimals."""
    return spanish.number(value, 2)
