"""A small folder of results as the stages before `compare` write it, drawn from one seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import yaml

from stages import evaluate
from taller.common import files
from taller.common.params import Contestant
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.evaluation import metrics
from taller.networks import simple_nn
from taller.training import store
from taller.training.batches import Scaling

DIGITS, FRUIT = tuple("0123456789"), ("manzana", "pera", "ciruela", "uva", "higo")
WRITERS = {"grouped": True, "train": 539, "test": 297, "shared": 0, "largest": 152}
TRAIN, TEST = 600, 200  # images
SHORT = {"simple_nn": "SimpleNN", "cnn": "CNN", "resnet18": "ResNet18"}
MODEL_PARAMS = {
    "simple_nn": {"hidden": [128, 64], "dropout": 0.2, "image_size": 28},
    "cnn": {"units": 64, "image_size": 28},
}
LETTERS = {
    "source": "letters", "network": "resnet18", "networks": 1, "sha256": "cd" * 32,
    "images": 60_000, "letters": 426, "shapes": 372, "alike": 0.94, "accuracy": [0.7],
    "alphabets": ["Latin", "Greek", "N'Ko"], "flops": 19 * 10**12,
    "look_alikes": [
        {"digit": "0", "letters": "οOо", "correlation": 0.988},
        {"digit": "2", "letters": "ⵒƻ", "correlation": 0.951},
        {"digit": "3", "letters": "ЗзƷ", "correlation": 0.972},
        {"digit": "4", "letters": "Ч", "correlation": 0.901},
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A contestant; `scores` are its accuracies fold by fold, `skill` is that on the test images.

    `source` is where it starts from, if fine-tuned, and `letters` its ``facts.json``. `folds`: it
    has the first of each repeat alone, `scores` of these. `balanced` are its balanced accuracies,
    where they are others; `metrics` further ones of scores.csv, each the same on all folds;
    `training` and `fit` go into fit.json.
    """

    name: str
    network: str
    source: str | None = None
    scores: Sequence[float] = (0.95, 0.951, 0.952)
    skill: float = 4.0
    letters: dict | None = None
    folds: int | None = None
    balanced: Sequence[float] | None = None
    metrics: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    fit: dict = field(default_factory=dict)

    @property
    def contestant(self) -> Contestant:
        return Contestant("finetuned" if self.source else "scratch", self.name)

    def but(self, **changes) -> "Made":
        return replace(self, **changes)


SIMPLE, CNN = Made("simple_nn", "simple_nn", skill=3), Made("cnn", "cnn")
TUNED = Made("resnet18", "resnet18", "letters", skill=5)


def write(
    *made: Made,
    names: Sequence[str] = DIGITS,
    shape: tuple[int, int, int] = (1, 28, 28),
    repeats: int = 1,
    epochs: int = 4,
    pairs: Sequence[str] = (),
    metric: str = "accuracy",
    language: str = "es",
    curves: Mapping[str, Mapping[int, Sequence[float]]] = MappingProxyType({}),
    **data: object,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write ``params.yaml``, ``resultados`` and ``modelos`` into the current folder.

    `curves` are accuracies on the folds by contestant and images. `data` goes into ``datos.json``.
    Returns by contestant the test images' labels, and the log
    probabilities of every class.
    """
    random, answers, place = np.random.default_rng(7), {}, Path("resultados")
    labels, folds = random.integers(0, len(names), TEST), len(made[0].scores) // repeats
    images = random.integers(0, 256, (TEST, *shape)).astype(np.uint8)
    test = Dataset(images, labels, tuple(names))
    for one in made:
        logits = random.normal(size=(TEST, len(names)))
        logits[range(TEST), labels] += one.skill * random.uniform(0.2, 1.5, TEST)
        answers[one.name] = labels, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        evaluate.measure(one.contestant.test, test, answers[one.name][1])
        _write_cv(one, folds, epochs)
        write_model(one.contestant.model, names, shape)
    right = {name: log.argmax(axis=1) == labels for name, (_, log) in answers.items()}
    agreement = [
        {"first": one, "second": other, **metrics.agreement(right[one], right[other])}
        for one, other in combinations(right, 2)
    ]
    files.write_json(place / "test/agreement.json", agreement)
    share = max(made[0].metrics.get("largest_class", 0.12), 1 / len(names))
    rest = [round(9000 * (1 - share) / (len(names) - 1))] * (len(names) - 1)
    facts = {
        "train_images_per_class": [9000 - sum(rest), *rest],
        "dataset": "MNIST", "names": names, "shape": shape, "groups": WRITERS, "pictures": None,
        "train_images": TRAIN, "test_images": TEST, "folds": folds, "repeats": repeats,
    }  # fmt: skip
    files.write_json(place / "datos.json", facts | data)
    dataset.save(place / "muestra", test.take(slice(0, 30)))
    files.write_text(place / "ajuste.csv", "modelo\n")
    files.write_text(place / "estudio/mapa.csv", "gana\n")
    compare = {"pairs": list(pairs), "rope": 0.005, "metric": metric, "language": language}
    sections = {"compare": compare}
    sections["curve"] = {"sections": [one.contestant.section for one in made if one.name in curves]}
    for one in made:
        if one.name in curves:
            rows = [
                {"images": images, "repeat": 1, "fold": fold, "metric": key, "value": value}
                for images, values in curves[one.name].items()
                for fold, accuracy in enumerate(values, 1)
                for key, value in ((metric, accuracy), ("largest_class", 0.12))
            ]
            (place / "curve").mkdir(exist_ok=True)
            columns = ["images", "repeat", "fold", "metric", "value"]
            pd.DataFrame(rows, columns=columns).to_csv(
                place / f"curve/{one.contestant.section}.csv", index=False
            )
    sections["kfold_train"] = {one.name: {} for one in made if not one.source}
    sections["finetune"] = sections["pretrain"] = {one.name: {} for one in made if one.source}
    Path("params.yaml").write_text(yaml.safe_dump(sections, sort_keys=False), encoding="utf-8")
    return answers


def write_model(path: Path, names: Sequence[str], shape: tuple[int, int, int]) -> None:
    """A network of two hidden units, whichever it is said to be, with weights of its own."""
    arguments = {"classes": len(names), "shape": shape, "hidden": [2]}
    state = simple_nn.build(**arguments).state_dict()
    store.save(path, "simple_nn", arguments, Scaling((0.5,), (0.5,), shape[1:]), names, state)


def _write_cv(one: Made, folds: int, epochs: int) -> None:
    cv, size = one.contestant.cv, TRAIN // max(folds, 2)
    scores, history = [], []
    for place, accuracy in enumerate(one.scores):
        repeat, number = divmod(place, one.folds or folds)
        fold = {"repeat": repeat + 1, "fold": number + 1}
        values = dict.fromkeys(("accuracy", "precision", "recall", "f1"), accuracy)
        values |= {"balanced_accuracy": (one.balanced or one.scores)[place]}
        values |= {"largest_class": 0.12, "largest_class_balanced": 0.1, **one.metrics}
        values |= {"log_loss": 1 - accuracy, "train_images": TRAIN - size, "val_images": size}
        scores += [fold | {"metric": key, "value": value} for key, value in values.items()]
        for epoch in range(1, epochs + 1):
            loss = (1 - accuracy) * (1 + 2 * 0.3**epoch)  # after four epochs it hardly falls
            row = {"train_loss": 0.9 * loss, "val_loss": loss, "val_accuracy": accuracy}
            history.append(fold | {"epoch": epoch, **row})
    cv.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(scores).to_csv(cv / "scores.csv", index=False)
    pd.DataFrame(history).to_csv(cv / "history.csv", index=False)
    trained, total = (5000, 1_000_000) if one.source else (10_000, 10_000)
    layers = (["fc"], ["conv1", "layer1"]) if one.source else ([], [])
    training = {
        "optimizer": "Adam", "learning_rate": 0.001, "weight_decay": 0.0, "schedule": "one_cycle",
        "batch_size": 64, "epochs": epochs, "trained": layers[0], "frozen": layers[1],
        "augment": "none", "label_smoothing": 0.0, "class_weights": "none",
        "model_params": MODEL_PARAMS.get(one.network, {"stem": "sum_rgb", "image_size": 28}),
    } | one.training  # fmt: skip
    start = {"path": f"modelos/base/{one.name}", "source": one.source}
    start |= {key: (one.letters or LETTERS)[key] for key in ("networks", "sha256")}
    short = SHORT[one.network] if one.name.split("_letters")[0] == one.network else one.name
    fit = {
        "network": one.network, "short": short, "trained_parameters": trained, "parameters": total,
        "model": short + " (fine-tuning)" * bool(one.source), "training": training,
        "flops": {"inference": 2 * total, "training": 10**12},
        "start": start if one.source else None,
    } | one.fit  # fmt: skip
    files.write_json(cv / "fit.json", fit)
    base, letters = Path("resultados/pretrain", one.name), one.letters or LETTERS
    if one.source in ("letters", "none"):
        files.write_json(base / "facts.json", letters if one.source == "letters" else {})
    if one.source == "letters":
        signs = tuple(alike["letters"][0] for alike in letters["look_alikes"])
        images = np.zeros((100, 1, 28, 28), np.uint8)
        dataset.save(base / "letters", Dataset(images, np.arange(100) % len(signs), signs))
