"""The picture of the pretraining's letters beside the images that are to be recognised."""

from collections.abc import Collection

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from taller.data.dataset import Dataset
from taller.report.figures import style

SIDE = 10  # images side by side
FRAME = {"fill": False, "color": "#E69F00", "lw": 1.8}


def draw(
    letters: Dataset, images: Dataset, title: str, twins: Collection[str] | None = None
) -> Figure:
    """A hundred letters of the pretraining beside a hundred images, or fewer.

    Parameters
    ----------
    title : str
        What the images are.
    twins : collection of str, optional
        Letters that have the shape of a digit: they are framed. Where it is given, the first row
        has the letters that are most like the digits, and the picture says so.
    """
    figure = Figure((style.WIDTH, 4.8 if twins is None else 5.1))
    titles = ("Letras dibujadas", title)
    panels = figure.subplots(1, 2)
    for axes, dataset, name in zip(panels, (letters, images), titles, strict=True):
        style.show(axes, sheet(dataset.images))
        axes.set_title(name)
        axes.set_axis_off()
    if twins is not None:
        _frame(panels[0], letters, twins)
        figure.legend(
            [Rectangle((0, 0), 1, 1, **FRAME)],
            ["letra con la forma de un dígito (por la correlación)"],
            title="Letras: en la primera fila, la más parecida a cada dígito, del 0 al 9",
            loc="outside lower center",
        )  # fmt: skip
    return figure


def _frame(axes: Axes, letters: Dataset, twins: Collection[str]) -> None:
    height, width = letters.images.shape[2:]
    for place, label in enumerate(letters.labels[: SIDE * SIDE].tolist()):
        if letters.names[label] in twins:
            row, column = divmod(place, SIDE)
            # Pixels are centred on whole numbers; one pixel inwards, neighbours stay apart.
            corner = (column * width + 0.5, row * height + 0.5)
            axes.add_patch(Rectangle(corner, width - 2, height - 2, **FRAME))


def sheet(images: np.ndarray) -> np.ndarray:
    """Lay out up to 100 images, in rows of ten; what is missing is black.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, channels, height, width)

    Returns
    -------
    ndarray of uint8, shape (channels, 10 height, 10 width)
    """
    _, channels, height, width = images.shape
    page = np.zeros((SIDE * SIDE, channels, height, width), np.uint8)
    page[: len(images)] = images[: SIDE * SIDE]
    rows = page.reshape(SIDE, SIDE, channels, height, width)
    return rows.transpose(2, 0, 3, 1, 4).reshape(channels, SIDE * height, SIDE * width)
