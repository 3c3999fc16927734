"""Write the tables of the grid (ajuste), or those and the picture of the study (estudio).

The report reads those of MNIST; another data set's are called after it.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from estudio.cell import CELLS, SETTINGS, TRAINABLE  # first: it pins what NumPy reads

# isort: split
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from taller.common import files, params, stage
from taller.common.terminal import UserError
from taller.report.figures import style
from taller.report.language import ENDINGS, Language
from taller.statistics.intervals import corrected_interval, corrected_t_test, holm

RESULTS = Path("resultados")
SCRATCH = ("simple_nn", "cnn")
WORKSHOP = "workshop"  # a cell beside the others: the workshop's own training
LOOKS = {"none": ("#CC79A7", "v"), "letters": ("#56B4E9", "^"), "imagenet": ("#E69F00", "P")}
TICKS = (20, 40, 60, 80, 90, 95, 98, 99, 99.5, 99.8)  # percent
APART = 0.14  # between the sources of one column, in columns


def tables(name: str) -> None:
    makers = {"ajuste": grid_tables, "estudio": study_tables}
    if name not in makers:
        raise UserError(f"expected one of {', '.join(makers)}, found {name}")
    dataset = params.read("dataset", params.DatasetName)
    suffix = "" if dataset == "MNIST" else f"_{dataset}"
    made = makers[name](params.load(SETTINGS)[name])
    for file, table in made.items():
        path = RESULTS / f"{file}{suffix}.csv"
        with files.atomic_write(path) as out:
            table.to_csv(out, index=False, float_format="%.6g")
        print(f"{path}: {len(table)} rows")
    if name == "estudio":
        for language, ending in ENDINGS.items():
            figure = draw_study(made["estudio"], Language(language))
            style.save(figure, RESULTS / f"estudio{suffix}{ending}.png")


def results(place: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """How a cell was trained (fit.json), and its scores: a row per fold, a column per metric."""
    folder = CELLS / place
    scores = pd.read_csv(folder / "scores.csv")
    return files.read_json(folder / "fit.json"), scores.pivot_table(
        index=["repeat", "fold"], columns="metric", values="value"
    )


def grid_tables(settings: dict[str, Any]) -> dict[str, pd.DataFrame]:
    rows = []
    for network in [name for name in settings if name != "learning_rate"]:
        (param,) = {*settings[network]} - {"epochs"}
        axes = settings["learning_rate"], settings[network]["epochs"], settings[network][param]
        cells = ["-".join(map(str, cell)) for cell in product(*axes)]
        rows += [grid_row(f"ajuste/{network}/{cell}", param, "sí") for cell in cells]
        if network == SCRATCH[0]:
            rows.append(grid_row(f"ajuste/{network}/{WORKSHOP}", param, "no"))
    return {"ajuste": with_winners(pd.DataFrame(rows))}


def grid_row(place: str, param: str, in_grid: str) -> dict[str, Any]:
    fit, scores = results(place)
    used = fit["training"] | fit["training"]["model_params"]
    return {
        "modelo": fit["model"],
        "tasa de aprendizaje": used["learning_rate"],
        "épocas": used["epochs"],
        "hiperparámetro propio": param,
        "valor": used[param],
        "calendario": used["schedule"],
        "accuracy": scores["accuracy"].item(),
        "pérdida logarítmica": scores["log_loss"].item(),
        "en la cuadrícula": in_grid,
    }


def with_winners(table: pd.DataFrame) -> pd.DataFrame:
    """Mark, of each model's grid, the best accuracy; of equal ones the one of less log loss."""
    grid = table[table["en la cuadrícula"] == "sí"]
    ranked = grid.sort_values(["accuracy", "pérdida logarítmica"], ascending=[False, True])
    best = ranked.groupby("modelo").head(1).index
    return table.assign(elegida=["sí" if row in best else "no" for row in table.index])


def study_tables(settings: dict[str, Any]) -> dict[str, pd.DataFrame]:
    cells = product(settings["sources"], settings["layers"])
    names = [*(f"{source}-{layers}" for source, layers in cells), WORKSHOP]
    scratch = {name: results(f"estudio/{name}") for name in SCRATCH}
    tuned = {name: results(f"estudio/{name}") for name in names}
    return {
        "estudio": study_table(settings["images"], scratch, tuned),
        "estudio_parejas": study_pairs(scratch, tuned),
        "estudio_pliegues": study_folds(scratch, tuned),
    }


Cells = dict[str, tuple[dict[str, Any], pd.DataFrame]]


def study_table(images: int, scratch: Cells, tuned: Cells) -> pd.DataFrame:
    """A row per experiment, with what the networks from scratch reach on the same folds."""
    ours = {
        f"accuracy de {fit['model']}": scores["accuracy"].mean() for fit, scores in scratch.values()
    }
    rows = []
    for name, (fit, scores) in tuned.items():
        layers = name.rpartition("-")[2]
        trained = TRAINABLE.get(layers, fit["training"]["trained"])
        rows.append(
            {
                "experimento": name,
                "fuente": fit["start"]["source"],
                "capas entrenadas": trained if trained == "all" else ", ".join(trained),
                "primera capa": "random" if name == WORKSHOP else "sum_rgb",
                "imágenes": images,
                "épocas": fit["training"]["epochs"],
                "parámetros entrenados": fit["trained_parameters"],
                "accuracy": scores["accuracy"].mean(),
                "desv. accuracy": scores["accuracy"].std(),
            }
            | ours
        )
    return pd.DataFrame(rows)


def study_pairs(scratch: Cells, tuned: Cells) -> pd.DataFrame:
    """Paired tests of each fine-tuned network.

    Against those from scratch, and against the one that differs in nothing but that its weights
    are random. Intervals are of each test alone, p values are corrected for all rows.
    """
    rows = []
    for name, (_, scores) in tuned.items():
        others = {fit["model"]: other for fit, other in scratch.values()}
        source, _, layers = name.partition("-")
        if source != "none" and (control := f"none-{layers}") in tuned:
            others[control] = tuned[control][1]
        for other, theirs in others.items():
            difference = (scores["accuracy"] - theirs["accuracy"]).to_numpy()
            overlap = scores["val_images"].mean() / scores["train_images"].mean()
            test = corrected_interval(difference, overlap)
            rows.append([name, other, *test, corrected_t_test(difference, overlap)])
    columns = ["experimento", "frente a", "diferencia", "IC 95 % inferior", "IC 95 % superior"]
    table = pd.DataFrame(rows, columns=[*columns, "p"])
    p_values = holm(table.pop("p").tolist())
    return table.assign(**{"p (Holm)": [float(f"{one:.2g}") for one in p_values]})


def study_folds(scratch: Cells, tuned: Cells) -> pd.DataFrame:
    """Every accuracy of every experiment, those of the networks from scratch beside it."""
    rows: Iterable[tuple] = (
        (name, fit["model"], fold, accuracy)
        for name, one in tuned.items()
        for fit, scores in (*scratch.values(), one)
        for fold, accuracy in _by_fold(scores)
    )
    return pd.DataFrame(rows, columns=["experimento", "modelo", "pliegue", "accuracy"])


def _by_fold(scores: pd.DataFrame) -> Iterator[tuple[int, float]]:
    return ((fold, value) for (_, fold), value in scores["accuracy"].items())


def draw_study(table: pd.DataFrame, say: Language) -> Figure:
    """Accuracy by trained layers: a point per experiment, the spread over folds as whiskers.

    The layers are columns of their own, by how many parameters they have: to the last layer's
    thousands the others are millions, and no experiment lies between, so nothing is joined.

    Parameters
    ----------
    table : DataFrame
        A row per experiment, with the columns of ``estudio.csv``.
    """
    figure = Figure((8, 5.4))
    axes = figure.subplots()
    sizes = table.groupby("capas entrenadas")["parámetros entrenados"].max().sort_values()
    columns = {layers: column for column, layers in enumerate(sizes.index)}
    workshop = table["primera capa"] == "random"
    sources = table.loc[~workshop, "fuente"].drop_duplicates().tolist()
    shifts = APART * (np.arange(len(sources)) - (len(sources) - 1) / 2)
    for source, shift in zip(sources, shifts, strict=True):
        color, marker = LOOKS[source]
        rows = table[~workshop & (table["fuente"] == source)]
        places = rows["capas entrenadas"].map(columns) + shift
        _points(axes, places, rows, label=say(f"study_{source}"), color=color, marker=marker)
    for source, rows in table[workshop].groupby("fuente", sort=False):
        label = say("study_workshop", source=say(f"study_{source}"))
        places = rows["capas entrenadas"].map(columns)
        _points(axes, places, rows, label=label, color="black", marker="X")
    for name, dashes in {"SimpleNN": ":", "CNN": "--"}.items():
        scratch = table[f"accuracy de {name}"].iloc[0]
        axes.axhline(scratch, color=style.QUIET, ls=dashes, label=say("study_scratch", name=name))
    _name_axes(axes, sizes, say)
    images = say.thousands(table["imágenes"].iloc[0])
    axes.set_title(say("study", images=images))
    figure.legend(title=say("pretraining"), loc="outside lower center", ncols=3)
    return figure


def _points(axes: Axes, places: pd.Series, rows: pd.DataFrame, **look: object) -> None:
    axes.errorbar(
        places, rows["accuracy"], rows["desv. accuracy"], ls="none", ms=8, capsize=4, **look
    )


def _name_axes(axes: Axes, sizes: pd.Series, say: Language) -> None:
    names = [
        say("study_all") if one == "all" else say.enumeration(one.split(", "))
        for one in sizes.index
    ]
    axes.set(
        xticks=range(len(sizes)),
        xticklabels=[
            f"{name}\n{say.thousands(size)}" for name, size in zip(names, sizes, strict=True)
        ],
        xlim=(-0.5, len(sizes) - 0.5),
        xlabel=say("study_x"),
        yscale="logit",  # near 1 what counts is the share of errors: from 0.98 to 0.99 it halves
        ylabel=say("study_y"),
    )
    places = [tick / 100 for tick in TICKS]
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: say.plain(float(f"{100 * value:.4g}")))
    axes.grid(visible=False, axis="x")


if __name__ == "__main__":
    stage.run(tables)
