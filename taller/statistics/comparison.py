"""Every two of the contestants against each other, and what may be concluded."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from taller.common import files
from taller.common.params import Contestant
from taller.statistics import intervals
from taller.statistics.intervals import Estimate, Posterior, Verdict
from taller.statistics.results import (
    LARGEST_CLASS,
    RESULTS,
    VOTES,
    Metric,
    Result,
    overlap_of,
    read_all,
)

# Two models may be told apart, and the better one be no better than naming the largest class.
Conclusion = Literal[Verdict, "no_skill"]
# A network that knows fewer letters than ten times what a guess would has learnt none to speak of.
TIMES_CHANCE = 10
# A validation loss that falls by more than this in the last epoch has not come to rest; where
# accuracy rose with it by more than half the rope, models that are stopped a little earlier or
# later could change places by all of it.
STILL_FALLING = 0.10


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models on the folds that both have, and the same test images: the first minus the second.

    `folds` is on how many. `holm` is the p value corrected for all pairs. `verdict` is of the first
    against the second: who does not beat the largest class is called better than nobody. `both`
    and the other counts are of test images that are right, `mcnemar` is their p value.
    """

    first: Result
    second: Result
    folds: int
    difference: Estimate
    p_value: float
    holm: float
    posterior: Posterior
    verdict: Conclusion
    required_repeats: int | None
    both: int
    only_first: int
    only_second: int
    neither: int
    mcnemar: float
    test_difference: Estimate

    @property
    def changes(self) -> list[str]:
        """In what they differ: ``network``, ``pixels``, ``pretraining``, ``layers`` that train."""
        both = self.first, self.second
        networks = [one.fit["network"] for one in both]
        frozen = [one.fit["training"]["frozen"] for one in both]
        if networks[0] != networks[1]:
            # No layer is in both; but of two that are fine-tuned, one may be so throughout.
            frozen = [all(one.source for one in both) and bool(layers) for layers in frozen]
        parts = {
            "network": networks,
            "pixels": [one.fit["training"]["model_params"]["image_size"] for one in both],
            "pretraining": [one.pretrained and one.source for one in both],
            "layers": frozen,
        }
        return [name for name, (first, second) in parts.items() if first != second]

    @property
    def differing(self) -> list[str]:
        """The settings of training in which they differ, as far as both have them.

        Of one that is fine-tuned, also those that treat its layers unlike those of a fresh network.
        """
        one, other = (
            result.fit["training"] | result.fit["training"]["model_params"]
            for result in (self.first, self.second)
        )
        # Weight decay decides the optimizer, and the layers are compared as such.
        ignored = {"trained", "frozen", "model_params", "optimizer"}
        common = [key for key in one if key in {*other} - ignored and one[key] != other[key]]
        usual = {"stem": "sum_rgb", "body_lr_factor": 1.0}
        alone = [key for key in usual if (key in one) != (key in other)]
        return common + [key for key in alone if (one | other)[key] != usual[key]]

    @property
    def isolates(self) -> bool:
        """Whether the difference is what pretraining gives: a network with it, and without."""
        return self.changes == ["pretraining"] and self.first.pretrained != self.second.pretrained


class Failure(NamedTuple):
    """An assumption that does not hold: nothing can be concluded.

    The kind is ``pretraining`` (`value` is the share of letters that the weakest network knows,
    `limit` the least), ``falling`` (by which share the loss fell in the last epoch, None if it was
    the only one, and the most) or ``folds`` (one score has no spread: of all models).
    """

    kind: str
    result: Result | None = None
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """One or more results, in the order of params.yaml: those from scratch first.

    `data` is ``datos.json``, `agreement` ``agreement.json``. `metric` decides; a difference of it
    of at most `rope`, a fraction, is practically none.
    """

    models: tuple[Result, ...]
    data: dict[str, Any]
    agreement: list[dict[str, Any]]
    rope: float
    metric: Metric

    @property
    def scratch(self) -> list[Result]:
        return [result for result in self.models if result.source is None]

    @property
    def finetuned(self) -> list[Result]:
        return [result for result in self.models if result.source is not None]

    @cached_property
    def folds(self) -> int:
        """On how many folds the models are measured that are measured on most, of all repeats."""
        return max(len(one.splits) for one in self.models)

    @cached_property
    def ranking(self) -> list[Result]:
        """By the mean of `metric` on the folds, be the differences certain or not.

        A model that is measured on fewer folds is a control, and has no place: it would win by
        luck. Equal means stay in order; sums of the same numbers in another order agree to 12
        decimals.
        """
        complete = [one for one in self.models if len(one.splits) == self.folds]
        return sorted(complete, key=lambda one: -round(one.scores(self.metric).mean(), 12))

    @cached_property
    def largest_class(self) -> float:
        """`metric` of always naming the largest class of all training images."""
        return self.share if self.metric == "accuracy" else 1 / len(self.data["names"])

    @property
    def share(self) -> float:
        """How many of all training images are of the largest class."""
        counts = self.data["train_images_per_class"]
        return max(counts) / sum(counts)

    @cached_property
    def over_largest_class(self) -> dict[Result, Posterior]:
        """Each model minus always naming the largest class."""
        return {one: self._over_largest(one.scores(self.metric), one) for one in self.models}

    @cached_property
    def skilled(self) -> list[Result]:
        """The models that beat always naming the largest class; the others are never better."""
        return [one for one, over in self.over_largest_class.items() if over.verdict == "better"]

    @cached_property
    def imagenet_head(self) -> Result | None:
        """The best model with ImageNet's own head, if this beats naming the largest class."""
        votes = VOTES[self.metric]
        best = next((one for one in self.ranking if votes in one.splits), None)
        if best and self._over_largest(best.scores(votes), best).verdict == "better":
            return best
        return None

    def over_votes(self, result: Result) -> Posterior:
        """A model of the `ranking` minus ImageNet's own head, which `imagenet_head` has."""
        votes = self.imagenet_head.scores(VOTES[self.metric])
        return self._over(result.scores(self.metric) - votes, self.imagenet_head)

    @cached_property
    def largest_class_in_folds(self) -> float:
        """The mean over the folds of what each model has to beat."""
        return float(self._largest(self.ranking[0]).mean())

    def _largest(self, of: Result) -> np.ndarray:
        """`metric` on each fold of always naming the class that is the largest where it trains.

        Where folds by group differ much, that one is rare in the validation part: it counts as
        right for no fewer than the largest of all.
        """
        return np.maximum(of.scores(LARGEST_CLASS[self.metric]), self.largest_class)

    def _over_largest(self, scores: np.ndarray, of: Result) -> Posterior:
        return self._over(scores - self._largest(of), of)

    def _over(self, differences: np.ndarray, of: Result) -> Posterior:
        return intervals.bayesian_correlated_t(differences, of.overlap, self.rope)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every two models: the later minus the earlier."""
        return [self.pair(later, earlier) for earlier, later in combinations(self.models, 2)]

    @cached_property
    def isolating(self) -> list[Pair]:
        """The pairs whose difference is what pretraining gives, the pretrained one first."""
        pairs = [pair for pair in self.pairs if pair.isolates]
        return [
            pair if pair.first.pretrained else self.pair(pair.second, pair.first) for pair in pairs
        ]

    def pair(self, first: Result, second: Result) -> Pair:
        """Two different models, the first minus the second."""
        differences, overlap = self._differences(first, second)
        repeats = self.data["repeats"]
        counts = self._counts(first, second)
        only = counts["only_first"], counts["only_second"]
        posterior = intervals.bayesian_correlated_t(differences, overlap, self.rope)
        best = {"better": first, "worse": second}.get(posterior.verdict)
        return Pair(
            first,
            second,
            len(differences),
            intervals.corrected_interval(differences, overlap, -1.0, 1.0),
            intervals.corrected_t_test(differences, overlap),
            self._holm[frozenset((first, second))],
            posterior,
            "no_skill" if best and best not in self.skilled else posterior.verdict,
            intervals.required_repeats(differences, overlap, self.rope, repeats),
            **counts,
            mcnemar=intervals.exact_mcnemar(*only),
            test_difference=intervals.paired_proportions(*only, sum(counts.values())),
        )

    @cached_property
    def _holm(self) -> dict[frozenset[Result], float]:
        couples = list(combinations(self.models, 2))
        p_values = [intervals.corrected_t_test(*self._differences(*two)) for two in couples]
        return dict(zip(map(frozenset, couples), intervals.holm(p_values), strict=True))

    def _differences(self, first: Result, second: Result) -> tuple[np.ndarray, float]:
        """On the folds that both have, float64, shape (folds,), and how these overlap."""
        differences = (first.splits[self.metric] - second.splits[self.metric]).dropna()
        shared = first.splits.loc[differences.index]
        return differences.to_numpy(np.float64), overlap_of(shared)

    def _counts(self, first: Result, second: Result) -> dict[str, int]:
        rows = {(row["first"], row["second"]): row for row in self.agreement}
        row = rows.get((first.name, second.name))
        if row is None:
            row = rows[second.name, first.name]
            row = row | {"only_first": row["only_second"], "only_second": row["only_first"]}
        return {key: row[key] for key in ("both", "only_first", "only_second", "neither")}

    @cached_property
    def failures(self) -> list[Failure]:
        """The assumptions that do not hold; best none."""
        failures = []
        for one in self.finetuned:
            if one.source == "letters":
                weakest = min(one.pretraining["accuracy"])
                if weakest < (limit := TIMES_CHANCE / one.pretraining["shapes"]):
                    failures.append(Failure("pretraining", one, weakest, limit))
        for one in self.models:
            if one not in self.ranking:  # a control of few folds, which decides nothing
                continue
            fall, rise = one.last_epoch or (None, 0)
            if fall is None or (fall > STILL_FALLING and rise > self.rope / 2):
                failures.append(Failure("falling", one, fall, STILL_FALLING))
        return failures + [Failure("folds")] * (self.folds == 1)


def read(contestants: Sequence[Contestant], rope: float, metric: Metric) -> Comparison:
    """Read what the stages before `compare` wrote; errors are those of `results.read_all`."""
    data, agreement = RESULTS / "datos.json", RESULTS / "test/agreement.json"
    models = read_all(contestants)
    return Comparison(models, files.read_json(data), files.read_json(agreement), rope, metric)
