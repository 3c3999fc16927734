"""What has to hold before a comparison concludes anything, and what of it does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from taller.scores.results import Result

# Letters: a network that knows fewer than ten times what guessing would has learnt none to speak
# of, and its features are hardly better than random ones.
TIMES_CHANCE = 10
# A validation loss that still falls by more than this share in one epoch would have gone on
# falling; and where accuracy rose with it by more than half of what matters, two models that are
# stopped a little earlier or later could change places by all of it.
STILL_FALLING = 0.10
# One score has no spread, and without a spread no difference has a size to be held against.
FEWEST_SCORES = 2


class Kind(StrEnum):
    """What a comparison takes for granted."""

    PRETRAINING = "pretraining"
    FALLING = "falling"
    FOLDS = "folds"


@dataclass(frozen=True)
class Failure:
    """A premise that does not hold.

    Attributes
    ----------
    kind : Kind
    model : Result or None
        Of which model, or None where it is of all.
    value, limit : float
        What was found, and what it would have had to be. PRETRAINING: the share of the letters
        that the weakest of the pretrained networks knows, and the least that counts as having
        learnt. FALLING: the share by which the validation loss fell in the last epoch, and the
        most that counts as having converged, wherever accuracy still rose by more than half the
        region of practical equivalence; the value is None where there was one epoch only.
        FOLDS: the scores of each model, and the fewest that have a spread.
    """

    kind: Kind
    model: Result | None
    value: float | None
    limit: float


def failures(models: Sequence[Result], pretraining: dict, rope: float) -> tuple[Failure, ...]:
    """Find the premises that do not hold: of pretraining, of each model, of the folds.

    Parameters
    ----------
    rope : float
        Region of practical equivalence: a difference of accuracy that does not matter.
    """
    found = [
        _pretraining(models, pretraining),
        *(_falling(result, rope) for result in models),
        _folds(models),
    ]
    return tuple(failure for failure in found if failure)


def _pretraining(models: Sequence[Result], pretraining: dict) -> Failure | None:
    if pretraining["source"] != "glyphs" or not any(one.entry.pretrained for one in models):
        return None
    weakest, limit = min(pretraining["glyph_accuracy"]), TIMES_CHANCE / pretraining["shapes"]
    return Failure(Kind.PRETRAINING, None, weakest, limit) if weakest < limit else None


def _falling(result: Result, rope: float) -> Failure | None:
    means = result.history.groupby("epoch")[["val_loss", "val_accuracy"]].mean()  # ascending
    if len(means) == 1:
        return Failure(Kind.FALLING, result, None, STILL_FALLING)
    before, last = means["val_loss"].iloc[-2:]
    fall = float((before - last) / before) if before else 0.0
    rise = float(means["val_accuracy"].diff().iloc[-1])
    if fall > STILL_FALLING and rise > rope / 2:
        return Failure(Kind.FALLING, result, fall, STILL_FALLING)
    return None


def _folds(models: Sequence[Result]) -> Failure | None:
    scores = len(models[0].folds)  # all models have the same
    return Failure(Kind.FOLDS, None, scores, FEWEST_SCORES) if scores < FEWEST_SCORES else None
