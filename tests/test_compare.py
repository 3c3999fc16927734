"""The stage, from the other stages' files to table, pictures, report and the winner's model."""

import re
from io import StringIO

import made_up
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, precision_score, recall_score

from stages.compare import Params, compare
from taller.program import files
from taller.report.figures import style

CASES = {
    "two": {"names": made_up.DIGITS, "shape": (1, 28, 28), "name": "MNIST"},
    "three": {"entries": made_up.THREE, "skill": {"simple_nn": 2.5, "resnet18": 4, "cnn": 9}},
    "twelve": {"names": made_up.MONTHS, "epochs": 1, "folds": 2, "name": "Meses"},
}


def test_what_auto_put_into_the_files_is_what_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(style.mpl.rcParams, "savefig.dpi", 40)
    facts = {
        "requested": "auto", "source": "imagenet", "network": "efficientnet_lite0",
        "weights_sha256": "12" * 32, "sha256": "ab" * 32, "networks": 1,
    }  # fmt: skip
    made_up.write(
        tmp_path, names=made_up.DIGITS, shape=(1, 28, 28), name="MNIST", pretraining=facts
    )
    folder = tmp_path / "resultados"
    compare(Params(rope=0.005), "resnet18", folder, tmp_path / "modelos", made_up.TWO)
    table = pd.read_csv(folder / "comparacion_metrics.csv")
    assert [*table["Modelo"]] == ["SimpleNN", "EfficientNet-Lite0 (fine-tuning)"]
    metrics = files.read_json(folder / "metrics.json")
    assert {*metrics} == {"simple_nn", "efficientnet_lite0", "comparison"}
    assert metrics["comparison"]["winner"] == "efficientnet_lite0"
    details = files.read_json(folder / "detalle.json")
    assert details["pretraining"]["network"] == "efficientnet_lite0"
    assert (tmp_path / "modelos/modelo_final.pth").read_bytes() == b"resnet18"
    assert "winner by cross-validation: EfficientNet-Lite0" in capsys.readouterr().out
    text = (folder / "informe.md").read_text(encoding="utf-8")
    assert "una red convolucional eficiente (Tan y Le, 2019), con pesos de ImageNet (Deng" in text
    assert "en lugar de ResNet18, cuyos pesos de ImageNet no estaban al alcance" in text
    assert "respecto del taller cambian a la vez la red, " in text
    assert "PMLR 97, 6105–6114" in text and "115(3), 211–252" in text
    for word in ("He et al.", "torchvision", "ResNet18 (fine-tuning)", "una red residual"):
        assert word not in text, word
    # Whose place it takes, the workshop's, and twice whose settings it has.
    assert text.count("ResNet18") == 4
    assert "Los de EfficientNet-Lite0 son los de ResNet18, sin más pruebas." in text


@pytest.mark.parametrize(("case", "winner"), [("two", 1), ("three", 2), ("twelve", 1)])
def test_compare_goes_through_to_table_pictures_and_report(
    tmp_path, monkeypatch, capsys, case, winner
):
    # Small pictures: what they show is looked at in test_figures.
    monkeypatch.setitem(style.mpl.rcParams, "savefig.dpi", 40)
    entries = CASES[case].get("entries", made_up.TWO)
    made = made_up.write(tmp_path, **CASES[case])
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    folder = tmp_path / "resultados"
    compare(Params(rope=0.005), "resnet18", folder, tmp_path / "modelos", entries)

    images = {
        "ejemplo_mnist.png", "calibracion.png", "confusion_matrix.png", "coste.png",
        "curva_loss.png", "errores.png", "folds.png", "glifos.png",
    }  # fmt: skip
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert {path.relative_to(tmp_path).as_posix() for path in written} == {
        *(f"resultados/{image}" for image in images), "resultados/comparacion_metrics.csv",
        "resultados/metrics.json", "resultados/detalle.json", "resultados/informe.md",
        *(f"resultados/plots/{plot}.json" for plot in ("perdida", "folds", "confusion")),
        "modelos/modelo_final.pth",
    }  # fmt: skip
    for image in images:
        with Image.open(folder / image) as picture:
            assert len(picture.convert("L").getcolors()) > 10, image
    text = (folder / "informe.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\S+\.png)\)", text)) == images

    csv = pd.read_csv(StringIO((folder / "comparacion_metrics.csv").read_text(encoding="utf-8")))
    labels = list(range(len(made.names)))
    for (_, row), entry in zip(csv.iterrows(), entries, strict=True):
        folds = made.folds[entry.key]
        accuracies = [accuracy_score(fold.labels, fold.predicted) for fold in folds]
        precision, recall = (
            np.mean(
                [
                    score(
                        fold.labels, fold.predicted, labels=labels, average="macro", zero_division=0
                    )
                    for fold in folds
                ]
            )
            for score in (precision_score, recall_score)
        )
        assert row["Modelo"] == entry.name
        assert [row["Accuracy"], row["Precision"], row["Recall"]] == pytest.approx(
            [np.mean(accuracies), precision, recall], abs=5e-5
        )
        assert row["Desv. accuracy"] == pytest.approx(np.std(accuracies, ddof=1), abs=5e-5)
        test = made.test[entry.key]
        assert row["Accuracy (prueba)"] == pytest.approx(
            accuracy_score(test.labels, test.predicted), abs=5e-5
        )
    final = (tmp_path / "modelos/modelo_final.pth").read_bytes()
    assert final == entries[winner].key.encode()
    said = capsys.readouterr().out
    ending = f"winner by cross-validation: {entries[winner].name}; read {folder / 'informe.md'}\n"
    assert said.endswith(ending)
