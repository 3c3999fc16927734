"""Who is who: from the baseline over the best network from scratch to the fine-tuned one.

The fine-tuned network differs from the baseline in architecture and pretraining at once; with a
network in between that changes the architecture alone, the difference comes apart into two steps.
"""

from taller.scores.comparison import Comparison
from taller.scores.pair import Pair
from taller.scores.results import Result


def tuned(found: Comparison) -> Result | None:
    """The best of the models that start from the pretrained network, by mean accuracy."""
    return next((result for result in found.ranking if result.entry.pretrained), None)


def against_scratch(found: Comparison) -> list[Pair]:
    """The fine-tuned network against each one from scratch; none where either is missing."""
    best = tuned(found)
    if best is None:
        return []
    return [found.pair(other.entry.key, best.entry.key) for other in found.scratch]


def split(found: Comparison) -> tuple[Pair, Pair, Pair] | None:
    """What the architecture changes, what pretraining does, and both together.

    Returns
    -------
    tuple of Pair, or None
        The best of the other networks from scratch against the baseline, the fine-tuned network
        against that one, and against the baseline; None where one of the three is missing.
    """
    base, best = found.baseline, tuned(found)
    between = [one for one in found.ranking if one is not base and not one.entry.pretrained]
    if base.entry.pretrained or best is None or not between:
        return None
    keys = base.entry.key, between[0].entry.key, best.entry.key
    return found.pair(*keys[:2]), found.pair(*keys[1:]), found.pair(keys[0], keys[2])
