"""What `evaluate` writes of one model's predictions, and of both."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from stages.evaluate import ERRORS, agreement, evaluate, measure
from taller.data import dataset
from taller.data.dataset import Dataset
from taller.models import simple_nn, store
from taller.models.catalogue import SIMPLE_NN
from taller.models.scaling import Scaling
from taller.program import files
from taller.program.errors import Problem

NAMES = tuple("abcdefghij")


@pytest.fixture
def measured(tmp_path):
    random = np.random.default_rng(7)
    probabilities = random.dirichlet(np.full(10, 0.2), size=400)
    labels = np.where(
        random.random(400) < 0.8, probabilities.argmax(axis=1), random.integers(0, 10, 400)
    )
    images = random.integers(0, 256, (400, 3, 5, 6), dtype=np.uint8)
    scores = measure(tmp_path, Dataset(images, labels, NAMES), np.log(probabilities + 1e-300))
    return tmp_path, images, labels, probabilities, scores


def test_metrics(measured):
    folder, _, labels, probabilities, scores = measured
    assert list(scores) == [
        "accuracy",
        "precision",
        "recall",
        "f1",
        "log_loss",
        "ece",
        "ece_calibrated",
        "top2",
    ]
    written = files.read_json(folder / "test_metrics.json")
    calibrated = written.pop("ece_calibrated")
    assert 0 < calibrated["mean"] < calibrated["high"] < scores["ece"]  # this one is not
    assert written == pytest.approx({name: scores[name] for name in written}, rel=1e-5)
    expected = sk.top_k_accuracy_score(labels, probabilities, k=2, labels=range(10))
    assert scores["top2"] == pytest.approx(expected)
    bins = pd.read_csv(folder / "test_calibration.csv")
    gap = (bins["hits"] / bins["images"] - bins["confidence"]).abs()
    assert scores["ece"] == pytest.approx(np.average(gap, weights=bins["images"]), abs=1e-6)


def test_per_class(measured):
    folder, _, labels, probabilities, _ = measured
    table = pd.read_csv(folder / "test_per_class.csv")
    assert list(table) == ["clase", "precision", "recall", "f1", "support"]
    assert list(table["clase"]) == list(NAMES)
    expected = sk.precision_recall_fscore_support(labels, probabilities.argmax(axis=1))
    np.testing.assert_allclose(table.drop(columns="clase").to_numpy().T, expected, atol=1e-6)


def test_the_errors_are_the_surest_ones(measured):
    folder, images, labels, probabilities, _ = measured
    sure, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    errors = np.load(folder / "test_errors.npz")
    assert len(errors["labels"]) == ERRORS
    assert (errors["labels"] != errors["predicted"]).all()
    wrong = np.sort(sure[predicted != labels])[::-1]
    np.testing.assert_allclose(errors["confidence"], wrong[:ERRORS])
    for image, label, said in zip(
        errors["images"], errors["labels"], errors["predicted"], strict=True
    ):
        (row,) = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
        assert (labels[row], predicted[row]) == (label, said)


def test_agreement():
    right = {
        "one": np.array([True, True, True, False, False, False]),
        "other": np.array([True, True, False, True, True, False]),
    }
    assert agreement(right, "one", "other") == {
        "first": "one", "second": "other",
        "both": 2, "only_first": 1, "only_second": 2, "neither": 1,
    }  # fmt: skip


def test_a_model_of_other_classes_is_refused(tmp_path):
    images = np.zeros((4, 1, 2, 2), np.uint8)
    dataset.save(tmp_path / "test.npz", Dataset(images, np.arange(4) % 2, ("cat", "dog")))
    arguments = {"classes": 2, "shape": (1, 2, 2), "hidden": [3]}
    scaling = Scaling((0.5,), (0.5,), (2, 2))
    state = simple_nn.build(**arguments).state_dict()
    for names in (["cat", "owl"], ["dog", "cat"]):
        file = tmp_path / "simple_nn.pth"
        store.save(file, simple_nn.NAME, arguments, scaling, names, state)
        with pytest.raises(Problem, match=rf"nn.pth: expected .*\(cat, dog\), found {names[0]}"):
            evaluate("resnet18", 1, "cpu", tmp_path / "test.npz", tmp_path, tmp_path, (SIMPLE_NN,))
    store.save(file, simple_nn.NAME, arguments, scaling, ["cat", "dog"], state)
    evaluate("resnet18", 1, "cpu", tmp_path / "test.npz", tmp_path, tmp_path, (SIMPLE_NN,))
    assert (tmp_path / "simple_nn/test_metrics.json").exists()
