"""Write the table of the grid: the report reads MNIST's; another data set's is called after it."""

from itertools import product
from pathlib import Path
from typing import Any

from estudio.cell import CELLS  # first: it pins what NumPy reads

# isort: split
import pandas as pd

from taller.common import files, params, stage

RESULTS, SETTINGS = Path("resultados"), Path("estudio/params.yaml")
WORKSHOP = "simple_nn/workshop"  # a cell beside the grid: the workshop's own training


def tables() -> None:
    name = params.read("dataset", params.DatasetName)
    path = RESULTS / ("ajuste.csv" if name == "MNIST" else f"ajuste_{name}.csv")
    table = grid_table(params.load(SETTINGS)["ajuste"])
    with files.atomic_write(path) as out:
        table.to_csv(out, index=False, float_format="%.6g")
    print(f"{path}: {len(table)} rows")


def grid_table(settings: dict[str, Any]) -> pd.DataFrame:
    rows = []
    for network in [name for name in settings if name != "learning_rate"]:
        (param,) = {*settings[network]} - {"epochs"}
        axes = settings["learning_rate"], settings[network]["epochs"], settings[network][param]
        cells = ["-".join(map(str, cell)) for cell in product(*axes)]
        rows += [grid_row(f"{network}/{cell}", param, "sí") for cell in cells]
        if network == WORKSHOP.partition("/")[0]:
            rows.append(grid_row(WORKSHOP, param, "no"))
    return with_winners(pd.DataFrame(rows))


def grid_row(place: str, param: str, in_grid: str) -> dict[str, Any]:
    folder = CELLS / "ajuste" / place
    fit, scores = files.read_json(folder / "fit.json"), pd.read_csv(folder / "scores.csv")
    used, scores = fit["training"], scores.set_index("metric")["value"]
    used |= used["model_params"]
    return {
        "modelo": fit["model"],
        "tasa de aprendizaje": used["learning_rate"],
        "épocas": used["epochs"],
        "hiperparámetro propio": param,
        "valor": used[param],
        "calendario": used["schedule"],
        "accuracy": scores["accuracy"],
        "pérdida logarítmica": scores["log_loss"],
        "en la cuadrícula": in_grid,
    }


def with_winners(table: pd.DataFrame) -> pd.DataFrame:
    """Mark, of each model's grid, the best accuracy; of equal ones the one of less log loss."""
    grid = table[table["en la cuadrícula"] == "sí"]
    ranked = grid.sort_values(["accuracy", "pérdida logarítmica"], ascending=[False, True])
    best = ranked.groupby("modelo").head(1).index
    return table.assign(elegida=["sí" if row in best else "no" for row in table.index])


if __name__ == "__main__":
    stage.run(tables)
