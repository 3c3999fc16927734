"""One contestant's results, read from what the stages before `compare` wrote."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from taller.common import files
from taller.common.params import Contestant
from taller.common.terminal import UserError, printable
from taller.statistics import intervals
from taller.statistics.intervals import Estimate

RESULTS = Path("resultados")
METRICS = ("accuracy", "precision", "recall", "f1", "log_loss")
# What decides, and the same of two that learn nothing from the pixels or nothing new: always
# naming the largest class, and ImageNet's own head, each output of which votes for one class.
Metric = Literal["accuracy", "balanced_accuracy"]
LARGEST_CLASS = {"accuracy": "largest_class", "balanced_accuracy": "largest_class_balanced"}
VOTES = {"accuracy": "imagenet_votes", "balanced_accuracy": "imagenet_votes_balanced"}


@dataclass(frozen=True, eq=False)
class Result:
    """One contestant's results; accuracies and the like are fractions, losses nats.

    `model` is its name in tables and pictures, `short` in running text. `pretraining` is what is
    known of the network that it starts from, where the pipeline made that. From `confusion` on
    (counts, shape (classes, classes), rows are the truth) all is of the test images; `errors` are
    the wrong answers of most confidence, the surest first.
    """

    contestant: Contestant
    name: str
    model: str
    short: str
    fit: dict[str, Any]
    pretraining: dict[str, Any]
    table: pd.DataFrame
    history: pd.DataFrame
    confusion: np.ndarray
    per_class: pd.DataFrame
    calibration: pd.DataFrame
    test: dict[str, Any]
    errors: dict[str, np.ndarray]

    @property
    def source(self) -> str | None:
        """What it starts from: ``letters``, ``imagenet``, ``none`` (random); None from scratch."""
        return self.fit["start"] and self.fit["start"]["source"]

    @property
    def pretrained(self) -> bool:
        return self.source in ("letters", "imagenet")

    @property
    def inference_flops(self) -> int:
        """Floating-point operations for one image."""
        return self.fit["flops"]["inference"]

    @property
    def training_flops(self) -> int:
        """Operations of the fit on all images, and of one pretraining that was done here."""
        return self.fit["flops"]["training"] + self.pretraining.get("flops", 0)

    @cached_property
    def splits(self) -> pd.DataFrame:
        """A row per repeat and fold, ascending; a column per metric."""
        return self.table.pivot(index=["repeat", "fold"], columns="metric", values="value")

    def scores(self, metric: str) -> np.ndarray:
        """A metric on every fold, by repeat, then fold: float64, shape (repeats x K,)."""
        return self.splits[metric].to_numpy(np.float64)

    @property
    def overlap(self) -> float:
        """Images that a fold validates on, on average, as a share of those that it trains on."""
        return overlap_of(self.splits)

    def mean(self, metric: str) -> Estimate:
        """A metric's mean over the folds, and its interval, within what the metric can be."""
        highest = np.inf if metric == "log_loss" else 1.0
        return intervals.corrected_interval(self.scores(metric), self.overlap, 0.0, highest)

    def spread(self, metric: str) -> float | None:
        """Standard deviation of the folds' scores; of a single one there is none."""
        scores = self.scores(metric)
        return float(scores.std(ddof=1)) if len(scores) > 1 else None

    @property
    def test_accuracy(self) -> Estimate:
        return intervals.wilson(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @cached_property
    def last_epoch(self) -> tuple[float, float] | None:
        """By which share validation loss fell in it, and how far accuracy rose; None of one."""
        means = self.history.groupby("epoch")[["val_loss", "val_accuracy"]].mean()  # ascending
        if len(means) == 1:
            return None
        before, last = means["val_loss"].iloc[-2:]
        fall = float((before - last) / before) if before else 0.0
        return fall, float(means["val_accuracy"].diff().iloc[-1])


def overlap_of(splits: pd.DataFrame) -> float:
    """Images that a fold validates on, on average, as a share of those that it trains on."""
    return float(splits["val_images"].mean()) / float(splits["train_images"].mean())


def read_all(contestants: Sequence[Contestant]) -> tuple[Result, ...]:
    """The results of one or more contestants, of different names.

    A `UserError` names a file that cannot be read, or has folds that are none of the model's that
    has most.
    """
    models = _distinguish([_result(contestant) for contestant in contestants])
    sizes = ["train_images", "val_images"]
    complete = max(models, key=lambda one: len(one.splits))
    for result in models:
        expected = complete.splits[sizes].reindex(result.splits.index)
        if not result.splits[sizes].equals(expected):
            path, name = result.contestant.cv / "scores.csv", complete.name
            raise UserError(f"{path}: expected the folds of {name}, found others; run dvc repro")
    return models


def _distinguish(results: Sequence[Result]) -> tuple[Result, ...]:
    """The results, of different names.

    Of several that would be called alike the one whose section is named after its network keeps the
    name, and the others are called after their sections. In running text a fine-tuned one has its
    whole name where the same network takes part from scratch.
    """
    alike, named = Counter(one.model for one in results), []
    for one in results:
        if alike[one.model] > 1 and one.name != one.fit["network"]:
            ending = one.model.removeprefix(one.short)
            one = replace(one, model=one.name + ending, short=one.name)
        named.append(one)
    short = Counter(one.short for one in named)
    return tuple(replace(one, short=one.model) if short[one.short] > 1 else one for one in named)


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV file without missing values; a `UserError` names one that cannot be read."""
    options = {"dtype": {"clase": str}, "keep_default_na": False}
    return _read(path, lambda path: pd.read_csv(path, **options))


def _result(contestant: Contestant) -> Result:
    cv, test = contestant.cv, contestant.test
    fit, facts = files.read_json(cv / "fit.json"), {}
    if fit["start"] and fit["start"]["source"] != "imagenet":
        base = Path(fit["start"]["path"]).name
        facts = files.read_json(RESULTS / "pretrain" / base / "facts.json")
    bins = read_table(test / "calibration.csv")
    counts = zip(bins["hits"].tolist(), bins["images"].tolist(), strict=True)
    columns = ["accuracy", "accuracy_low", "accuracy_high"]
    observed = pd.DataFrame([intervals.wilson(*row) for row in counts], columns=columns)
    return Result(
        contestant,
        contestant.name,
        fit["model"],
        fit["short"],
        fit,
        facts,
        read_table(cv / "scores.csv"),
        read_table(cv / "history.csv"),
        _read(test / "confusion.csv", lambda path: np.loadtxt(path, np.int64, delimiter=",")),
        read_table(test / "per_class.csv"),
        bins.join(observed),
        files.read_json(test / "metrics.json"),
        _read(test / "errors.npz", lambda path: dict(np.load(path))),
    )


def _read(path: Path, load: Callable[[Path], Any]) -> Any:
    try:
        return load(path)
    except (ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"{path}: cannot be read: {printable(str(error))}") from None
