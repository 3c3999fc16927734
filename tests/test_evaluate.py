"""What `evaluate` makes of models and test images."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as sk
from torch.nn.functional import cross_entropy

from stages.evaluate import evaluate
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.networks import simple_nn
from taller.training import store
from taller.training.batches import Scaling

SCALING = Scaling((0.5,), (0.5,), (28, 28))
NAMES = ("simple_nn", "cnn")


def save(path: str, names, seed: int = 0, shape=(1, 28, 28)) -> torch.nn.Module:
    """Store an untrained network of some seed."""
    arguments = {"classes": len(names), "shape": shape, "hidden": [8], "dropout": 0.0}
    torch.manual_seed(seed)
    network = simple_nn.build(**arguments)
    scaling = replace(SCALING, size=shape[1:])
    store.save(Path(path), "simple_nn", arguments, scaling, names, network.state_dict())
    return network.eval()


@pytest.fixture
def project(workdir, digits) -> dict[str, torch.nn.Module]:
    """Two sections of params.yaml, their models, and 600 digits as test images."""
    (workdir / "params.yaml").write_text(
        "threads: 1\ndevice: cpu\nfinetune: {}\nkfold_train: {simple_nn: {}, cnn: {}}\n"
    )
    dataset.save(workdir / "data/test", digits)
    paths = [f"modelos/scratch/{name}.pth" for name in NAMES]
    return {
        name: save(path, digits.names, seed)
        for seed, (name, path) in enumerate(zip(NAMES, paths, strict=True))
    }


def test_metrics_are_those_of_the_predictions(project, workdir, digits):
    evaluate()
    right = {}
    for name, network in project.items():
        folder = workdir / "resultados/test" / name
        with torch.inference_mode():
            logits = network(SCALING(torch.from_numpy(digits.images)))
        predictions = np.load(folder / "predictions.npz")
        expected = logits.double().log_softmax(1)
        np.testing.assert_allclose(predictions["log_probabilities"], expected, atol=1e-4)
        np.testing.assert_array_equal(predictions["labels"], digits.labels)

        predicted, probabilities = expected.argmax(1).numpy(), expected.exp().numpy()
        metrics = json.loads((folder / "metrics.json").read_text())
        loss = cross_entropy(logits, torch.from_numpy(digits.labels)).item()
        top2 = sk.top_k_accuracy_score(digits.labels, probabilities, k=2)
        assert metrics["log_loss"] == pytest.approx(loss, rel=1e-4)
        assert metrics["top2"] == pytest.approx(top2, abs=1e-6)
        assert metrics["accuracy"] == pytest.approx((predicted == digits.labels).mean(), abs=1e-6)
        assert 0 < metrics["ece_calibrated"]["mean"] < metrics["ece_calibrated"]["high"]
        bins = pd.read_csv(folder / "calibration.csv")
        gaps = (bins["hits"] / bins["images"] - bins["confidence"]).abs()
        assert metrics["ece"] == pytest.approx(np.average(gaps, weights=bins["images"]), abs=1e-5)

        counts = np.loadtxt(folder / "confusion.csv", delimiter=",", dtype=int)
        np.testing.assert_array_equal(counts, sk.confusion_matrix(digits.labels, predicted))
        table = pd.read_csv(folder / "per_class.csv", dtype={"clase": str})
        assert list(table["clase"]) == list(digits.names)
        report = sk.precision_recall_fscore_support(digits.labels, predicted, zero_division=0)
        np.testing.assert_allclose(table.drop(columns="clase").to_numpy().T, report, atol=1e-6)
        right[name] = predicted == digits.labels

        errors = np.load(folder / "errors.npz")
        surest = np.sort(probabilities.max(axis=1)[~right[name]])[::-1][:12]
        np.testing.assert_allclose(errors["confidence"], surest, rtol=1e-4)
        for image, label, answer in zip(
            errors["images"], errors["labels"], errors["predicted"], strict=True
        ):
            (row,) = np.flatnonzero((digits.images == image).all(axis=(1, 2, 3)))
            assert (digits.labels[row], predicted[row]) == (label, answer) and label != answer

    (pair,) = json.loads((workdir / "resultados/test/agreement.json").read_text())
    first, second = right.values()
    assert pair == {
        "first": "simple_nn", "second": "cnn", "both": (first & second).sum(),
        "only_first": (first & ~second).sum(), "only_second": (~first & second).sum(),
        "neither": (~first & ~second).sum(),
    }  # fmt: skip


def test_a_missing_model_is_one_line_and_nothing_is_written(project, workdir):
    Path("modelos/scratch/cnn.pth").unlink()
    with pytest.raises(UserError, match=r"^modelos/scratch/cnn\.pth: missing; run dvc pull.*$"):
        evaluate()
    assert not (workdir / "resultados").exists()


@pytest.mark.parametrize(
    ("names", "shape"), [("9876543210", (1, 28, 28)), ("0123456789", (2, 28, 28))]
)
def test_a_model_of_other_images_is_refused(project, names, shape):
    save("modelos/scratch/cnn.pth", tuple(names), shape=shape)
    actual = rf"{names[-1]}, \({shape[0]}, "
    with pytest.raises(UserError, match=rf"cnn\.pth: expected the classes .* {actual}"):
        evaluate()
