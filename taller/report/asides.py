"""What was found beside the pipeline, of the data that its params were chosen for: two tables.

`make ajuste` and `make estudio` write them; they lie in git, and the report tells what they say.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taller.program import tables
from taller.program.errors import Problem
from taller.program.tables import FRACTION, ORDINAL, TEXT, Column
from taller.report.spanish import count, listed, percent, plain
from taller.scores.comparison import Comparison

TUNING = {
    "modelo": TEXT, "tasa de aprendizaje": Column(float, 0, 10), "épocas": ORDINAL,
    "hiperparámetro propio": TEXT, "valor": TEXT, "calendario": TEXT, "accuracy": FRACTION,
    "pérdida logarítmica": Column(float, 0), "en la cuadrícula": TEXT, "elegida": TEXT,
}  # fmt: skip
STUDY = {
    "experimento": TEXT, "fuente": TEXT, "capas entrenadas": TEXT, "primera capa": TEXT,
    "imágenes": ORDINAL, "épocas": ORDINAL, "parámetros entrenados": ORDINAL, "accuracy": FRACTION,
    "desv. accuracy": FRACTION, "accuracy de SimpleNN": FRACTION, "accuracy de CNN": FRACTION,
}  # fmt: skip
SOURCES = {"glyphs": "con letras", "imagenet": "con ImageNet", "none": "sin preentrenar"}
LAYERS = {"fc": "solo la última capa", "layer4, fc": "con layer4", "all": "todas las capas"}


@dataclass(frozen=True)
class Asides:
    """The tables of the grids and of the study, or None where there is none of these data."""

    tuning: pd.DataFrame | None = None
    study: pd.DataFrame | None = None


def read(folder: Path, found: Comparison) -> Asides:
    """Read ``ajuste.csv`` and ``estudio.csv``, which are of MNIST.

    Raises
    ------
    Problem
        Naming the file, the place in it, what was expected and what was found.
    """
    if found.data["dataset"] != "MNIST":
        return Asides()
    grids, study = folder / "ajuste.csv", folder / "estudio.csv"
    return Asides(
        _tuning(grids) if grids.exists() else None, _study(study) if study.exists() else None
    )


def _tuning(path: Path) -> pd.DataFrame:
    table = tables.read(path, TUNING)
    for name in ("en la cuadrícula", "elegida"):
        _check_among(path, table, name, ("sí", "no"))
    grid = table[table["en la cuadrícula"] == "sí"]
    chosen = grid[grid["elegida"] == "sí"]
    tables.check_each_once(path, chosen, {"modelo": grid["modelo"].unique()})
    if grid.empty:
        raise Problem(f"{path}: expected rows of a grid (en la cuadrícula: sí), found none")
    return table


def _study(path: Path) -> pd.DataFrame:
    table = tables.read(path, STUDY)
    _check_among(path, table, "fuente", SOURCES)
    _check_among(path, table, "primera capa", ("sum_rgb", "random"))
    cells = table[["fuente", "capas entrenadas", "primera capa"]]
    if (twice := cells[cells.duplicated()]).size:
        raise Problem(f"{path}: expected {', '.join(twice.iloc[0])} once, found it twice")
    return table


def _check_among(path: Path, table: pd.DataFrame, name: str, known: Collection[str]) -> None:
    if others := sorted({*table[name]} - {*known}):
        raise Problem(f"{path}: {name}: expected one of {', '.join(known)}, found {others[0]!r}")


def tuning(table: pd.DataFrame | None) -> str:
    """What was tried of each model, what won, and how the workshop's own training did."""
    if table is None:
        return ""
    grid = table[table["en la cuadrícula"] == "sí"]
    best = grid[grid["elegida"] == "sí"].set_index("modelo")
    epochs = grid.groupby("modelo", sort=False)["épocas"].unique()
    tried = [f"{listed([count(n) for n in sorted(values)])} en {m}" for m, values in epochs.items()]
    rates = [plain(rate) for rate in sorted(grid["tasa de aprendizaje"].unique())]
    accuracies = [f"{percent(one['accuracy'])} en {model}" for model, one in best.iterrows()]
    told = (
        f" Se probaron las tasas {listed(rates)} y, de épocas, {'; '.join(tried)}. Con la mejor "
        f"combinación, la exactitud fue del {listed(accuracies)}."
    )
    if at_the_end := [model for model in best.index if best["épocas"][model] == max(epochs[model])]:
        told += (
            f" En {listed(at_the_end)} ganó el mayor número de épocas, que limita el tiempo: más "
            "podrían mejorar el resultado."
        )
    for _, one in table[table["en la cuadrícula"] == "no"].iterrows():
        told += (
            f" {one['modelo']} entrenada como en el taller, con una tasa constante de "
            f"{plain(one['tasa de aprendizaje'])}, da un {percent(one['accuracy'])}."
        )
    return told


def study(table: pd.DataFrame | None) -> str:
    """The same network with and without pretraining, on fewer images: a section of the report."""
    if table is None:
        return ""
    grid = table[table["primera capa"] == "sum_rgb"]
    cells = grid.set_index(["capas entrenadas", "fuente"])["accuracy"]
    parts = [
        f"{told}, {listed([f'{percent(cells[layers, s], 1)} {SOURCES[s]}' for s in sources])}"
        for layers, told in LAYERS.items()
        if (sources := [s for s in SOURCES if (layers, s) in cells.index])
    ]
    first = table.iloc[0]
    own = table[table["primera capa"] == "random"]["accuracy"]
    workshop = f" El código del taller llega al {percent(own.iloc[0], 1)}." if len(own) else ""
    return f"""## ¿Y con menos imágenes?

El estudio (`estudio.csv`) entrena ResNet18 con preentrenamiento y sin él, con {count(int(first["imágenes"]))} imágenes y {count(int(first["épocas"]))} épocas: {"; ".join(parts)}. Con esas imágenes, SimpleNN llega al {percent(first["accuracy de SimpleNN"], 1)} y CNN al {percent(first["accuracy de CNN"], 1)}, con los hiperparámetros que se eligieron con muchas más.{workshop} Las diferencias, con su prueba, están en `estudio_parejas.csv`.

![Exactitud según las capas que se entrenan y el preentrenamiento](estudio.png)

"""  # noqa: E501
