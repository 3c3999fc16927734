"""A small results folder as the stages before `compare` write it, made up, of known truth.

Everything is drawn from one seed. Predictions are made first, and what the files say is computed
from them; tests compute it again from the same predictions, with other libraries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from taller.data import dataset
from taller.data.dataset import Dataset
from taller.models.catalogue import Entry
from taller.program import files
from taller.scores import confidence, metrics
from taller.scores.comparison import Comparison
from taller.scores.results import Result

TRAIN, TEST = 600, 400  # images
EPOCHS = 4
ERRORS = 6  # of each model, in a picture
# Of their own, so that a model more in the catalogue changes nothing here.
TWO = (
    Entry("simple_nn", "SimpleNN", "SimpleNN", "una red pequeña de capas densas", "#0072B2", "o"),
    Entry(
        "resnet18", "ResNet18 (fine-tuning)", "ResNet18", "una red residual", "#D55E00", "s",
        pretrained=True,
    ),
)  # fmt: skip
THREE = (*TWO, Entry("cnn", "CNN", "CNN", "una red convolucional", "#009E73", "D"))
DIGITS = tuple("0123456789")
FRUIT = ("manzana", "pera", "ciruela", "uva", "higo")
MONTHS = (
    "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre",
    "octubre", "noviembre", "diciembre",
)  # fmt: skip
GLYPHS = {
    "requested": "glyphs",
    "source": "glyphs",
    "images": 60_000,
    "glyph_accuracy": 0.7,
    "sha256": "cd" * 32,
}
# Signal over noise of a model's logits: the larger, the more often it is right.
SKILL = {"simple_nn": 2.5, "resnet18": 5.0, "cnn": 4.0}


@dataclass(frozen=True)
class Predictions:
    """One model's answers to known questions: labels, and log probabilities of every class."""

    labels: np.ndarray
    log_probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        return self.log_probabilities.argmax(axis=1)


@dataclass(frozen=True)
class MadeUp:
    """What was written, by the models' keys: predictions of each fold, and of the test images."""

    names: tuple[str, ...]
    folds: dict[str, list[Predictions]]
    test: dict[str, Predictions]


def write(
    folder: Path,
    entries: Sequence[Entry] = TWO,
    names: tuple[str, ...] = FRUIT,
    *,
    folds: int = 4,
    epochs: int = EPOCHS,
    shape: tuple[int, int, int] = (3, 20, 24),
    name: str = "Frutas",
    skill: Mapping[str, float] = SKILL,
    pretraining: Mapping = GLYPHS,
    seed: int = 7,
) -> MadeUp:
    """Write ``resultados`` and ``modelos`` under `folder`, with all that `compare` reads."""
    random = np.random.default_rng(seed)
    place = folder / "resultados"
    train = random.integers(0, len(names), TRAIN)
    test = random.integers(0, len(names), TEST)
    parts = np.array_split(train, folds)
    made = MadeUp(names, folds={}, test={})
    for entry in entries:
        made.folds[entry.key] = [_predict(random, part, names, skill[entry.key]) for part in parts]
        made.test[entry.key] = _predict(random, test, names, skill[entry.key])
        _write_model(place, entry, made, epochs, shape, random)
        (folder / "modelos").mkdir(exist_ok=True)
        (folder / f"modelos/{entry.key}.pth").write_bytes(entry.key.encode())
    _write_data(place, names, name, shape, folds, train, test, random)
    files.write_json(place / "pretrain.json", dict(pretraining))
    files.write_json(place / "test_agreement.json", _agreement(entries, made))
    return made


def with_accuracies(found: Comparison, *accuracies: Sequence[float]) -> Comparison:
    """The same comparison, had the folds had other accuracies, one list per model."""
    models = [
        _with_accuracies(result, values)
        for result, values in zip(found.models, accuracies, strict=True)
    ]
    return replace(found, models=tuple(models))


def _with_accuracies(result: Result, values: Sequence[float]) -> Result:
    records = result.records[result.records["fold"] <= len(values)].copy()
    records.loc[records["metric"] == "accuracy", "value"] = list(values)
    return replace(result, records=records)


def images(random: np.random.Generator, labels: np.ndarray, shape: tuple[int, int, int]):
    """Bright blobs whose place and colour depend on the label."""
    channels, height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    found = random.integers(0, 60, (len(labels), *shape))
    for image, label in zip(found, labels, strict=True):
        blob = np.hypot(y - height / 2, x - width * (label % 5 + 1) / 6) < height / 4
        image[label % channels][blob] = 255
    return found.astype(np.uint8)


def _predict(
    random: np.random.Generator, labels: np.ndarray, names: Sequence[str], skill: float
) -> Predictions:
    logits = random.normal(size=(len(labels), len(names)))
    logits[np.arange(len(labels)), labels] += skill * random.uniform(0.2, 1.5, len(labels))
    logits *= 1.5
    return Predictions(labels, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def _scores(made: Predictions, classes: int) -> dict[str, float]:
    counts = metrics.confusion(made.labels, made.predicted, classes)
    return {
        **metrics.scores(counts),
        "log_loss": metrics.log_loss(made.log_probabilities, made.labels),
    }


def _write_model(
    place: Path,
    entry: Entry,
    made: MadeUp,
    epochs: int,
    shape: tuple[int, int, int],
    random: np.random.Generator,
) -> None:
    own, names, test = place / entry.key, made.names, made.test[entry.key]
    own.mkdir(parents=True, exist_ok=True)
    records, history = [], []
    for fold, part in enumerate(made.folds[entry.key], start=1):
        sizes = {"train_images": TRAIN - len(part.labels), "val_images": len(part.labels)}
        scores = _scores(part, len(names))
        records += [(entry.key, 1, fold, *one) for one in (scores | sizes).items()]
        for epoch in range(1, epochs + 1):
            loss = scores["log_loss"] * (1 + 2 * 0.5**epoch) + random.uniform(0, 0.01)
            history.append((1, fold, epoch, 0.9 * loss, 0.8, loss, scores["accuracy"]))
    columns = ["model", "repeat", "fold", "metric", "value"]
    pd.DataFrame(records, columns=columns).to_csv(own / "scores.csv", index=False)
    columns = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    pd.DataFrame(history, columns=["repeat", "fold", "epoch", *columns]).to_csv(
        own / "history.csv", index=False
    )
    files.write_json(own / "fit.json", {"trained_parameters": 1000 * len(entry.key)})

    counts = metrics.confusion(test.labels, test.predicted, len(names))
    bins = confidence.reliability(test.log_probabilities, test.labels)
    rows = confidence.surest_errors(test.log_probabilities, test.labels, ERRORS)
    np.savetxt(own / "test_confusion.csv", counts, fmt="%d", delimiter=",")
    per_class = pd.DataFrame(metrics.per_class(counts), index=pd.Index(names, name="clase"))
    per_class.to_csv(own / "test_per_class.csv")
    bins.to_csv(own / "test_calibration.csv", index=False)
    scores = _scores(test, len(names)) | {
        "ece": confidence.expected_calibration_error(bins),
        "top2": confidence.top_accuracy(test.log_probabilities, test.labels, 2),
    }
    files.write_json(own / "test_metrics.json", scores)
    np.savez(
        own / "test_errors.npz",
        images=images(random, test.labels[rows], shape),
        labels=test.labels[rows],
        predicted=test.predicted[rows],
        confidence=np.exp(test.log_probabilities[rows].max(axis=1)),
    )


def _write_data(
    place: Path,
    names: tuple[str, ...],
    name: str,
    shape: tuple[int, int, int],
    folds: int,
    train: np.ndarray,
    test: np.ndarray,
    random: np.random.Generator,
) -> None:
    counts = {
        "dataset": name,
        "names": list(names),
        "shape": list(shape),
        "train_images": len(train),
        "test_images": len(test),
        "folds": folds,
        "train_images_per_class": np.bincount(train, minlength=len(names)).tolist(),
        "test_images_per_class": np.bincount(test, minlength=len(names)).tolist(),
    }
    files.write_json(place / "datos.json", counts)
    some = train[:100]
    dataset.save(
        place / "muestra_datos.npz", Dataset(images(random, some, shape), some, names, None)
    )
    letters = np.arange(100) % 3
    drawn = images(random, letters, (1, 28, 28))
    dataset.save(place / "muestra_letras.npz", Dataset(drawn, letters, ("a", "b", "c"), None))


def _agreement(entries: Sequence[Entry], made: MadeUp) -> list[dict]:
    found = []
    for one, other in combinations(entries, 2):
        first, second = (
            made.test[entry.key].predicted == made.test[entry.key].labels for entry in (one, other)
        )
        found.append(
            {
                "first": one.key,
                "second": other.key,
                "both": int((first & second).sum()),
                "only_first": int((first & ~second).sum()),
                "only_second": int((~first & second).sum()),
                "neither": int((~first & ~second).sum()),
            }
        )
    return found
