"""The picture of the pretraining's letters beside the images that are to be recognised."""

import numpy as np
from matplotlib.figure import Figure

from taller.data.dataset import Dataset
from taller.report.figures import style

SIDE = 10  # images side by side


def draw(letters: Dataset, images: Dataset, title: str) -> Figure:
    """A hundred letters of the pretraining beside a hundred images, or fewer.

    Parameters
    ----------
    title : str
        What the images are.
    """
    figure = Figure((style.WIDTH, 4.8))
    titles = ("Letras dibujadas", title)
    for axes, dataset, name in zip(figure.subplots(1, 2), (letters, images), titles, strict=True):
        style.show(axes, sheet(dataset.images))
        axes.set_title(name)
        axes.set_axis_off()
    return figure


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
