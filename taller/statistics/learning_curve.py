"""How right contestants are that learn from fewer images, and how much fine-tuning gives there."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from taller.statistics import intervals
from taller.statistics.comparison import Comparison, Conclusion, Pair
from taller.statistics.intervals import Estimate
from taller.statistics.results import LARGEST_CLASS, RESULTS, Result, read_table


@dataclass(frozen=True, eq=False)
class Curve:
    """A contestant's scores with fewer images, and with all that the folds leave.

    `scores` and `largest` (always naming the largest class) have a row for each number of images,
    ascending, and a column for each of the first folds, of `Comparison.metric`. `end` is what
    cross-validation measures, on `most` images.
    """

    result: Result
    scores: pd.DataFrame
    largest: pd.DataFrame
    most: int
    end: Estimate

    @property
    def points(self) -> list[tuple[int, Estimate]]:
        """Images, and the mean of the folds with its interval."""
        points = []
        for images, row in self.scores.iterrows():
            values, overlap = row.to_numpy(), self.overlap(images)
            points.append((int(images), intervals.corrected_interval(values, overlap, 0.0, 1.0)))
        return [*points, (self.most, self.end)]

    def overlap(self, images: int) -> float:
        """What corrects the variance of a mean over folds (`folds`), on draws of so many images.

        Two draws share fewer images than the whole training sets do, in proportion to their size.
        That the correlation of scores shrinks as they do is an assumption of this project.
        """
        return self.result.overlap * images / self.most


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

    @property
    def undecided(self) -> list[int]:
        """The images with which it cannot be told."""
        return [images for images, _, verdict in self.rows if verdict in ("unknown", "no_skill")]


def read(comparison: Comparison, sections: Sequence[str]) -> list[Curve]:
    """The curves of the contestants whose sections of params.yaml these are.

    A `UserError` names a file that cannot be read.
    """
    curves, metric = [], comparison.metric
    for one in comparison.models:
        if one.contestant.section in sections:
            table = read_table(RESULTS / f"curve/{one.contestant.section}.csv")
            scores, largest = (
                table[table["metric"] == name]
                .pivot(index="images", columns="fold", values="value")
                .astype(np.float64)
                for name in (metric, LARGEST_CLASS[metric])
            )
            most = round(one.splits.loc[1, "train_images"].mean())
            largest = largest.clip(lower=comparison.largest_class)
            curves.append(Curve(one, scores, largest, most, one.mean(metric)))
    return curves


def gains(comparison: Comparison, curves: Sequence[Curve]) -> list[Gain]:
    """What every fine-tuned contestant gains over every one from scratch, with fewer images."""
    outcome = []
    for tuned, other in product(curves, curves):
        if not tuned.result.source or other.result.source:
            continue
        pair, rows = comparison.pair(tuned.result, other.result), []
        differences = (tuned.scores - other.scores).dropna()
        for images, row in differences.iterrows():
            values, overlap = row.to_numpy(), tuned.overlap(images)
            interval = intervals.corrected_interval(values, overlap, -1.0, 1.0)
            verdict: Conclusion = intervals.bayesian_correlated_t(
                values, overlap, comparison.rope
            ).verdict
            best = {"better": tuned, "worse": other}.get(verdict)
            if best and not _has_skill(best, images, comparison.rope):
                verdict = "no_skill"
            rows.append((int(images), interval, verdict))
        if rows:
            outcome.append(Gain(pair, [*rows, (tuned.most, pair.difference, pair.verdict)]))
    return outcome


def _has_skill(curve: Curve, images: int, rope: float) -> bool:
    """Whether it beats always naming the largest class, as who is called better has to."""
    over = (curve.scores - curve.largest).loc[images].to_numpy()
    return intervals.bayesian_correlated_t(over, curve.overlap(images), rope).verdict == "better"
