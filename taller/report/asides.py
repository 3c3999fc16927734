"""What was found beside the pipeline, of the data that its params were chosen for: two tables.

`make ajuste` and `make estudio` write them; they lie in git, and the report tells what they say.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taller.report.spanish import count, listed, percent, plain
from taller.scores.comparison import Comparison

LAYERS = {"fc": "solo la última capa", "layer4, fc": "con layer4", "all": "todas las capas"}


@dataclass(frozen=True)
class Asides:
    """The tables of the grids and of the study, or None where there is none of these data."""

    tuning: pd.DataFrame | None = None
    study: pd.DataFrame | None = None


def read(folder: Path, found: Comparison) -> Asides:
    """Read ``ajuste.csv`` and ``estudio.csv``, which are of MNIST."""
    if found.data["dataset"] != "MNIST":
        return Asides()
    files = (folder / f"{name}.csv" for name in ("ajuste", "estudio"))
    return Asides(*(pd.read_csv(file) if file.exists() else None for file in files))


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
    names = {"glyphs": "con letras", "imagenet": "con ImageNet", "none": "sin preentrenar"}
    parts = [
        f"{told}, {listed([f'{percent(cells[layers, s], 1)} {names[s]}' for s in sources])}"
        for layers, told in LAYERS.items()
        if (sources := [s for s in names if (layers, s) in cells.index])
    ]
    first = table.iloc[0]
    own = table[table["primera capa"] == "random"]["accuracy"]
    workshop = f" El código del taller llega al {percent(own.iloc[0], 1)}." if len(own) else ""
    return f"""## ¿Y con menos imágenes?

El estudio (`estudio.csv`) entrena la misma ResNet18 con preentrenamiento y sin él, con {count(int(first["imágenes"]))} imágenes y {count(int(first["épocas"]))} épocas: {"; ".join(parts)}. Con esas imágenes, SimpleNN llega al {percent(first["accuracy de SimpleNN"], 1)} y CNN al {percent(first["accuracy de CNN"], 1)}, con los hiperparámetros que se eligieron con muchas más.{workshop} Las diferencias, con su prueba, están en `estudio_parejas.csv`.

![Exactitud según las capas que se entrenan y el preentrenamiento](estudio.png)

"""  # noqa: E501
