"""The stages on data sets that are not MNIST: other classes, channels, sizes and names."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from made_up import NO_IMAGENET
from matplotlib.image import imread
from sklearn import metrics as sk

from stages.compare import Params as Compare
from stages.compare import compare
from stages.evaluate import evaluate
from stages.finetune import Params as Finetune
from stages.finetune import finetune
from stages.kfold_train import kfold_train, section
from stages.preprocess import Params as Preprocess
from stages.preprocess import preprocess
from stages.pretrain import Params as Pretrain
from stages.pretrain import pretrain
from taller.data.dataset import Dataset
from taller.models import architectures, store
from taller.program import files

FRUIT = ("manzana", "pera", "níspero", "higo chumbo", "uva")
DOZEN = tuple(f"clase {number}" for number in range(12))
CASES = {"five in colour": (FRUIT, (3, 20, 24)), "twelve in grey": (DOZEN, (1, 18, 18))}


def made_up(names: tuple[str, ...], shape: tuple[int, int, int], each: int) -> Dataset:
    """Every class has a pattern of its own under noise; the last class is rare."""
    patterns = np.random.default_rng(1).integers(0, 256, (len(names), *shape))
    labels = np.append(np.arange(len(names) - 1).repeat(each), [len(names) - 1] * 4)
    noise = np.random.default_rng(each).normal(0, 60, (len(labels), *shape))
    return Dataset(np.clip(patterns[labels] + noise, 0, 255).astype(np.uint8), labels, names)


@pytest.fixture(scope="module", params=CASES)
def ran(request, tmp_path_factory):
    """The folder after all stages, the names of the classes, and the shape of an image."""
    names, shape = CASES[request.param]
    folder = tmp_path_factory.mktemp("data set")
    data, models, results = (folder / name for name in ("data", "modelos", "resultados"))
    train, folds = data / "train.npz", data / "folds.npy"
    preprocess(
        Preprocess(
            folds=2, repeats=1, groups="auto", subset=None, image_size=64, channels="auto",
            test_share=0.2,
        ),
        3, "Frutas", folder, data, results,
        source=lambda *_: (made_up(names, shape, 20), made_up(names, shape, 9), None),
    )  # fmt: skip
    learning = {
        "learning_rate": 1e-2, "weight_decay": 0.0, "schedule": "one_cycle", "batch_size": 8,
        "epochs": 12, "min_steps": 0,
    }  # fmt: skip
    knobs = {"simple_nn": {"hidden": [16, 8]}, "cnn": {"channels": [4, 8], "units": 16}}
    for network, own in knobs.items():
        chosen = section(network)(dropout=0.2, **own, **learning)
        kfold_train(network, chosen, 3, "cpu", train, folds, models, results)
    files.write_json(folder / "pretrained.json", NO_IMAGENET)
    pretrain(
        Pretrain(
            source="none", network="resnet18", images=8000, batch_size=128, learning_rate=0.1,
            weight_decay=0.0, label_smoothing=0.0,
        ),
        3, 1, "cpu", 1, folder, models, results,
    )  # fmt: skip
    finetune(
        Finetune(trainable=["fc"], stem="sum_rgb", image_size=32, body_lr_factor=0.1, **learning),
        "resnet18", 3, 1, "cpu", train, folds, models, results, folder / "cache",
    )  # fmt: skip
    evaluate("resnet18", 1, "cpu", data / "test.npz", models, results)
    compare(Compare(rope=0.005), "resnet18", results, models)
    return folder, names, shape


def test_the_scores_are_scikit_learns(ran):
    folder, names, _ = ran
    for key in ("simple_nn", "cnn", "resnet18"):
        found = np.load(folder / f"resultados/{key}/test_predictions.npz")
        labels, predicted = found["labels"], found["log_probabilities"].argmax(1)
        assert found["log_probabilities"].shape == (len(labels), len(names))
        scores = files.read_json(folder / f"resultados/{key}/test_metrics.json")
        expected = sk.precision_recall_fscore_support(
            labels, predicted, labels=range(len(names)), average="macro", zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert scores[name] == pytest.approx(value, abs=1e-5)
        counts = np.loadtxt(folder / f"resultados/{key}/test_confusion.csv", delimiter=",")
        assert counts.shape == (len(names), len(names)) and counts.sum() == len(labels)
        classes = pd.read_csv(folder / f"resultados/{key}/test_per_class.csv")["clase"]
        assert tuple(classes) == names


def test_what_can_be_learnt_is_learnt(ran):
    table = pd.read_csv(ran[0] / "resultados/comparacion_metrics.csv")
    assert list(table["Modelo"]) == ["SimpleNN", "CNN", "ResNet18 (fine-tuning)"]
    assert table["Accuracy"].min() > 1.5 / len(ran[1])  # chance, and half as much again
    assert table["Accuracy"].max() > 0.8
    metrics = json.loads((ran[0] / "resultados/metrics.json").read_text(encoding="utf-8"))
    assert metrics["simple_nn"]["cv"]["accuracy"]["mean"] == table["Accuracy"][0]


def test_the_models_know_their_classes_and_their_images(ran):
    folder, names, shape = ran
    for key, size in (
        ("simple_nn", shape[1:]),
        ("cnn", shape[1:]),
        ("resnet18", None),
        ("modelo_final", None),
    ):
        model = store.load(folder / f"modelos/{key}.pth", architectures.ALL)
        assert model.names == names
        assert size is None or model.scaling.size == size
        images = torch.zeros(2, *shape, dtype=torch.uint8)
        assert model.network.eval()(model.scaling(images)).shape == (2, len(names))
    fitted = store.load(folder / "modelos/resnet18.pth", architectures.ALL).scaling.size
    assert max(fitted) == 32 and fitted[0] / fitted[1] == pytest.approx(
        shape[1] / shape[2], abs=0.03
    )


def test_the_pictures_and_the_report_speak_of_these_data(ran):
    folder, names, _ = ran
    results = folder / "resultados"
    pictures = {
        "calibracion", "confusion_matrix", "coste", "curva_loss", "ejemplo_mnist", "errores",
        "folds", "glifos",
    }  # fmt: skip
    assert {path.stem for path in results.glob("*.png")} == pictures
    assert all(imread(path).std() > 0 for path in results.glob("*.png"))
    report = (results / "informe.md").read_text(encoding="utf-8")
    assert "Frutas" in report and any(name in report for name in names)
    report = report.replace("con MNIST, no con estas imágenes", "")
    for word in ("MNIST", "dígito", "Dígito", "cifra", "28 × 28"):
        assert word not in report, word
    rows = json.loads((results / "plots/confusion.json").read_text(encoding="utf-8"))
    assert {row["real"] for row in rows} == set(names)
    assert len(rows) == 3 * len(names) ** 2
