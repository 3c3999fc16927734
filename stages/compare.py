"""Compare the contestants: the table, the pictures, the metrics, the report, the winner's model.

Reads what the other stages wrote in resultados/, and copies the model that won by
cross-validation. Deletes the results of what is no section of params.yaml any more.
"""

import shutil
from pathlib import Path

from pydantic import Field

from taller.common import files, params, stage
from taller.common.errors import UserError, refuse
from taller.report import pictures, tables
from taller.report.context import context
from taller.report.figures import style
from taller.report.format import render
from taller.statistics.comparison import RESULTS, read, read_table


class Params(params.Section):
    pairs: list[str]
    rope: float = Field(ge=0, lt=1)


def compare() -> None:
    settings, contestants = params.read("compare", Params), params.contestants()
    if not contestants:
        raise UserError(f"{params.PARAMS_FILE}: expected a section in kfold_train or finetune")
    paths = [path for one in contestants for path in (one.model, one.cv, one.test)]
    refuse(f"{path}: missing; run dvc pull, or dvc repro" for path in paths if not path.exists())
    bases = [RESULTS / "pretrain" / name for name in params.load().get("pretrain") or {}]
    delete_leftovers({*bases, *(one.cv for one in contestants)})

    comparison = read(contestants, settings.rope)
    studies = [read_table(RESULTS / f"{name}.csv") for name in ("ajuste", "estudio")]
    # All that can be wrong with what is read is said before anything is written.
    drawn, report = (
        pictures.draw(comparison),
        render("informe.es.md.j2", context(comparison, *studies)),
    )
    table, metrics = tables.comparison_table(comparison), tables.metrics(comparison, settings.pairs)
    with files.atomic_write(RESULTS / "comparacion_metrics.csv") as file:
        table.to_csv(file, index=False, float_format="%.4f")
    files.write_json(RESULTS / "metrics.json", metrics)
    files.write_json(RESULTS / "detalle.json", tables.details(comparison))
    for name, rows in tables.plots(comparison).items():
        files.write_json(RESULTS / f"plots/{name}.json", rows)
    for name, figure in drawn.items():
        style.save(figure, RESULTS / f"{name}.png")
    files.write_text(RESULTS / "informe.md", report)
    winner = comparison.ranking[0]
    with files.atomic_write(Path("modelos/modelo_final.pth")) as file:
        file.write(winner.contestant.model.read_bytes())

    print(table.set_index("Modelo").T.to_string())
    for name in sorted({*settings.pairs} - {*metrics}):
        print(f"compare.pairs: {name}: left out, expected two contestants, as A-B")
    print(f"winner by cross-validation: {winner.model}; read {RESULTS / 'informe.md'}")


def delete_leftovers(known: set[Path]) -> None:
    """Delete the folders that are no section's: DVC would count them in a folder's hash."""
    for path in (*RESULTS.glob("cv/*/*"), *RESULTS.glob("pretrain/*/")):
        if path not in known:
            shutil.rmtree(path)


if __name__ == "__main__":
    stage.run(compare)
