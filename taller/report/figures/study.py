"""The study's picture: what fine-tuning owes to which weights. No stage draws it."""

import pandas as pd
from matplotlib.figure import Figure

from taller.report.figures import style


def draw(table: pd.DataFrame) -> Figure:
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
        "none": ("sin preentrenar", "#CC79A7", "v"),
        "glyphs": ("letras", "#009E73", "^"),
        "imagenet": ("ImageNet", "#E69F00", "P"),
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
    axes.axhline(baseline, color=style.QUIET, ls=":", label="SimpleNN desde cero")
    axes.set_xscale("log")
    # Near 1 what counts is the share of errors: from 0.98 to 0.99 it halves.
    axes.set_yscale("logit")
    axes.set_yticks([0.6, 0.8, 0.9, 0.95, 0.98, 0.99])
    axes.yaxis.set_major_formatter(style.comma)
    axes.minorticks_off()
    axes.set(
        title=f"Fine-tuning de ResNet-18 con {table['imágenes'].iloc[0]:,} imágenes".replace(
            ",", " "
        ),
        xlabel="Parámetros entrenados (escala logarítmica)",
        ylabel="Accuracy de validación (media ± desv. de los pliegues)",
    )
    axes.legend(title="Preentrenamiento")
    return figure
