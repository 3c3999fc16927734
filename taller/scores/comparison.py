"""The two models side by side: what differs, how surely, and which one wins."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from taller.program import files
from taller.scores import results, statistics
from taller.scores.results import Result
from taller.scores.statistics import Disagreement, Estimate, PairedDifference


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables, the pictures and the report tell.

    Attributes
    ----------
    simple, tuned : Result
        SimpleNN, and the fine-tuned ResNet-18.
    data : dict
        What `preprocess` counted.
    pretraining : dict
        What `pretrain` says of its weights.
    agreement : dict of int
        Test images that ``both`` models got right, ``neither``, ``only_simple_nn`` and
        ``only_resnet18``.
    """

    simple: Result
    tuned: Result
    data: dict
    pretraining: dict
    agreement: dict[str, int]

    @property
    def both(self) -> tuple[Result, Result]:
        return self.simple, self.tuned

    @cached_property
    def difference(self) -> PairedDifference:
        """Accuracy of the fine-tuned model minus that of SimpleNN, over the folds."""
        first, second = (result.scores["accuracy"].to_numpy() for result in self.both)
        return statistics.corrected_paired_t(first, second, *fold_sizes(self.simple))

    @cached_property
    def disagreement(self) -> Disagreement:
        """The test images that only one of the models got right; SimpleNN is the first."""
        return statistics.exact_mcnemar(
            self.agreement["only_simple_nn"], self.agreement["only_resnet18"]
        )

    @property
    def winner(self) -> Result:
        """The better one by cross-validation, be the difference certain or not."""
        return self.tuned if self.difference.mean > 0 else self.simple


def read(folder: Path) -> Comparison:
    """Read what the stages before `compare` wrote; all of it lives in Git."""
    simple, tuned = (results.read(folder, key) for key in results.NAMES)
    return Comparison(
        simple=simple,
        tuned=tuned,
        data=files.read_json(folder / "datos.json"),
        pretraining=files.read_json(folder / "pretrain.json"),
        agreement=files.read_json(folder / "test_agreement.json"),
    )


def fold_sizes(result: Result) -> tuple[float, float]:
    """How many images a fold trains and validates on, on average."""
    return result.scores["train_images"].mean(), result.scores["val_images"].mean()


def cv_estimate(result: Result, metric: str) -> Estimate:
    """A metric's mean over the folds, with its corrected interval.

    The t distribution knows no bounds; of two or three folds its interval may leave what the
    metric can be (a fraction, or a loss from 0 up), and ends there.
    """
    found = statistics.fold_mean(result.scores[metric].to_numpy(), *fold_sizes(result))
    most = np.inf if metric == "log_loss" else 1.0
    return Estimate(found.value, max(found.low, 0.0), min(found.high, most))


def accuracy_on_test(result: Result) -> Estimate:
    """Accuracy on the test images, with Wilson's interval."""
    return statistics.wilson(int(np.trace(result.confusion)), int(result.confusion.sum()))


def calibration(result: Result) -> pd.DataFrame:
    """The bins of confidence, with the ``accuracy`` of each and its Wilson interval."""
    rows = result.calibration
    found = statistics.wilson(rows["hits"].to_numpy(), rows["images"].to_numpy())
    return rows.assign(accuracy=found.value, accuracy_low=found.low, accuracy_high=found.high)
