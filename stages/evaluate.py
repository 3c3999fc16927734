"""Measure the models on the test set, which no other stage reads.

Reads the models and the test images. Writes, for each model, the predictions (log probabilities
of every class), the confusion counts, the metrics, those of each class, the calibration, and the
images that it got wrong with most confidence; and, for each pair of models, on how many images
both are right, only one, or none.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from taller.data import dataset
from taller.data.dataset import Dataset
from taller.data.origin import Network
from taller.models import architectures, catalogue, store
from taller.models.catalogue import Entry
from taller.models.store import Classifier
from taller.program import cli, files
from taller.program.errors import Problem
from taller.program.params import Device, Threads
from taller.scores import confidence, metrics
from taller.training import numerics, prediction

ERRORS = 12  # kept of each model, for the picture


def evaluate(
    network: Network,
    threads: Threads,
    device: Device,
    test: Path = Path("data/processed/test.npz"),
    models: Path = Path("modelos"),
    results: Path = Path("resultados"),
    entries: Sequence[Entry] | None = None,
) -> None:
    data, place = dataset.load(test), numerics.choose_device(device)
    keys = [entry.files for entry in entries or catalogue.compared(network)]
    classifiers = {key: trained(models / f"{key}.pth", test, data) for key in keys}
    right = {}
    for key, classifier in classifiers.items():
        name = classifier.architecture
        with numerics.threads(threads):
            log_probabilities = prediction.log_probabilities(classifier, data, place, name)
        scores = measure(results / key, data, log_probabilities)
        right[key] = log_probabilities.argmax(axis=1) == data.labels
        print(f"{name}: test accuracy {scores['accuracy']:.4f}")
    pairs = [agreement(right, *pair) for pair in combinations(right, 2)]
    files.write_json(results / "test_agreement.json", pairs)


def trained(path: Path, test: Path, data: Dataset) -> Classifier:
    """The model in a file, which must be one of this data set."""
    found = store.load(path, architectures.ALL)
    if found.names != data.names:
        raise Problem(
            f"{path}: expected the classes of {test} ({', '.join(data.names)}), "
            f"found {', '.join(found.names)}"
        )
    if found.shape != data.shape:
        raise Problem(
            f"{path}: expected images of shape {data.shape}, as {test}, found {found.shape}"
        )
    return found


def measure(folder: Path, data: Dataset, log_probabilities: np.ndarray) -> dict[str, float]:
    """Write into `folder` what one model's predictions are worth; its metrics."""
    labels, predicted = data.labels, log_probabilities.argmax(axis=1)
    counts = metrics.confusion(labels, predicted, data.classes)
    classes = pd.DataFrame(metrics.per_class(counts), index=pd.Index(data.names, name="clase"))
    bins = confidence.reliability(log_probabilities, labels)
    errors = confidence.surest_errors(log_probabilities, labels, ERRORS)
    scores = {
        **metrics.scores(counts),
        "log_loss": metrics.log_loss(log_probabilities, labels),
        "ece": confidence.expected_calibration_error(bins),
        "ece_calibrated": confidence.calibrated_ece(log_probabilities),
        "top2": confidence.top_accuracy(log_probabilities, labels, k=2),
    }

    with files.whole(folder / "test_predictions.npz") as file:
        np.savez(file, labels=labels, log_probabilities=log_probabilities)
    with files.whole(folder / "test_errors.npz") as file:
        np.savez(
            file,
            images=data.images[errors],
            labels=labels[errors],
            predicted=predicted[errors],
            confidence=np.exp(log_probabilities[errors].max(axis=1)),
        )
    with files.whole(folder / "test_confusion.csv") as file:
        np.savetxt(file, counts, fmt="%d", delimiter=",")
    with files.whole(folder / "test_per_class.csv") as file:
        classes.to_csv(file, float_format="%.6f")
    with files.whole(folder / "test_calibration.csv") as file:
        bins.to_csv(file, index=False, float_format="%.6f")
    files.write_json(folder / "test_metrics.json", scores)
    return scores


def agreement(right: dict[str, np.ndarray], first: str, second: str) -> dict[str, object]:
    """Count the images by which of two models is right: of each, bools, shape (n,)."""
    one, other = right[first], right[second]
    return {
        "first": first,
        "second": second,
        "both": int((one & other).sum()),
        "only_first": int((one & ~other).sum()),
        "only_second": int((~one & other).sum()),
        "neither": int((~one & ~other).sum()),
    }


if __name__ == "__main__":
    cli.main(evaluate)
