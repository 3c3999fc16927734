"""The study's picture: what fine-tuning owes to which weights."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from taller.report.figures import style
from taller.report.format import listed, plain, thousands

LOOKS = {
    "none": ("sin preentrenar", "#CC79A7", "v"),
    "letters": ("letras", "#56B4E9", "^"),
    "imagenet": ("ImageNet", "#E69F00", "P"),
}
TICKS = (20, 40, 60, 80, 90, 95, 98, 99, 99.5, 99.8)  # percent
APART = 0.14  # between the sources of one column, in columns


def draw(table: pd.DataFrame) -> Figure:
    """Accuracy by trained layers: a point per experiment, the spread over folds as whiskers.

    The layers are columns of their own, by how many parameters they have: to the last layer's
    thousands the others are millions, and no experiment lies between, so nothing is joined.

    Parameters
    ----------
    table : DataFrame
        A row per experiment, with the columns of ``estudio.csv``.
    """
    figure = Figure((8, 4.8))
    axes = figure.subplots()
    sizes = table.groupby("capas entrenadas")["parámetros entrenados"].max().sort_values()
    columns = {layers: column for column, layers in enumerate(sizes.index)}
    workshop = table["primera capa"] == "random"
    sources = table.loc[~workshop, "fuente"].drop_duplicates().tolist()
    shifts = APART * (np.arange(len(sources)) - (len(sources) - 1) / 2)
    for source, shift in zip(sources, shifts, strict=True):
        label, color, marker = LOOKS[source]
        rows = table[~workshop & (table["fuente"] == source)]
        places = rows["capas entrenadas"].map(columns) + shift
        _points(axes, places, rows, label=label, color=color, marker=marker)
    for source, rows in table[workshop].groupby("fuente", sort=False):
        label = f"código del taller ({LOOKS[source][0]})"
        places = rows["capas entrenadas"].map(columns)
        _points(axes, places, rows, label=label, color="black", marker="X")
    for name, dashes in {"SimpleNN": ":", "CNN": "--"}.items():
        scratch = table[f"accuracy de {name}"].iloc[0]
        axes.axhline(scratch, color=style.QUIET, ls=dashes, label=f"{name} desde cero")
    _name_axes(axes, sizes)
    images = thousands(table["imágenes"].iloc[0])
    axes.set_title(f"Fine-tuning de ResNet-18 con {images} imágenes, según qué capas se entrenan")
    axes.legend(title="Preentrenamiento", loc="lower right")
    return figure


def _points(axes: Axes, places: pd.Series, rows: pd.DataFrame, **look: object) -> None:
    axes.errorbar(
        places, rows["accuracy"], rows["desv. accuracy"], ls="none", ms=8, capsize=4, **look
    )


def _name_axes(axes: Axes, sizes: pd.Series) -> None:
    names = ["todas" if one == "all" else listed(one.split(", ")) for one in sizes.index]
    axes.set(
        xticks=range(len(sizes)),
        xticklabels=[f"{name}\n{thousands(size)}" for name, size in zip(names, sizes, strict=True)],
        xlim=(-0.5, len(sizes) - 0.5),
        xlabel="Capas entrenadas, y cuántos parámetros tienen",
        yscale="logit",  # near 1 what counts is the share of errors: from 0.98 to 0.99 it halves
        ylabel="Exactitud (accuracy) de validación (%, escala logit):\n"
        "media ± desviación típica de los pliegues",
    )
    places = [tick / 100 for tick in TICKS]
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: plain(float(f"{100 * value:.4g}")))
    axes.grid(visible=False, axis="x")
