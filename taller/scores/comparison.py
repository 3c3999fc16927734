"""A baseline and its challengers: what differs, how surely, and which one wins."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from taller.models import catalogue
from taller.models.catalogue import Entry
from taller.program import reading
from taller.program.errors import Problem
from taller.scores import (
    checks,
    posterior,
    premises,
    proportions,
    results,
    schemas,
    statistics,
)
from taller.scores.pair import Pair
from taller.scores.premises import Failure
from taller.scores.results import Result
from taller.scores.statistics import Estimate, PairedDifference


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
        For each pair of models, ``first``, ``second`` (as their files are called) and the test
        images that ``both`` got right, ``only_first``, ``only_second`` and ``neither``.
    rope : float
        Differences of accuracy of at most this, a fraction, are practically none.
    """

    models: tuple[Result, ...]
    data: dict
    pretraining: dict
    agreement: list[dict]
    rope: float

    @property
    def baseline(self) -> Result:
        return self.models[0]

    @property
    def challengers(self) -> tuple[Result, ...]:
        return self.models[1:]

    @property
    def scratch(self) -> tuple[Result, ...]:
        """Those that start from nothing."""
        return tuple(result for result in self.models if not result.entry.pretrained)

    @property
    def pretrained(self) -> tuple[Result, ...]:
        return tuple(result for result in self.models if result.entry.pretrained)

    @property
    def names(self) -> list[str]:
        """Of the classes."""
        return self.data["names"]

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every two models, in the catalogue's order, second minus first."""
        couples = list(combinations(self.models, 2))
        differences = [
            statistics.corrected_paired_t(*_on_folds(*couple), *couple[0].fold_sizes)
            for couple in couples
        ]
        corrected = statistics.holm([difference.p_value for difference in differences])
        return tuple(
            self._pair(*couple, difference, float(p_value))
            for couple, difference, p_value in zip(couples, differences, corrected, strict=True)
        )

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

    @property
    def best_scratch(self) -> Result | None:
        """The first by ranking of those that start from nothing; None where none does."""
        return next((result for result in self.ranking if not result.entry.pretrained), None)

    @cached_property
    def decisive(self) -> Pair:
        """The runner-up and the winner: the difference is winner minus runner-up."""
        return self.pair(self.runner_up.entry.key, self.winner.entry.key)

    @cached_property
    def premises(self) -> tuple[Failure, ...]:
        """What does not hold of what every conclusion takes for granted; best empty."""
        return premises.failures(self.models, self.pretraining, self.rope)

    def pair(self, first_key: str, second_key: str) -> Pair:
        """Two models by their keys, second minus first, turned where `pairs` has it so.

        Raises
        ------
        KeyError
            Where they are not two of the models.
        """
        for pair in self.pairs:
            keys = (pair.first.entry.key, pair.second.entry.key)
            if keys == (first_key, second_key):
                return pair
            if keys == (second_key, first_key):
                return pair.turned()
        raise KeyError((first_key, second_key))

    def training_flops(self, result: Result) -> int:
        """Floating-point operations that made a model: its own fit, and one pretraining.

        Of pretraining what was done here is counted; what others spent on weights that were
        downloaded, nobody tells.
        """
        before = self.pretraining.get("flops", 0) if result.entry.pretrained else 0
        return result.training_flops + before

    def _pair(
        self, first: Result, second: Result, difference: PairedDifference, p_value: float
    ) -> Pair:
        counts = self.counts(first, second)
        both, neither = counts["both"], counts["neither"]
        only = counts["only_first"], counts["only_second"]
        folds = (*_on_folds(first, second), *first.fold_sizes, self.rope)
        return Pair(
            first=first,
            second=second,
            difference=difference,
            p_value=p_value,
            disagreement=proportions.exact_mcnemar(*only),
            both=both,
            neither=neither,
            posterior=posterior.bayesian_correlated_t(*folds),
            settled_by=posterior.repeats_to_settle(*folds, repeats=first.repeats),
            test_difference=proportions.paired_proportions(both, *only, neither),
        )

    def counts(self, first: Result, second: Result) -> dict:
        """The row of `agreement` of two models, which stand in the catalogue's order.

        Raises
        ------
        Problem
            Where there is not exactly one.
        """
        wanted = (first.entry.files, second.entry.files)
        found = [row for row in self.agreement if (row["first"], row["second"]) == wanted]
        if len(found) != 1:
            known = [(row["first"], row["second"]) for row in self.agreement]
            raise Problem(f"test_agreement.json: expected the pair {wanted} once, found {known}")
        return found[0]


def read(folder: Path, entries: Sequence[Entry], rope: float) -> Comparison:
    """Read what the stages before `compare` wrote of the models `entries`, two or more.

    Parameters
    ----------
    rope : float
        Differences of accuracy of at most this, a fraction, are practically none.

    Raises
    ------
    Problem
        Naming the file that is not as the stages write it, or does not agree with the others; among
        them the folds, where the models were not validated on the same ones.
    """
    data = reading.json(folder / "datos.json", schemas.Data)
    checks.data(folder / "datos.json", data)
    pretraining = reading.json(folder / "pretrain.json", schemas.Pretraining)
    checks.pretraining(folder / "pretrain.json", pretraining, data["repeats"])
    network = pretraining["network"]
    used = [catalogue.as_used(entry, network) for entry in entries]
    models = tuple(results.read(folder, entry, data) for entry in used)
    for result in models[1:]:
        for size in results.SIZES:
            if (found := result.scores(size).tolist()) != models[0].scores(size).tolist():
                raise Problem(
                    f"{folder / result.entry.files / 'scores.csv'}: expected {result.entry.key} on "
                    f"the folds of {models[0].entry.key}, found {size} {reading.shown(found)}"
                )
    path = folder / "test_agreement.json"
    found = Comparison(models, data, pretraining, reading.json(path, schemas.Agreement), rope)
    for first, second in combinations(models, 2):
        hits = int(np.trace(first.confusion)), int(np.trace(second.confusion))
        checks.pair(path, found.counts(first, second), hits, data["test_images"])
    return found


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
    return proportions.wilson(int(np.trace(result.confusion)), int(result.confusion.sum()))


def calibration(result: Result) -> pd.DataFrame:
    """The bins of confidence, with the ``accuracy`` of each and its Wilson interval."""
    rows = result.calibration
    found = [
        proportions.wilson(hits, images)
        for hits, images in zip(rows["hits"].tolist(), rows["images"].tolist(), strict=True)
    ]
    return rows.assign(
        accuracy=[estimate.value for estimate in found],
        accuracy_low=[estimate.low for estimate in found],
        accuracy_high=[estimate.high for estimate in found],
    )


def _on_folds(first: Result, second: Result) -> tuple[np.ndarray, np.ndarray]:
    return first.scores("accuracy"), second.scores("accuracy")
