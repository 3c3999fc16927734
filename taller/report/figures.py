"""Arrays and tables in, Matplotlib figures out. Nothing else imports Matplotlib.

What the reader sees is in Spanish. Models differ in colour and in marker or dashes, so that
nothing is lost in grey print. Pictures are 9 inches wide: on a page they shrink to two thirds.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taller.report import spanish

# Okabe and Ito's palette: distinct to colour-blind readers, and in grey.
COLORS = {"SimpleNN": "#0072B2", "ResNet18 (fine-tuning)": "#D55E00"}
MARKERS = {"SimpleNN": "o", "ResNet18 (fine-tuning)": "s"}
QUIET = "0.4"  # grey of what is not a model's
WIDTH = 9  # inches
KEYS = ("images", "labels", "predicted", "confidence")
mpl.rcParams |= sns.axes_style("whitegrid") | {
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "figure.titlesize": 13,
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
    figure, panels = _panels(curves, height=4.2, title="Curvas de pérdida", sharey=True)
    for axes, (name, rows) in zip(panels, curves.items(), strict=True):
        for split, style in (("entrenamiento", "--"), ("validación", "-")):
            line, color = rows[rows["conjunto"] == split], COLORS[name]
            axes.plot(
                line["epoca"], line["media"], style, color=color, label=split,
                marker=MARKERS[name], ms=4, mfc=color if style == "-" else "white",
            )  # fmt: skip
            axes.fill_between(
                line["epoca"], line["inferior"], line["superior"], color=color, alpha=0.25, lw=0
            )
        axes.set(title=name, xlabel="Época", yscale="log")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda loss, _: f"{loss:g}".replace(".", ","))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        axes.legend(title="media y rango de los pliegues")
    panels[0].set_ylabel("Pérdida (entropía cruzada, escala logarítmica)")
    return figure


def confusion_matrices(counts: Mapping[str, np.ndarray]) -> Figure:
    """Counts of the test images and their share of the row, one panel per model.

    Parameters
    ----------
    counts : mapping of str to ndarray of int, shape (10, 10)
        Rows are the truth, columns the prediction.
    """
    figure, panels = _panels(
        counts, height=5.1, title="Matriz de confusión: imágenes de prueba y % de la fila"
    )
    for axes, (name, matrix) in zip(panels, counts.items(), strict=True):
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        # The square root makes the few errors visible beside the diagonal.
        axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
        for (row, column), images in np.ndenumerate(matrix):
            share = shares[row, column]
            color = "white" if share > 0.4 else "black"
            if images == 0:
                axes.text(column, row, "·", ha="center", va="center", color=QUIET)
                continue
            axes.text(column, row - 0.02, images, ha="center", va="bottom", size=9, color=color)
            axes.text(
                column, row + 0.06, spanish.number(100 * share, 1),
                ha="center", va="top", size=7.5, color=color,
            )  # fmt: skip
        digits = range(len(matrix))
        axes.set(
            title=name, xlabel="Predicción", ylabel="Etiqueta real", xticks=digits, yticks=digits
        )
        axes.grid(visible=False)
    return figure


def glyph_sheet(letters: np.ndarray, digits: np.ndarray) -> Figure:
    """A hundred letters of the pretraining beside a hundred digits.

    Parameters
    ----------
    letters, digits : ndarray of uint8, shape (100, 28, 28)
    """
    figure = Figure((9, 4.8))
    titles = ("Letras dibujadas", "Dígitos de MNIST")
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
    # Near 1 what counts is the share of errors: from 0.98 to 0.99 it halves.
    axes.set_yscale("logit")
    axes.set_yticks([0.6, 0.8, 0.9, 0.95, 0.98, 0.99])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace(".", ","))
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


def folds(
    accuracies: Mapping[str, pd.Series], means: Mapping[str, tuple[float, float, float]]
) -> Figure:
    """Validation accuracy of both models, fold by fold, and their means with intervals.

    Parameters
    ----------
    accuracies : mapping of str to Series
        For each model's name, its accuracy (a fraction), indexed by fold; two models.
    means : mapping of str to tuple
        Mean over folds, and the ends of its 95 % interval.
    """
    table = 100 * pd.DataFrame(accuracies)
    rows = np.arange(len(table))
    # 0.45 inches a row, as long as the picture fits on a page.
    figure, (axes,) = _panels(
        [None], height=min(1.9 + 0.45 * len(table), 10), title="Accuracy de validación por pliegue"
    )
    first, second = (table[name].to_numpy() for name in table)
    axes.hlines(rows, first, second, color=QUIET, lw=1.2, zorder=1)
    for row, low, high in zip(rows, first, second, strict=True):
        axes.annotate(
            spanish.number(high - low, 2, sign=True), ((low + high) / 2, row), (0, 3),
            textcoords="offset points", ha="center", va="bottom", size=9, color="0.2",
        )  # fmt: skip
    bottom = len(table) + 0.35
    for shift, name in zip((-0.14, 0.14), table, strict=True):
        look = {"color": COLORS[name], "marker": MARKERS[name], "linestyle": "none"}
        axes.plot(table[name], rows, **look, ms=8, label=name)
        mean, low, high = (100 * value for value in means[name])
        axes.errorbar(
            mean, bottom + shift, xerr=[[mean - low], [high - mean]], **look, ms=8, capsize=4
        )
    axes.axhline(len(table) - 0.4, color=QUIET, lw=0.8, ls=":")
    axes.set(
        xlabel="Accuracy (%); sobre cada línea, la diferencia en puntos",
        yticks=[*rows, bottom],
        yticklabels=[*(f"Pliegue {fold}" for fold in table.index), "Media e IC 95 %"],
        ylim=(bottom + 0.5, -0.6),
    )
    axes.xaxis.set_major_formatter(lambda share, _: spanish.number(share, 2))
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def reliability(bins: Mapping[str, pd.DataFrame], errors: Mapping[str, float]) -> Figure:
    """Accuracy by confidence, over the number of images in each bin, one panel per model.

    Parameters
    ----------
    bins : mapping of str to DataFrame
        For each model's name, rows of ``low``, ``high``, ``images``, ``confidence``,
        ``accuracy``, ``accuracy_low`` and ``accuracy_high``.
    errors : mapping of str to float
        Expected calibration error, a fraction.
    """
    figure = Figure((WIDTH, 6))
    grid = figure.subplots(
        2, len(bins), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1.3)
    )
    percent = mpl.ticker.FuncFormatter(lambda share, _: f"{100 * share:.0f}")
    most = max(rows["images"].max() for rows in bins.values())
    for (above, below), (name, rows) in zip(grid.T, bins.items(), strict=True):
        color = COLORS[name]
        above.plot([0, 1], [0, 1], "--", color=QUIET, label="calibración perfecta")
        above.errorbar(
            rows["confidence"], rows["accuracy"], fmt=MARKERS[name], color=color, ms=5,
            yerr=abs(rows[["accuracy_low", "accuracy_high"]].T - rows["accuracy"]).to_numpy(),
            capsize=2, label="accuracy observada, IC 95 %",
        )  # fmt: skip
        above.set(title=f"{name}: ECE = {spanish.percent(errors[name])}", xlim=(0, 1.02))
        middle, width = (rows["low"] + rows["high"]) / 2, 0.9 * (rows["high"] - rows["low"])
        below.bar(middle, rows["images"], width, color=color)
        for place, images in zip(middle, rows["images"], strict=True):
            label = spanish.count(images)
            below.text(place, 1.3 * images, label, rotation=90, ha="center", va="bottom", size=7.5)
        below.set(xlabel="Confianza (%)", yscale="log", ylim=(0.7, 50 * most))
        below.yaxis.set_major_formatter(lambda images, _: spanish.count(round(images)))
        below.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        below.grid(visible=False, axis="x")
        for axis in (above.xaxis, above.yaxis):
            axis.set_major_formatter(percent)
    grid[0][0].set_ylabel("Accuracy (%)")
    grid[1][0].set_ylabel("Imágenes\n(escala log.)")
    # Below the panels: which corner of them is free depends on the model.
    keys, labels = zip(*(axes.get_legend_handles_labels() for axes in grid[0]), strict=True)
    figure.legend(
        [keys[0][0], tuple(points for _, points in keys)], labels[0],
        loc="outside lower center", ncols=2, handlelength=4,
        handler_map={tuple: mpl.legend_handler.HandlerTuple(ndivide=None)},
    )  # fmt: skip
    figure.suptitle("Calibración: ¿acierta tanto como dice?")
    return figure


def surest_errors(errors: Mapping[str, Mapping[str, np.ndarray]], columns: int = 6) -> Figure:
    """The test images that each model got wrong with most confidence.

    Parameters
    ----------
    errors : mapping of str to mapping
        For each model's name, ``images`` (uint8, shape (n, 28, 28)), ``labels``,
        ``predicted`` and ``confidence`` (a fraction), shape (n,).
    columns : int
        Images side by side.
    """
    lines = {name: max(1, -(-len(found["labels"]) // columns)) for name, found in errors.items()}
    figure = Figure((WIDTH, 0.5 + sum(0.4 + 1.6 * count for count in lines.values())))
    parts = np.ravel(figure.subfigures(len(errors), height_ratios=list(lines.values())))
    for part, (name, found) in zip(parts, errors.items(), strict=True):
        part.suptitle(name, color=COLORS[name], size=12)
        panels = part.subplots(lines[name], columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        rows = zip(*(found[key] for key in KEYS), strict=True)
        for axes, (image, label, predicted, sure) in zip(panels, rows, strict=False):
            axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
            said = f"dijo {predicted} ({spanish.certainty(sure)})"
            axes.set_title(f"{said}\nera {label}", size=9, pad=3)
    figure.suptitle("Errores cometidos con más confianza en las imágenes de prueba")
    return figure


def _panels(models: object, height: float, title: str, **options) -> tuple[Figure, list[Axes]]:
    """A figure of the width that all share, with a panel per model."""
    figure = Figure((WIDTH, height))
    figure.suptitle(title)
    return figure, list(figure.subplots(1, len(models), squeeze=False, **options)[0])
