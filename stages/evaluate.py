"""Measure both models on the test set, which no other stage reads.

Reads the two models and the test images. Writes, for each model, the predictions (log
probabilities of every class), the confusion counts and the metrics.
"""

from pathlib import Path

import numpy as np
import torch

from stages.common import cli, dataset, files, metrics, model_files, training
from stages.common.model_files import Classifier
from stages.common.params import Device, Threads
from stages.common.progress import bar

BATCH = 250


def evaluate(
    threads: Threads,
    device: Device,
    test: Path = Path("data/processed/test.npz"),
    models: Path = Path("modelos"),
    results: Path = Path("resultados"),
) -> None:
    images, labels = dataset.load(test)
    for name in ("simple_nn", "resnet18"):
        classifier = model_files.load(models / f"{name}.pth")
        with training.threads(threads):
            log_probabilities = predict(classifier, images, training.choose_device(device))
        counts = metrics.confusion(labels, log_probabilities.argmax(axis=1))
        scores = {**metrics.scores(counts), "log_loss": metrics.log_loss(log_probabilities, labels)}

        folder = results / name
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "test_predictions.npz", labels=labels, log_probabilities=log_probabilities
        )
        np.savetxt(folder / "test_confusion.csv", counts, fmt="%d", delimiter=",")
        files.write_json(folder / "test_metrics.json", scores)
        print(f"{classifier.name}: test accuracy {scores['accuracy']:.4f}")


def predict(classifier: Classifier, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Log probabilities of every class: float32, shape (n, 10)."""
    network = classifier.network.to(device, memory_format=torch.channels_last)
    inputs, rows = torch.from_numpy(images), torch.arange(len(images))
    with bar(len(images), classifier.name, "image") as shown:
        chunks = []
        for chunk in rows.split(BATCH):
            data = training.batches(
                inputs, rows, chunk, BATCH, device=device, prepare=classifier.scaling
            )
            chunks.append(training.predict(network, data)[0])
            shown.update(len(chunk))
    return torch.cat(chunks).double().log_softmax(1).float().numpy()


if __name__ == "__main__":
    cli.main(evaluate)
