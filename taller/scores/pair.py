"""Two models on the same folds and images: how they differ, and what may be said of it."""

from dataclasses import dataclass
from enum import StrEnum

from taller.scores.posterior import DECIDED, Posterior
from taller.scores.proportions import Disagreement
from taller.scores.results import Result
from taller.scores.statistics import SIGNIFICANT, Estimate, PairedDifference


class Verdict(StrEnum):
    """What may be said of the second model of a pair against the first."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"
    UNKNOWN = "unknown"


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
    posterior : Posterior
        Of the validation accuracies: how probable it is that the second model is better or
        worse by more than the rope.
    settled_by : int or None
        How many repeats in all would let the posterior decide: 0 where it does, None where
        `posterior.repeats_to_settle` finds no number worth a thought.
    test_difference : Estimate
        Accuracy on the test images, second minus first.
    """

    first: Result
    second: Result
    difference: PairedDifference
    p_value: float
    disagreement: Disagreement
    both: int
    neither: int
    posterior: Posterior
    settled_by: int | None
    test_difference: Estimate

    @property
    def significant(self) -> bool:
        return self.p_value < SIGNIFICANT

    @property
    def verdict(self) -> Verdict:
        """Of the second model against the first."""
        if self.posterior.better > DECIDED:
            return Verdict.BETTER
        if self.posterior.worse > DECIDED:
            return Verdict.WORSE
        return Verdict.EQUAL if self.posterior.equal > DECIDED else Verdict.UNKNOWN

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
            posterior=self.posterior.turned(),
            settled_by=self.settled_by,
            test_difference=self.test_difference.turned(),
        )
