"""A baseline and its challengers: what differs, how surely, and which one wins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from taller.models.catalogue import Entry
from taller.program import files
from taller.program.errors import Problem
from taller.scores import results, statistics
from taller.scores.results import Result
from taller.scores.statistics import SIGNIFICANT, Disagreement, Estimate, PairedDifference


@dataclass(frozen=True)
class Pair:
    """Two models on the same folds and the same test images.

    Attributes
    ----------
    first, second : Result
    difference : PairedDifference
        Validation accuracy, second minus first; its p value knows of this pair only.
    p_value : float
        The same, corrected with Holm's method for all pairs of the comparison.
    disagreement : Disagreement
        Of the test images.
    both, neither : int
        Test images that both models got right, and none.
    """

    first: Result
    second: Result
    difference: PairedDifference
    p_value: float
    disagreement: Disagreement
    both: int
    neither: int

    @property
    def significant(self) -> bool:
        return self.p_value < SIGNIFICANT

    def turned(self) -> "Pair":
        """The same pair, first minus second."""
        return Pair(
            first=self.second,
            second=self.first,
            difference=self.difference.turned(),
            p_value=self.p_value,
            disagreement=self.disagreement.turned(),
            both=self.both,
            neither=self.neither,
        )


@dataclass(frozen=True)
class Comparison:
    """Everything that the tables, the pictures and the report tell.

    Attributes
    ----------
    models : tuple of Result
        Two or more, in the catalogue's order; the first is the baseline.
    data : dict
        What `preprocess` counted, and the data set's name, shape and class names.
    pretraining : dict
        What `pretrain` says of its weights.
    agreement : list of dict
        For each pair of models, ``first``, ``second`` (keys) and the test images that ``both``
        got right, ``only_first``, ``only_second`` and ``neither``.
    """

    models: tuple[Result, ...]
    data: dict
    pretraining: dict
    agreement: list[dict]

    @property
    def baseline(self) -> Result:
        return self.models[0]

    @property
    def challengers(self) -> tuple[Result, ...]:
        return self.models[1:]

    @property
    def names(self) -> list[str]:
        """Of the classes."""
        return self.data["names"]

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every two models, in the catalogue's order, second minus first."""
        couples = list(combinations(self.models, 2))
        differences = [_difference(first, second) for first, second in couples]
        corrected = statistics.holm([difference.p_value for difference in differences])
        found = []
        for (first, second), difference, p_value in zip(
            couples, differences, corrected, strict=True
        ):
            counts = self._counts(first, second)
            found.append(
                Pair(
                    first=first,
                    second=second,
                    difference=difference,
                    p_value=float(p_value),
                    disagreement=statistics.exact_mcnemar(
                        counts["only_first"], counts["only_second"]
                    ),
                    both=counts["both"],
                    neither=counts["neither"],
                )
            )
        return tuple(found)

    @cached_property
    def ranking(self) -> tuple[Result, ...]:
        """By mean accuracy on the folds, be the differences certain or not.

        Equal means are in the catalogue's order; twelve decimals are what sums of the same
        numbers in another order agree to.
        """
        return tuple(
            sorted(self.models, key=lambda result: -round(result.scores("accuracy").mean(), 12))
        )

    @property
    def winner(self) -> Result:
        return self.ranking[0]

    @property
    def runner_up(self) -> Result:
        return self.ranking[1]

    @cached_property
    def decisive(self) -> Pair:
        """The runner-up and the winner: the difference is winner minus runner-up."""
        best = {self.winner, self.runner_up}
        (pair,) = (pair for pair in self.pairs if {pair.first, pair.second} == best)
        return pair if pair.second is self.winner else pair.turned()

    def _counts(self, first: Result, second: Result) -> dict:
        wanted = (first.entry.key, second.entry.key)
        found = [row for row in self.agreement if (row["first"], row["second"]) == wanted]
        if len(found) != 1:
            known = [(row["first"], row["second"]) for row in self.agreement]
            raise Problem(f"test_agreement.json: expected the pair {wanted} once, found {known}")
        return found[0]


def read(folder: Path, entries: Sequence[Entry]) -> Comparison:
    """Read what the stages before `compare` wrote of the models `entries`, two or more.

    Raises
    ------
    Problem
        Where the models were not validated on the same folds.
    """
    data = files.read_json(folder / "datos.json")
    models = tuple(results.read(folder, entry, data["names"]) for entry in entries)
    for result in models[1:]:
        if result.folds != models[0].folds:
            raise Problem(
                f"{folder}: expected {result.entry.key} on the folds of {models[0].entry.key}, "
                f"{models[0].folds}, found {result.folds}"
            )
    return Comparison(
        models=models,
        data=data,
        pretraining=files.read_json(folder / "pretrain.json"),
        agreement=files.read_json(folder / "test_agreement.json"),
    )


def cv_estimate(result: Result, metric: str) -> Estimate:
    """A metric's mean over the folds, with its corrected interval.

    The t distribution knows no bounds; of two or three folds its interval may leave what the
    metric can be (a fraction, or a loss from 0 up), and ends there.
    """
    found = statistics.fold_mean(result.scores(metric), *result.fold_sizes)
    most = np.inf if metric == "log_loss" else 1.0
    return Estimate(found.value, max(found.low, 0.0), min(found.high, most))


def accuracy_on_test(result: Result) -> Estimate:
    """Accuracy on the test images, with Wilson's interval."""
    return statistics.wilson(int(np.trace(result.confusion)), int(result.confusion.sum()))


def calibration(result: Result) -> pd.DataFrame:
    """The bins of confidence, with the ``accuracy`` of each and its Wilson interval."""
    rows = result.calibration
    found = [
        statistics.wilson(hits, images)
        for hits, images in zip(rows["hits"].tolist(), rows["images"].tolist(), strict=True)
    ]
    return rows.assign(
        accuracy=[estimate.value for estimate in found],
        accuracy_low=[estimate.low for estimate in found],
        accuracy_high=[estimate.high for estimate in found],
    )


def _difference(first: Result, second: Result) -> PairedDifference:
    scores = first.scores("accuracy"), second.scores("accuracy")
    return statistics.corrected_paired_t(*scores, *first.fold_sizes)
