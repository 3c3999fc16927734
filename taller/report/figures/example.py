"""The picture of one training image, with its label."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from taller.report.figures import style


def draw(image: np.ndarray, label: str) -> Figure:
    """One image, uint8, shape (channels, height, width), titled with the name of its class."""
    figure = Figure((3.2, 3.4))
    axes = figure.subplots()
    style.show(axes, image)
    for axis in (axes.xaxis, axes.yaxis):  # whole pixels
        axis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_title(f"Etiqueta: {label}")
    return figure
