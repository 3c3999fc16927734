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
