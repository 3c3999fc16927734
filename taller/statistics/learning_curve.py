"""How right contestants are that learn from fewer images, and how much pretraining gives there."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from taller.statistics import folds
from taller.statistics.comparison import RESULTS, Comparison, Conclusion, Pair, Result, read_table
from taller.statistics.folds import Estimate


@dataclass(frozen=True, eq=False)
class Curve:
    """A contestant's scores of `Comparison.metric`, by images and by fold of the first repeat.

    `scores` has a row for each size, ascending, whose index is the images that it trains on; the
    last one are the images that the folds leave, on average, as cross-validation has measured.
    """

    result: Result
    scores: pd.DataFrame

    @property
    def points(self) -> list[tuple[int, Estimate]]:
        """Images, and the mean of the folds with its interval."""
        return [
            (int(images), folds.corrected_interval(row.to_numpy(), self.overlap(images), 0.0, 1.0))
            for images, row in self.scores.iterrows()
        ]

    def overlap(self, images: int) -> float:
        """What corrects the variance of a mean over folds (`folds`), on draws of so many images.

        Two draws share fewer images than the whole training sets do, in proportion to their size.
        That the correlation of scores shrinks as they do is an assumption of this project.
        """
        return self.result.overlap * images / self.scores.index[-1]


@dataclass(frozen=True, eq=False)
class Gain:
    """A fine-tuned contestant minus one from scratch, at each number of images, ascending.

    A row has the images, the difference with its interval, and the verdict of the first.
    """

    pair: Pair
    rows: list[tuple[int, Estimate, Conclusion]]

    @property
    def enough(self) -> int | None:
        """The images from which on, as far as measured, the two are practically equal."""
        least = None
        for images, _, verdict in reversed(self.rows):
            if verdict != "equal":
                break
            least = images
        return least


def read(comparison: Comparison, sections: Sequence[str]) -> list[Curve]:
    """The curves of the contestants whose sections of params.yaml these are.

    A `UserError` names a file that cannot be read.
    """
    curves = []
    for one in comparison.models:
        if one.contestant.section in sections:
            table = read_table(RESULTS / f"curve/{one.contestant.section}.csv")
            table = table[table["metric"] == comparison.metric]
            scores = table.pivot(index="images", columns="fold", values="value")
            first = one.splits.loc[1]
            scores.loc[round(first["train_images"].mean())] = first[comparison.metric]
            curves.append(Curve(one, scores.dropna(axis="columns").astype("float64")))
    return curves


def gains(comparison: Comparison, curves: Sequence[Curve]) -> list[Gain]:
    """Of every fine-tuned contestant over every one from scratch, on the folds that both have."""
    outcome = []
    for tuned, other in product(curves, curves):
        if tuned.result.source and not other.result.source:
            pair, rows = comparison.pair(tuned.result, other.result), []
            differences = (tuned.scores - other.scores).dropna(axis="columns").dropna()
            for images, row in differences.iloc[:-1].iterrows():
                values, overlap = row.to_numpy(), tuned.overlap(images)
                posterior = folds.bayesian_correlated_t(values, overlap, comparison.rope)
                interval = folds.corrected_interval(values, overlap, -1.0, 1.0)
                rows.append((int(images), interval, posterior.verdict))
            rows.append((int(differences.index[-1]), pair.difference, pair.verdict))
            outcome.append(Gain(pair, rows))
    return outcome
