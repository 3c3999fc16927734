"""Arrays and tables in, Matplotlib figures out. Nothing else imports Matplotlib.

What the reader sees is in Spanish.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct to colour-blind readers, and in grey.
COLORS = {"SimpleNN": "#0072B2", "ResNet18 (fine-tuning)": "#D55E00"}
mpl.rcParams |= sns.axes_style("whitegrid") | {
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "savefig.dpi": 150,
}


def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def example(image: np.ndarray, label: int) -> Figure:
    """One image, shape (28, 28), titled with its label."""
    figure = Figure((3.2, 3.4))
    axes = figure.subplots()
    axes.imshow(image, cmap="gray")
    axes.set_title(f"Etiqueta: {label}")
    axes.grid(visible=False)
    return figure


def loss_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean loss per epoch with the spread over folds, one panel per model.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        For each model's name, rows of ``epoca``, ``conjunto``, ``media``, ``inferior`` and
        ``superior``.
    """
    figure = Figure((9, 4))
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (name, rows) in zip(panels, curves.items(), strict=True):
        for split, dashes in (("entrenamiento", "--"), ("validación", "-")):
            line = rows[rows["conjunto"] == split]
            color = COLORS[name]
            axes.plot(
                line["epoca"], line["media"], dashes, color=color, label=split, marker="o", ms=3
            )
            axes.fill_between(
                line["epoca"], line["inferior"], line["superior"], color=color, alpha=0.2
            )
        axes.set(title=name, xlabel="Época")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.legend(title="media y rango de los pliegues")
    panels[0].set_ylabel("Pérdida (entropía cruzada, escala logarítmica)")
    panels[0].set_yscale("log")
    figure.suptitle("Curvas de pérdida")
    return figure


def confusion_matrices(counts: Mapping[str, np.ndarray]) -> Figure:
    """Counts of the test images, shaded by their share of the row, one panel per model.

    Parameters
    ----------
    counts : mapping of str to ndarray of int, shape (10, 10)
        Rows are the truth, columns the prediction.
    """
    figure = Figure((11, 5.6))
    panels = figure.subplots(1, len(counts), squeeze=False)[0]
    for axes, (name, matrix) in zip(panels, counts.items(), strict=True):
        shares = matrix / matrix.sum(axis=1, keepdims=True)
        # The square root makes the few errors visible beside the diagonal.
        sns.heatmap(
            np.sqrt(shares), annot=matrix, fmt="d", cmap="Blues", vmin=0, vmax=1,
            cbar=False, square=True, ax=axes, annot_kws={"size": 8},
        )  # fmt: skip
        axes.set(title=name, xlabel="Predicción", ylabel="Etiqueta real")
    figure.suptitle("Matriz de confusión (imágenes de prueba)")
    return figure


def glyph_sheet(letters: np.ndarray, digits: np.ndarray) -> Figure:
    """A hundred letters of the pretraining beside a hundred digits.

    Parameters
    ----------
    letters, digits : ndarray of uint8, shape (100, 28, 28)
    """
    figure = Figure((9, 4.8))
    titles = ("Letras dibujadas para preentrenar", "Dígitos de MNIST")
    for axes, images, title in zip(figure.subplots(1, 2), (letters, digits), titles, strict=True):
        axes.imshow(images.reshape(10, 10, 28, 28).swapaxes(1, 2).reshape(280, 280), cmap="gray")
        axes.set_title(title)
        axes.set_axis_off()
    return figure


def study(table: pd.DataFrame) -> Figure:
    """Accuracy against trained parameters: a line per source, the spread over folds as bars.

    Parameters
    ----------
    table : DataFrame
        A row per experiment, with the columns of `resultados/estudio.csv`.
    """
    figure = Figure((8, 4.8))
    axes = figure.subplots()
    grid = table[table["primera capa"] == "sum_rgb"]
    looks = {
        "none": ("sin preentrenar", "#009E73", "s"),
        "glyphs": ("letras", "#D55E00", "o"),
        "imagenet": ("ImageNet", "#0072B2", "D"),
    }
    for source, rows in grid.groupby("fuente", sort=False):
        label, color, marker = looks[source]
        rows = rows.sort_values("parámetros entrenados")
        axes.errorbar(
            rows["parámetros entrenados"], rows["accuracy"], rows["desv. accuracy"],
            label=label, color=color, marker=marker, capsize=4,
        )  # fmt: skip
    for _, row in table[table["primera capa"] == "random"].iterrows():
        axes.errorbar(
            row["parámetros entrenados"], row["accuracy"], row["desv. accuracy"], marker="X", ms=9,
            color="black", capsize=4, ls="", label=f"código del taller ({looks[row['fuente']][0]})",
        )  # fmt: skip
    baseline = table["accuracy de SimpleNN"].iloc[0]
    axes.axhline(baseline, color="0.4", ls=":", label="SimpleNN desde cero")
    axes.set_xscale("log")
    axes.set(
        title=f"Fine-tuning de ResNet-18 con {table['imágenes'].iloc[0]:,} imágenes".replace(
            ",", " "
        ),
        xlabel="Parámetros entrenados (escala logarítmica)",
        ylabel="Accuracy de validación (media ± desv. de los pliegues)",
    )
    axes.legend(title="Preentrenamiento")
    return figure
