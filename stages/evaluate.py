"""Measure the models on the test set, which no other stage reads.

Reads data/test and the models; deletes those without a section in params.yaml. Writes of each
model the predictions (log probabilities), the confusion counts, the metrics, those of each class,
the calibration and the surest errors; and of each pair of models on how many images both are right,
one of them, or none.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from taller.common import files, params, stage, terminal
from taller.common.params import Device, Threads
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.evaluation import metrics
from taller.training import engine, store
from taller.training.batches import prepare_batches
from taller.training.store import Classifier


def evaluate() -> None:
    contestants, threads = params.contestants(), params.read("threads", Threads)
    device = engine.choose_device(params.read("device", Device))
    data, right = dataset.load(Path("data/test")), {}
    # Files of models that take part no more would count as dependencies.
    for path in {*Path("modelos").glob("*/*.pth*")} - {one.model for one in contestants}:
        print(f"deletes {path}, which has no section in params.yaml", flush=True)
        path.unlink()
    classifiers = [load(one.model, data) for one in contestants]
    for contestant, classifier in zip(contestants, classifiers, strict=True):
        with engine.threads(threads):
            log_probabilities = predict(classifier, data, device, contestant.name)
        scores = measure(contestant.test, data, log_probabilities)
        right[contestant.name] = log_probabilities.argmax(axis=1) == data.labels
        print(f"{contestant.name}: test accuracy {scores['accuracy']:.4f}", flush=True)
    pairs = [
        {"first": one, "second": other, **metrics.agreement(right[one], right[other])}
        for one, other in combinations(right, 2)
    ]
    files.write_json(Path("resultados/test/agreement.json"), pairs)


def load(path: Path, data: Dataset) -> Classifier:
    """The model in a file, which must be one of this data set."""
    model = store.load(path)
    if (model.names, model.shape) != (data.names, data.shape):
        actual = f"{', '.join(model.names)}, {model.shape}"
        raise UserError(f"{path}: expected the classes and shape of data/test, found {actual}")
    return model


def predict(classifier: Classifier, data: Dataset, device: torch.device, label: str) -> np.ndarray:
    """Log probabilities of every class: float32, shape (n, classes)."""
    network = classifier.network.to(device, memory_format=torch.channels_last)
    logits = []
    with terminal.bar(len(data), label, "image") as bar:
        for inputs in prepare_batches(data.images, classifier.scaling, device):
            logits.append(engine.predict(network, [inputs]))
            bar.update(len(inputs))
    return torch.cat(logits).double().log_softmax(1).float().numpy()


def measure(folder: Path, data: Dataset, log_probabilities: np.ndarray) -> dict[str, float]:
    """Write into `folder` what one model's predictions are worth; returns its metrics."""
    labels, predicted = data.labels, log_probabilities.argmax(axis=1)
    counts = metrics.confusion(labels, predicted, data.classes)
    bins = metrics.reliability(log_probabilities, labels)
    scores = {
        **metrics.scores(counts),
        "log_loss": metrics.log_loss(log_probabilities, labels),
        "ece": metrics.expected_calibration_error(bins),
        "ece_calibrated": metrics.calibrated_ece(log_probabilities),
        "top2": metrics.top_accuracy(log_probabilities, labels, k=2),
    }
    files.write_json(folder / "metrics.json", scores)
    classes = pd.DataFrame(metrics.per_class(counts), index=pd.Index(data.names, name="clase"))
    with files.atomic_write(folder / "per_class.csv") as file:
        classes.to_csv(file, float_format="%.6f")
    with files.atomic_write(folder / "confusion.csv") as file:
        pd.DataFrame(counts).to_csv(file, header=False, index=False)
    with files.atomic_write(folder / "calibration.csv") as file:
        bins.to_csv(file, float_format="%.6f", index=False)
    rows = metrics.surest_errors(log_probabilities, labels, count=12)  # for the picture
    confidence = np.exp(log_probabilities[rows].max(axis=1))
    errors = {"images": data.images[rows], "labels": labels[rows], "predicted": predicted[rows]}
    with files.atomic_write(folder / "errors.npz") as file:
        np.savez(file, **errors, confidence=confidence)
    with files.atomic_write(folder / "predictions.npz") as file:
        np.savez(file, labels=labels, log_probabilities=log_probabilities)
    return scores


if __name__ == "__main__":
    stage.run(evaluate)
