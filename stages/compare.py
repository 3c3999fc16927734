"""Compare the models: the table, the pictures, the metrics, the report, the winner.

Reads what the other stages left in `resultados/`, and of the data only a sample to show. Copies
the model that won by cross-validation to `modelo_final.pth`.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from taller.data.origin import Network
from taller.models import catalogue
from taller.models.catalogue import Entry
from taller.program import cli, files, params, reading
from taller.report import asides, pictures, plot_rows, tables
from taller.report.report import report
from taller.scores import comparison


class Params(params.Section):
    rope: float = Field(ge=0, lt=1)


def compare(
    params: Params,
    network: Network,
    folder: Path = Path("resultados"),
    models: Path = Path("modelos"),
    entries: Sequence[Entry] | None = None,
) -> None:
    found = comparison.read(folder, entries or catalogue.compared(network), params.rope)
    table = tables.comparison_table(found)
    # All that can be wrong with what is read is told before anything is written.
    drawn, told = pictures.figures(found, folder), report(found, asides.read(folder, found))
    winner = reading.content(models / f"{found.winner.entry.files}.pth")

    with files.whole(folder / "comparacion_metrics.csv") as file:
        table.to_csv(file, index=False, float_format="%.4f")
    files.write_json(folder / "metrics.json", tables.metrics(found))
    files.write_json(folder / "detalle.json", tables.details(found))
    plot_rows.write(found, folder / "plots")
    pictures.save(drawn, folder)
    files.write_text(folder / "informe.md", told)
    with files.whole(models / "modelo_final.pth") as file:
        file.write(winner)

    print(table.set_index("Modelo").T.to_string())
    print(f"winner by cross-validation: {found.winner.entry.name}; read {folder / 'informe.md'}")


if __name__ == "__main__":
    cli.main(compare)
