"""Compare the models: the table, the pictures, the metrics, the report, the winner.

Reads what the other stages left in `resultados/`, and of the data only a sample to show. Copies
the model that won by cross-validation to `modelo_final.pth`.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from taller.models import catalogue
from taller.models.catalogue import Entry
from taller.program import cli, files, params
from taller.report import asides, pictures, plot_rows, tables
from taller.report.report import report
from taller.scores import comparison


class Params(params.Section):
    rope: float = Field(ge=0, lt=1)


def compare(
    params: Params,
    folder: Path = Path("resultados"),
    models: Path = Path("modelos"),
    entries: Sequence[Entry] = catalogue.MODELS,
) -> None:
    found = comparison.read(folder, entries, params.rope)
    table = tables.comparison_table(found)

    table.to_csv(folder / "comparacion_metrics.csv", index=False, float_format="%.4f")
    files.write_json(folder / "metrics.json", tables.metrics(found))
    files.write_json(folder / "detalle.json", tables.details(found))
    plot_rows.write(found, folder / "plots")
    pictures.draw(found, folder)
    told = report(found, asides.read(folder, found))
    (folder / "informe.md").write_text(told, encoding="utf-8")
    shutil.copyfile(models / f"{found.winner.entry.key}.pth", models / "modelo_final.pth")

    print(table.set_index("Modelo").T.to_string())
    print(f"winner by cross-validation: {found.winner.entry.name}; read {folder / 'informe.md'}")


if __name__ == "__main__":
    cli.main(compare)
