"""The stage, from the other stages' files to table, pictures, metrics, report and the winner."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results
import yaml
from results import CNN, SIMPLE, TUNED
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from stages.compare import compare
from taller.common.terminal import UserError
from taller.report.figures import style

ROOT = Path(__file__).parents[1]
LOW, HIGH, NEAR = [0.95, 0.951, 0.952], [0.98, 0.981, 0.9825], [0.9801, 0.9812, 0.9824]
PICTURES = [
    "calibracion", "confusion_matrix", "coste", "curva_aprendizaje", "curva_loss", "ejemplo_mnist",
    "errores", "folds", "glifos",
]  # fmt: skip
THREE = SIMPLE.but(scores=LOW), CNN.but(scores=HIGH), TUNED.but(scores=NEAR)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setitem(style.mpl.rcParams, "savefig.dpi", 30)


def read(name: str):
    return json.loads(Path("resultados", name).read_text(encoding="utf-8"))


def test_it_writes_what_dvc_yaml_says_and_what_the_results_say(workdir, capsys):
    pairs = ["cnn-simple_nn", "simple_nn-resnet18", "cnn-other", "cnn-cnn"]
    answers = results.write(*THREE, pairs=pairs, curves={"cnn": {50: LOW}, "resnet18": {50: NEAR}})
    before = {*Path().rglob("*")}
    compare()
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["compare"]
    outs = {next(iter(out)) if isinstance(out, dict) else out
            for out in (*stage["outs"], *stage["metrics"])}  # fmt: skip
    written = {path.as_posix() for path in {*Path().rglob("*")} - before}
    plots = {f"resultados/plots/{name}.json" for name in ("perdida", "folds", "confusion")}
    assert written == outs | plots
    assert {f"resultados/{name}.png" for name in PICTURES} < outs

    table = pd.read_csv("resultados/comparacion_metrics.csv")
    assert [*table][:4] == ["Modelo", "Accuracy", "Precision", "Recall"]
    assert table["Modelo"].tolist() == ["SimpleNN", "CNN", "ResNet18 (fine-tuning)"]
    assert table["Preentrenamiento"].tolist() == ["ninguno", "ninguno", "letras"]
    assert table["Desv. accuracy"].tolist() == pytest.approx(
        [np.std(one.scores, ddof=1) for one in THREE], abs=5e-5
    )
    right = [accuracy_score(true, log.argmax(axis=1)) for true, log in answers.values()]
    assert table["Accuracy (prueba)"].tolist() == pytest.approx(right, abs=5e-5)

    means = [round(float(np.mean(one.scores)), 4) for one in THREE]
    assert read("metrics.json") == {
        **{
            one.name: {"cv": mean, "test": pytest.approx(accuracy, abs=5e-5)}
            for one, mean, accuracy in zip(THREE, means, right, strict=True)
        },
        # A minus B, and what A is by that.
        "cnn-simple_nn": {"gap": pytest.approx(means[1] - means[0], abs=1e-4), "is": "better"},
        "simple_nn-resnet18": {"gap": pytest.approx(means[0] - means[2], abs=1e-4), "is": "worse"},
    }
    details = read("detalle.json")
    assert [*details["pairs"]] == ["cnn-simple_nn", "resnet18-simple_nn", "resnet18-cnn"]
    assert details["pairs"]["resnet18-cnn"]["verdict"] == "equal"
    assert (details["winner"], details["assumptions"]) == ("resnet18", [])
    winner = Path("modelos/finetuned/resnet18.pth").read_bytes()
    assert Path("modelos/modelo_final.pth").read_bytes() == winner
    printed = capsys.readouterr().out
    for name in pairs[2:]:
        assert f"compare.pairs: {name}: left out, expected two contestants, as A-B" in printed
    assert "winner by cross-validation: ResNet18 (fine-tuning); read resultados/info" in printed
    text = Path("resultados/informe.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\w+)\.png\)", text)) == PICTURES
    assert "**Gana entrenar desde cero: una CNN pequeña" in text

    curves = pd.DataFrame(read("plots/perdida.json")).query("epoca == 4 & modelo == 'CNN'")
    losses = pd.read_csv("resultados/cv/scratch/cnn/history.csv").query("epoch == 4")["val_loss"]
    expected = [losses.mean(), losses.min(), losses.max()]
    assert curves[["media", "inferior", "superior"]].iloc[1].tolist() == pytest.approx(
        expected, rel=1e-5
    )
    assert [row["accuracy"] for row in read("plots/folds.json")] == pytest.approx(LOW + HIGH + NEAR)
    cells = pd.DataFrame(read("plots/confusion.json")).groupby(["modelo", "real"])
    assert cells["imagenes"].sum().sum() == 3 * results.TEST
    np.testing.assert_allclose(cells["proporcion"].sum(), 1, atol=5e-4)


def test_what_programs_read_is_the_same_in_both_languages(workdir, monkeypatch):
    monkeypatch.setattr("stages.compare.draw_pictures", lambda *_: {})
    written = []
    for language in ("es", "en"):
        results.write(*THREE, pairs=["cnn-simple_nn"], language=language)
        compare()
        files = [*Path("resultados").glob("*.json"), *Path("resultados/plots").iterdir()]
        table = pd.read_csv("resultados/comparacion_metrics.csv")
        first = Path("resultados/informe.md").read_text(encoding="utf-8").split("\n")[0]
        written.append(({path: path.read_bytes() for path in files}, table, first))
    (programs, spanish, _), (same, english, title) = written
    assert programs == same and title == "# Training from scratch and fine-tuning on MNIST"
    assert [*english][:4] == [*spanish][:4] == ["Modelo", "Accuracy", "Precision", "Recall"]
    assert english["Pretraining"].tolist() == ["nothing", "nothing", "letters"]
    english["Pretraining"] = spanish["Preentrenamiento"]
    assert english.to_numpy().tolist() == spanish.to_numpy().tolist()


def test_metrics_are_of_the_metric_that_decides(workdir, monkeypatch):
    balanced = [0.9, 0.91, 0.92], [0.7, 0.71, 0.75]  # accuracies have the other order
    models = [one.but(balanced=row) for one, row in zip(THREE[1:], balanced, strict=True)]
    answers = results.write(*models, pairs=["resnet18-cnn"], metric="balanced_accuracy")
    monkeypatch.setattr("stages.compare.draw_pictures", lambda *_: {})
    compare()
    tests = [balanced_accuracy_score(true, log.argmax(axis=1)) for true, log in answers.values()]
    metrics = read("metrics.json")
    assert metrics["resnet18-cnn"] == {"gap_bal": -0.19, "is_bal": "worse"}
    for name, (true, log), one in zip(
        ("cnn", "resnet18"), answers.values(), THREE[1:], strict=True
    ):
        assert metrics[name]["test"] == pytest.approx((log.argmax(axis=1) == true).mean(), abs=5e-5)
        assert metrics[name]["cv"] == pytest.approx(np.mean(one.scores), abs=5e-5)
    assert read("detalle.json")["winner"] == "cnn"
    table = pd.read_csv("resultados/comparacion_metrics.csv")
    assert table["Accuracy"].tolist() == pytest.approx([np.mean(HIGH), np.mean(NEAR)], abs=5e-5)
    assert table["Accuracy equilibrada"].tolist() == [0.91, 0.72]
    assert table["Accuracy equilibrada (prueba)"].tolist() == pytest.approx(tests, abs=5e-5)
    assert table["Accuracy de la clase mayor"].tolist() == [0.12, 0.12]
    assert table["Pliegues"].tolist() == [3, 3]


@pytest.mark.parametrize("gone", ["modelos/scratch/cnn.pth", "resultados/cv/scratch/cnn"])
def test_without_one_of_the_contestants_no_report_is_written(workdir, gone):
    results.write(*THREE)
    Path(gone).rename("elsewhere")
    with pytest.raises(UserError) as raised:
        compare()
    assert str(raised.value) == f"{gone}: missing; run dvc pull, or dvc repro"
    assert not Path("resultados/informe.md").exists()
