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
# The letters most like each digit, and how much alike; 4 and 7 have no twin.
NEAREST = {
    "0": ("OοО", 0.9882), "1": ("lוߊ", 0.9931), "2": ("ⵒƻ", 0.9514), "3": ("ЗзƷ", 0.9723),
    "4": ("Ч", 0.9012), "5": ("S", 0.9498), "6": ("б", 0.9567), "7": ("ד", 0.9301),
    "8": ("ⵓ", 0.9633), "9": ("գ", 0.9452),
}  # fmt: skip
GLYPH_ACCURACIES = [0.7, 0.69, 0.71, 0.68, 0.72]  # of the networks of five repeats
GLYPHS = {
    "requested": "glyphs",
    "source": "glyphs",
    "network": "resnet18",
    "networks": 1,
    "images": 60_000,
    "glyph_accuracy": [0.7],
    "shapes": 372,
    "letters": 426,
    "alphabets": [
        "Latin", "Phonetic", "Greek", "Cyrillic", "Armenian", "Hebrew", "Georgian", "N'Ko",
        "Tifinagh",
    ],
    "alike": 0.94,
    "twins": [
        {"digit": digit, "letters": letters, "correlation": correlation}
        for digit, (letters, correlation) in NEAREST.items()
    ],
    "flops": 19_000_000_000_000,
    "sha256": "cd" * 32,
}  # fmt: skip
KNOBS = {
    "simple_nn": {"hidden": [128, 64], "dropout": 0.2},
    "resnet18": {"stem": "sum_rgb", "image_size": 28, "body_lr_factor": 0.1},
    "cnn": {"channels": [16, 32], "hidden": 64},
}
BODY = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]  # of a ResNet
# Signal over noise of a model's logits: the larger, the more often it is right.
SKILL = {"simple_nn": 2.5, "resnet18": 5.0, "cnn": 4.0}
# What `download` tells where nobody asked for ImageNet's weights.
NO_IMAGENET = {
    "imagenet": {
        "requested": False, "available": False, "network": None, "file": None, "sha256": None,
        "origin": None,
    }
}  # fmt: skip


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
    """What was written, by the models' keys: predictions of each fold, and of the test images.

    Folds are by repeat, then fold.
    """

    names: tuple[str, ...]
    folds: dict[str, list[Predictions]]
    test: dict[str, Predictions]


def write(
    folder: Path,
    entries: Sequence[Entry] = TWO,
    names: tuple[str, ...] = FRUIT,
    *,
    folds: int = 4,
    repeats: int = 1,
    epochs: int = EPOCHS,
    shape: tuple[int, int, int] = (3, 20, 24),
    name: str = "Frutas",
    skill: Mapping[str, float] = SKILL,
    pretraining: Mapping | None = None,
    groups: Mapping | None = None,
    seed: int = 7,
) -> MadeUp:
    """Write ``resultados`` and ``modelos`` under `folder`, with all that `compare` reads.

    By default letters were drawn, for a network per repeat, and nobody knows the images' origin.
    """
    random = np.random.default_rng(seed)
    place = folder / "resultados"
    train = random.integers(0, len(names), TRAIN)
    test = random.integers(0, len(names), TEST)
    parts = np.array_split(train, folds)
    for _ in range(1, repeats):
        parts += np.array_split(random.permutation(train), folds)
    made = MadeUp(names, folds={}, test={})
    for entry in entries:
        made.folds[entry.key] = [_predict(random, part, names, skill[entry.key]) for part in parts]
        made.test[entry.key] = _predict(random, test, names, skill[entry.key])
        _write_folds(place / entry.key, made, folds, epochs, random)
        _write_fit(place / entry.key, entry, epochs)
        _write_test(place / entry.key, made, shape, random)
        (folder / "modelos").mkdir(exist_ok=True)
        (folder / f"modelos/{entry.key}.pth").write_bytes(entry.key.encode())
    facts = {
        "dataset": name, "folds": folds, "repeats": repeats,
        "groups": None if groups is None else dict(groups),
        "pictures": None,
    }  # fmt: skip
    _write_data(place, names, facts, shape, train, test, random)
    if pretraining is None:
        pretraining = GLYPHS | {"networks": repeats, "glyph_accuracy": GLYPH_ACCURACIES[:repeats]}
    files.write_json(place / "pretrain.json", dict(pretraining))
    files.write_json(place / "test_agreement.json", _agreement(entries, made))
    return made


def with_accuracies(found: Comparison, *accuracies: Sequence[float]) -> Comparison:
    """The same comparison, had the folds had other accuracies: of each model, fold by fold.

    They may be fewer than there are: the last folds of each repeat then go.
    """
    models = [
        _with_accuracies(result, values)
        for result, values in zip(found.models, accuracies, strict=True)
    ]
    return replace(found, models=tuple(models))


def _with_accuracies(result: Result, values: Sequence[float]) -> Result:
    records = result.records[result.records["fold"] <= len(values) // result.repeats].copy()
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


def _write_folds(
    own: Path, made: MadeUp, folds: int, epochs: int, random: np.random.Generator
) -> None:
    own.mkdir(parents=True, exist_ok=True)
    records, history = [], []
    for place, part in enumerate(made.folds[own.name]):
        which = (place // folds + 1, place % folds + 1)  # repeat and fold
        sizes = {"train_images": TRAIN - len(part.labels), "val_images": len(part.labels)}
        scores = _scores(part, len(made.names))
        records += [(own.name, *which, *one) for one in (scores | sizes).items()]
        for epoch in range(1, epochs + 1):
            # After four epochs it hardly falls any more.
            loss = scores["log_loss"] * (1 + 2 * 0.3**epoch) + random.uniform(0, 0.01)
            history.append((*which, epoch, 0.9 * loss, 0.8, loss, scores["accuracy"]))
    columns = ["model", "repeat", "fold", "metric", "value"]
    pd.DataFrame(records, columns=columns).to_csv(own / "scores.csv", index=False)
    columns = ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    pd.DataFrame(history, columns=["repeat", "fold", "epoch", *columns]).to_csv(
        own / "history.csv", index=False
    )


def _write_fit(own: Path, entry: Entry, epochs: int) -> None:
    """As of a network that trains as a whole, or of a ResNet's last layer."""
    trained = 1000 * len(entry.key)
    parameters = 40 * trained if entry.pretrained else trained
    training = {
        "optimizer": "Adam",
        "learning_rate": 0.01 if entry.pretrained else 0.001,
        "weight_decay": 0.0,
        "schedule": "one_cycle",
        "batch_size": 64,
        "epochs": epochs,
        "trained": ["fc"] if entry.pretrained else [],
        "frozen": BODY if entry.pretrained else [],
        "knobs": KNOBS[entry.key],
    }
    # A multiplication and an addition per parameter; three times that to train it.
    flops = {"answer": 2 * parameters, "training": 6 * trained * TRAIN * epochs}
    files.write_json(
        own / "fit.json",
        {
            "trained_parameters": trained, "parameters": parameters, "flops": flops,
            "training": training,
        },
    )  # fmt: skip


def _write_test(
    own: Path, made: MadeUp, shape: tuple[int, int, int], random: np.random.Generator
) -> None:
    names, test = made.names, made.test[own.name]
    counts = metrics.confusion(test.labels, test.predicted, len(names))
    bins = confidence.reliability(test.log_probabilities, test.labels)
    rows = confidence.surest_errors(test.log_probabilities, test.labels, ERRORS)
    np.savetxt(own / "test_confusion.csv", counts, fmt="%d", delimiter=",")
    per_class = pd.DataFrame(metrics.per_class(counts), index=pd.Index(names, name="clase"))
    per_class.to_csv(own / "test_per_class.csv")
    bins.to_csv(own / "test_calibration.csv", index=False)
    scores = _scores(test, len(names)) | {
        "ece": confidence.expected_calibration_error(bins),
        "ece_calibrated": confidence.calibrated_ece(test.log_probabilities),
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
    facts: Mapping,
    shape: tuple[int, int, int],
    train: np.ndarray,
    test: np.ndarray,
    random: np.random.Generator,
) -> None:
    counts = {
        **facts,
        "names": list(names),
        "shape": list(shape),
        "train_images": len(train),
        "test_images": len(test),
        "train_images_per_class": np.bincount(train, minlength=len(names)).tolist(),
        "test_images_per_class": np.bincount(test, minlength=len(names)).tolist(),
    }
    files.write_json(place / "datos.json", counts)
    some = train[:100]
    dataset.save(
        place / "muestra_datos.npz", Dataset(images(random, some, shape), some, names, None)
    )
    # First the letters nearest to the digits, from 0 to 9.
    nearest = tuple(letters[0] for letters, _ in NEAREST.values())
    letters = np.arange(100) % len(nearest)
    drawn = images(random, letters, (1, 28, 28))
    dataset.save(place / "muestra_letras.npz", Dataset(drawn, letters, nearest, None))


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
