"""The three contestants on made-up digits, and folds that end in every way."""

from dataclasses import replace
from pathlib import Path

import made_up

from taller.scores import comparison
from taller.scores.comparison import Comparison
from taller.scores.pair import Verdict

SIMPLE, TUNED = made_up.TWO
CNN = replace(made_up.THREE[2], kind="una red convolucional pequeña")
MODELS = (SIMPLE, CNN, TUNED)
WRITERS = {"kept_together": True, "train": 539, "test": 297, "shared": 0}
PRETRAINING = {
    "glyphs": made_up.GLYPHS,
    "imagenet": {"requested": "imagenet", "source": "imagenet", "network": "resnet18",
                 "sha256": "ab" * 32, "networks": 1, "weights_sha256": "12" * 32},
    "none": {"requested": "none", "source": "none", "network": "resnet18", "sha256": "ef" * 32,
             "networks": 1},
}  # fmt: skip
LOW, MIDDLE, HIGH = [0.95, 0.951, 0.952], [0.96, 0.9612, 0.9621], [0.98, 0.981, 0.9825]
NEAR_HIGH, NEAR_LOW = [0.9801, 0.9812, 0.9824], [0.9501, 0.9508, 0.9521]
SPREAD = [0.97, 0.985, 0.98]  # against HIGH, whatever
# The folds' accuracies of SimpleNN, CNN and the fine-tuned network; then what is to be said of the
# latter against the former two, and of CNN against SimpleNN.
BETTER, WORSE, EQUAL, UNKNOWN = Verdict.BETTER, Verdict.WORSE, Verdict.EQUAL, Verdict.UNKNOWN
ENDINGS = {
    "beats both": ((LOW, MIDDLE, HIGH), (BETTER, BETTER, BETTER)),
    "equals CNN": ((LOW, HIGH, NEAR_HIGH), (BETTER, EQUAL, BETTER)),
    "loses to CNN": ((LOW, HIGH, MIDDLE), (BETTER, WORSE, BETTER)),
    "open with CNN": ((LOW, HIGH, SPREAD), (BETTER, UNKNOWN, BETTER)),
    "equals SimpleNN": ((LOW, HIGH, NEAR_LOW), (EQUAL, WORSE, BETTER)),
    "equals both": ((HIGH, NEAR_HIGH, HIGH), (EQUAL, EQUAL, EQUAL)),
    "loses to both": ((HIGH, MIDDLE, LOW), (WORSE, WORSE, WORSE)),
    "open with both": ((HIGH, NEAR_HIGH, SPREAD), (UNKNOWN, UNKNOWN, EQUAL)),
    "open with SimpleNN": ((HIGH, LOW, SPREAD), (UNKNOWN, BETTER, WORSE)),
}


def read(place: Path, **how) -> Comparison:
    """Make results up under `place`, by the arguments of `made_up.write`, and read them."""
    how = {"folds": 3, "groups": WRITERS} | how
    made_up.write(place, MODELS, made_up.DIGITS, shape=(1, 28, 28), name="MNIST", **how)
    return comparison.read(place / "resultados", MODELS, rope=0.005)


def ending(found: Comparison, name: str, source: str = "glyphs") -> Comparison:
    """The comparison as it would have ended otherwise."""
    return replace(
        made_up.with_accuracies(found, *ENDINGS[name][0]), pretraining=PRETRAINING[source]
    )


def without(found: Comparison, key: str) -> Comparison:
    """The comparison without one of the models."""
    kept = tuple(result for result in found.models if result.entry.key != key)
    return replace(found, models=kept)


def changed(found: Comparison, key: str, **fields) -> Comparison:
    """The comparison with other results of one of the models."""
    return replace(
        found,
        models=tuple(
            replace(result, **fields) if result.entry.key == key else result
            for result in found.models
        ),
    )
