"""Measure both models on the test set, which no other stage reads.

Reads the two models and the test images. Writes, for each model, the predictions (log
probabilities of every class), the confusion counts, the metrics, those of each class, the
calibration, and the images that it got wrong with most confidence; and on how many images both
models are right, only one, or none.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from taller.data import dataset
from taller.models import store
from taller.models.store import Classifier
from taller.program import cli, files
from taller.program.params import Device, Threads
from taller.program.progress import bar
from taller.scores import confidence, metrics
from taller.training import engine

BATCH = 250
ERRORS = 12  # kept of each model, for the picture


def evaluate(
    threads: Threads,
    device: Device,
    test: Path = Path("data/processed/test.npz"),
    models: Path = Path("modelos"),
    results: Path = Path("resultados"),
) -> None:
    images, labels = dataset.load(test)
    right = {}
    for name in ("simple_nn", "resnet18"):
        classifier = store.load(models / f"{name}.pth")
        with engine.threads(threads):
            log_probabilities = predict(classifier, images, engine.choose_device(device))
        scores = measure(results / name, images, labels, log_probabilities)
        right[name] = log_probabilities.argmax(axis=1) == labels
        print(f"{classifier.name}: test accuracy {scores['accuracy']:.4f}")
    files.write_json(results / "test_agreement.json", agreement(**right))


def measure(
    folder: Path, images: np.ndarray, labels: np.ndarray, log_probabilities: np.ndarray
) -> dict[str, float]:
    """Write into `folder` what one model's predictions are worth; its metrics."""
    predicted = log_probabilities.argmax(axis=1)
    counts = metrics.confusion(labels, predicted)
    classes = pd.DataFrame(metrics.per_class(counts)).rename_axis("clase")
    bins = confidence.reliability(log_probabilities, labels)
    errors = confidence.surest_errors(log_probabilities, labels, ERRORS)
    scores = {
        **metrics.scores(counts),
        "log_loss": metrics.log_loss(log_probabilities, labels),
        "ece": confidence.expected_calibration_error(bins),
        "top2": confidence.top_accuracy(log_probabilities, labels, k=2),
    }

    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "test_predictions.npz", labels=labels, log_probabilities=log_probabilities)
    np.savez(
        folder / "test_errors.npz",
        images=images[errors],
        labels=labels[errors],
        predicted=predicted[errors],
        confidence=np.exp(log_probabilities[errors].max(axis=1)),
    )
    np.savetxt(folder / "test_confusion.csv", counts, fmt="%d", delimiter=",")
    classes.to_csv(folder / "test_per_class.csv", float_format="%.6f")
    bins.to_csv(folder / "test_calibration.csv", index=False, float_format="%.6f")
    files.write_json(folder / "test_metrics.json", scores)
    return scores


def agreement(simple_nn: np.ndarray, resnet18: np.ndarray) -> dict[str, int]:
    """Count the images by which models are right: two bool arrays, shape (n,)."""
    return {
        "both": int((simple_nn & resnet18).sum()),
        "only_simple_nn": int((simple_nn & ~resnet18).sum()),
        "only_resnet18": int((~simple_nn & resnet18).sum()),
        "neither": int((~simple_nn & ~resnet18).sum()),
    }


def predict(classifier: Classifier, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Log probabilities of every class: float32, shape (n, 10)."""
    network = classifier.network.to(device, memory_format=torch.channels_last)
    inputs, rows = torch.from_numpy(images), torch.arange(len(images))
    with bar(len(images), classifier.name, "image") as shown:
        chunks = []
        for chunk in rows.split(BATCH):
            data = engine.batches(
                inputs, rows, chunk, BATCH, device=device, prepare=classifier.scaling
            )
            chunks.append(engine.predict(network, data)[0])
            shown.update(len(chunk))
    return torch.cat(chunks).double().log_softmax(1).float().numpy()


if __name__ == "__main__":
    cli.main(evaluate)
