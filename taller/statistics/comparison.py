"""The contestants' results, every two of them against each other, and what may be concluded."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from taller.common import files
from taller.common.errors import UserError, printable
from taller.common.params import Contestant
from taller.statistics import folds, proportions
from taller.statistics.folds import Estimate, Posterior, Verdict

RESULTS = Path("resultados")
METRICS = ("accuracy", "precision", "recall", "f1", "log_loss")
# What decides, and the same of two that learn nothing from the pixels or nothing new: always
# naming the largest class, and ImageNet's own head, each output of which votes for one class.
Metric = Literal["accuracy", "balanced_accuracy"]
LARGEST_CLASS = {"accuracy": "largest_class", "balanced_accuracy": "largest_class_balanced"}
VOTES = {"accuracy": "imagenet_votes", "balanced_accuracy": "imagenet_votes_balanced"}
# Two models may be told apart, and the better one be no better than naming the largest class.
Conclusion = Literal[Verdict, "no_skill"]
# A network that knows fewer letters than ten times what a guess would has learnt none to speak of.
TIMES_CHANCE = 10
# A validation loss that falls by more than this in the last epoch has not come to rest; where
# accuracy rose with it by more than half the rope, models that are stopped a little earlier or
# later could change places by all of it.
STILL_FALLING = 0.10


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
        """Of the fit on all images and of one pretraining, where that was done here."""
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
        return _overlap(self.splits)

    def mean(self, metric: str) -> Estimate:
        """A metric's mean over the folds, and its interval, within what the metric can be."""
        highest = np.inf if metric == "log_loss" else 1.0
        return folds.corrected_interval(self.scores(metric), self.overlap, 0.0, highest)

    def spread(self, metric: str) -> float | None:
        """Standard deviation of the folds' scores; of a single one there is none."""
        scores = self.scores(metric)
        return float(scores.std(ddof=1)) if len(scores) > 1 else None

    @property
    def test_accuracy(self) -> Estimate:
        return proportions.wilson(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @cached_property
    def last_epoch(self) -> tuple[float, float] | None:
        """By which share validation loss fell in it, and how far accuracy rose; None of one."""
        means = self.history.groupby("epoch")[["val_loss", "val_accuracy"]].mean()  # ascending
        if len(means) == 1:
            return None
        before, last = means["val_loss"].iloc[-2:]
        fall = float((before - last) / before) if before else 0.0
        return fall, float(means["val_accuracy"].diff().iloc[-1])


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
        ignored = {
            "trained",
            "frozen",
            "model_params",
            "optimizer",
        }  # weight decay decides the last
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
    def over_largest_class(self) -> dict[Result, Posterior]:
        """Each model minus always naming the largest class of the images that it trained on."""
        return {one: self._over(one, LARGEST_CLASS) for one in self.models}

    @cached_property
    def skilled(self) -> list[Result]:
        """The models that beat always naming the largest class; the others are never better."""
        return [one for one, over in self.over_largest_class.items() if over.verdict == "better"]

    def over_votes(self, result: Result) -> Posterior | None:
        """A model minus ImageNet's own head; None where it has none."""
        return self._over(result, VOTES) if VOTES[self.metric] in result.splits else None

    def _over(self, result: Result, others: dict[Metric, str]) -> Posterior:
        differences = result.scores(self.metric) - result.scores(others[self.metric])
        return folds.bayesian_correlated_t(differences, result.overlap, self.rope)

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
        posterior = folds.bayesian_correlated_t(differences, overlap, self.rope)
        best = {"better": first, "worse": second}.get(posterior.verdict)
        return Pair(
            first,
            second,
            len(differences),
            folds.corrected_interval(differences, overlap, -1.0, 1.0),
            folds.corrected_t_test(differences, overlap),
            self._holm[frozenset((first, second))],
            posterior,
            "no_skill" if best and best not in self.skilled else posterior.verdict,
            folds.required_repeats(differences, overlap, self.rope, repeats),
            **counts,
            mcnemar=proportions.exact_mcnemar(*only),
            test_difference=proportions.paired_proportions(*only, sum(counts.values())),
        )

    @cached_property
    def _holm(self) -> dict[frozenset[Result], float]:
        couples = list(combinations(self.models, 2))
        p_values = [folds.corrected_t_test(*self._differences(*two)) for two in couples]
        return dict(zip(map(frozenset, couples), folds.holm(p_values), strict=True))

    def _differences(self, first: Result, second: Result) -> tuple[np.ndarray, float]:
        """On the folds that both have, float64, shape (folds,), and how these overlap."""
        differences = (first.splits[self.metric] - second.splits[self.metric]).dropna()
        shared = first.splits.loc[differences.index]
        return differences.to_numpy(np.float64), _overlap(shared)

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


def _overlap(splits: pd.DataFrame) -> float:
    return float(splits["val_images"].mean()) / float(splits["train_images"].mean())


def read(contestants: Sequence[Contestant], rope: float, metric: Metric) -> Comparison:
    """Read what the stages before `compare` wrote of one or more contestants.

    A `UserError` names a file that cannot be read, or has folds that are none of the model's that
    has most.
    """
    models = _told_apart([_result(contestant) for contestant in contestants])
    sizes = ["train_images", "val_images"]
    complete = max(models, key=lambda one: len(one.splits))
    for result in models:
        expected = complete.splits[sizes].reindex(result.splits.index)
        if not result.splits[sizes].equals(expected):
            path, name = result.contestant.cv / "scores.csv", complete.name
            raise UserError(f"{path}: expected the folds of {name}, found others; run dvc repro")
    data, agreement = RESULTS / "datos.json", RESULTS / "test/agreement.json"
    return Comparison(models, files.read_json(data), files.read_json(agreement), rope, metric)


def _told_apart(results: Sequence[Result]) -> tuple[Result, ...]:
    """The results, of different names: where two would be called alike, each after its section."""
    named = Counter(one.model for one in results)
    parts = []
    for one in results:
        if named[one.model] > 1:
            short = one.contestant.name
            model = f"{short} (fine-tuning)" if one.source else short
            one = replace(one, model=model, short=short)
        parts.append(one)
    short = Counter(one.short for one in parts)
    return tuple(replace(one, short=one.model) if short[one.short] > 1 else one for one in parts)


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
    observed = pd.DataFrame([proportions.wilson(*row) for row in counts], columns=columns)
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
