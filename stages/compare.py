"""Compare the two models: the table, the pictures, the metrics, the report, the winner.

Reads what the other stages left in `resultados/`, and nothing of the data. Copies the model
that won by cross-validation to `modelo_final.pth`.
"""

import shutil
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd

from taller.program import cli, files
from taller.report import figures, tables
from taller.report.report import report
from taller.scores import comparison, results
from taller.scores.comparison import Comparison


def compare(
    folder: Path = Path("resultados"),
    models: Path = Path("modelos"),
) -> None:
    found = comparison.read(folder)
    table = tables.comparison_table(found)

    table.to_csv(folder / "comparacion_metrics.csv", index=False, float_format="%.4f")
    files.write_json(folder / "metrics.json", tables.metrics(found))
    write_plots(found, folder / "plots")
    draw(found, folder)
    (folder / "informe.md").write_text(report(found), encoding="utf-8")
    shutil.copyfile(models / f"{found.winner.key}.pth", models / "modelo_final.pth")

    print(table.set_index("Modelo").T.to_string())
    print(
        f"winner by cross-validation: {found.winner.name} (p = {found.difference.p_value:.4f}); "
        f"McNemar on the test images: p = {found.disagreement.p_value:.2g}"
    )


def write_plots(found: Comparison, folder: Path) -> None:
    """Write the rows that `dvc plots` draws."""
    curves = pd.concat(results.loss_curves(result) for result in found.both)
    files.write_json(folder / "perdida.json", curves.to_dict("records"))
    files.write_json(folder / "folds.json", results.fold_rows(found.both).to_dict("records"))
    for result in found.both:
        rows = results.confusion_rows(result).to_dict("records")
        files.write_json(folder / f"confusion_{result.key}.json", rows)


def draw(found: Comparison, folder: Path) -> None:
    """Draw the pictures of the report."""
    names = {result.name: result for result in found.both}
    pictures = {
        "curva_loss": figures.loss_curves(
            {name: results.loss_curves(result) for name, result in names.items()}
        ),
        "folds": figures.folds(
            {name: result.scores.set_index("fold")["accuracy"] for name, result in names.items()},
            {
                name: astuple(comparison.cv_estimate(result, "accuracy"))
                for name, result in names.items()
            },
        ),
        "confusion_matrix": figures.confusion_matrices(
            {name: result.confusion for name, result in names.items()}
        ),
        "calibracion": figures.reliability(
            {name: comparison.calibration(result) for name, result in names.items()},
            {name: result.test["ece"] for name, result in names.items()},
        ),
        "errores": figures.surest_errors(
            {name: results.surest_errors(folder, result.key) for name, result in names.items()}
        ),
        "glifos": figures.glyph_sheet(
            np.load(folder / "muestra_letras.npy"), np.load(folder / "muestra_digitos.npy")
        ),
    }
    for name, figure in pictures.items():
        figures.save(figure, folder / f"{name}.png")


if __name__ == "__main__":
    cli.main(compare)
