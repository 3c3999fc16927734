"""Compare the contestants: the table, the pictures, the metrics, the report, the winner's model.

Reads what the other stages wrote in resultados/. Copies the model that won by cross-validation,
and writes it as ONNX, with a model card. Deletes the results without a section in params.yaml.
"""

import hashlib
import shutil
from itertools import chain
from pathlib import Path

from pydantic import Field

from taller.common import files, params, stage
from taller.common.terminal import UserError, refuse
from taller.report import tables
from taller.report.contents import context, draw_pictures
from taller.report.figures import style
from taller.report.language import Language, LanguageName, render
from taller.report.model import to_onnx
from taller.statistics import learning_curve as learning
from taller.statistics.comparison import read
from taller.statistics.results import RESULTS, Metric, read_table


class Params(params.Section):
    language: LanguageName
    pairs: list[str]
    rope: float = Field(ge=0, lt=1)
    metric: Metric


def compare() -> None:
    settings, contestants = params.read("compare", Params), params.contestants()
    if not contestants:
        raise UserError(f"{params.PARAMS_FILE}: expected a section in kfold_train or finetune")
    sections = params.read("curve.sections", list[str])
    curve_files = {RESULTS / f"curve/{section}.csv" for section in sections}
    paths = [path for one in contestants for path in (one.model, one.cv, one.test)]
    paths += sorted(curve_files)
    refuse(f"{path}: missing; run dvc pull, or dvc repro" for path in paths if not path.exists())
    bases = [RESULTS / "pretrain" / name for name in params.load().get("pretrain") or {}]
    delete_leftovers({*bases, *curve_files, *(one.cv for one in contestants)})

    comparison = read(contestants, settings.rope, settings.metric)
    curves = learning.read(comparison, sections)
    gains = learning.gains(comparison, curves)
    studies = [read_table(RESULTS / f"{name}.csv") for name in ("ajuste", "estudio/mapa")]
    # All that can be wrong with what is read is said before anything is written.
    say = Language(settings.language)
    pictures = draw_pictures(comparison, say, curves, gains)
    facts, winner = context(comparison, gains, *studies), comparison.ranking[0]
    report = render("informe", say, facts)
    path = winner.contestant.model
    onnx = to_onnx(path, comparison.data["dataset"])
    final = {"modelo_final.onnx": onnx, "modelo_final.pth": path.read_bytes()}
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in final.items()}
    card = render("ficha", say, facts | {"sha256": sha256})
    table = tables.comparison_table(comparison, say)
    metrics = tables.metrics(comparison, settings.pairs)
    with files.atomic_write(RESULTS / "comparacion_metrics.csv") as file:
        table.to_csv(file, index=False, float_format="%.4f")
    files.write_json(RESULTS / "metrics.json", metrics)
    files.write_json(RESULTS / "detalle.json", tables.details(comparison, curves, gains))
    for name, rows in tables.plots(comparison).items():
        files.write_json(RESULTS / f"plots/{name}.json", rows)
    for name, figure in pictures.items():
        style.save(figure, RESULTS / f"{name}.png")
    files.write_text(RESULTS / "informe.md", report)
    for name, content in final.items():
        with files.atomic_write(Path("modelos", name)) as file:
            file.write(content)
    files.write_text(Path("modelos/ficha.md"), card)

    print(table.set_index("Modelo").T.to_string())
    for name in sorted({*settings.pairs} - {*metrics}):
        print(f"compare.pairs: {name}: left out, expected two contestants, as A-B")
    outcome = f"winner by cross-validation: {winner.model}"
    if not comparison.skilled:
        outcome = "nothing beats always naming the largest class"
    print(f"{outcome}; read {RESULTS / 'informe.md'}")


def delete_leftovers(known: set[Path]) -> None:
    """Delete what is no section's: DVC would count it in a folder's hash."""
    for path in chain.from_iterable(map(RESULTS.glob, ("cv/*/*/", "pretrain/*/", "curve/*.csv"))):
        if path not in known:
            print(f"deletes {path}, which has no section in params.yaml", flush=True)
            shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    stage.run(compare)
