"""Compare the two models: the table, the pictures, the metrics, the report, the winner.

Reads what the other stages left in `resultados/`, and nothing of the data. Copies the model
that won by cross-validation to `modelo_final.pth`.
"""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from stages.common import cli, figures, files, results, statistics
from stages.common.report import report


def compare(
    folder: Path = Path("resultados"),
    models: Path = Path("modelos"),
) -> None:
    simple, tuned = both = [results.read(folder, key) for key in results.NAMES]
    data = files.read_json(folder / "datos.json")
    pretraining = files.read_json(folder / "pretrain.json")

    difference = statistics.corrected_paired_t(
        simple.scores["accuracy"].to_numpy(),
        tuned.scores["accuracy"].to_numpy(),
        train_images=simple.scores["train_images"].mean(),
        val_images=simple.scores["val_images"].mean(),
    )
    winner = tuned if difference.mean > 0 else simple
    curves = {result.name: results.loss_curves(result) for result in both}
    confusions = {result.name: result.confusion for result in both}
    table = results.comparison_table(both, pretraining["source"])

    table.to_csv(folder / "comparacion_metrics.csv", index=False, float_format="%.6f")
    files.write_json(
        folder / "metrics.json",
        {
            **{result.key: results.summary(result) for result in both},
            "comparison": {
                "accuracy_difference": difference.mean,
                "ci_low": difference.low,
                "ci_high": difference.high,
                "p_value": difference.p_value,
                "winner": winner.key,
            },
            "pretraining": {
                key: pretraining[key] for key in ("source", "glyph_accuracy") if key in pretraining
            },
        },
    )
    plots = folder / "plots"
    files.write_json(plots / "perdida.json", pd.concat(curves.values()).to_dict("records"))
    files.write_json(plots / "folds.json", results.fold_rows(both).to_dict("records"))
    for result in both:
        rows = results.confusion_rows(result).to_dict("records")
        files.write_json(plots / f"confusion_{result.key}.json", rows)
    figures.save(figures.loss_curves(curves), folder / "curva_loss.png")
    figures.save(figures.confusion_matrices(confusions), folder / "confusion_matrix.png")
    sheet = figures.glyph_sheet(
        np.load(folder / "muestra_letras.npy"), np.load(folder / "muestra_digitos.npy")
    )
    figures.save(sheet, folder / "glifos.png")
    (folder / "informe.md").write_text(
        report(data, both, difference, pretraining), encoding="utf-8"
    )
    shutil.copyfile(models / f"{winner.key}.pth", models / "modelo_final.pth")
    print(table.to_string(index=False))
    print(f"winner by cross-validation: {winner.name} (p = {difference.p_value:.4f})")


if __name__ == "__main__":
    cli.main(compare)
