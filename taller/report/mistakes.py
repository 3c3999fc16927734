"""Where the models err: on the same test images, between classes, and in how sure they are."""

import numpy as np

from taller.report.spanish import count, listed, literal, p_value, points
from taller.scores.comparison import Comparison
from taller.scores.pair import Pair, Verdict
from taller.scores.results import Result


def disagreements(found: Comparison) -> str:
    """A bullet per pair: what each gets right that the other does not, and by how much."""
    return "\n".join(_bullet(pair, found) for pair in found.pairs)


def calibration(found: Comparison) -> str:
    """Which models are further from calibrated than chance explains, and to which side."""
    told = []
    for result in found.models:
        ece, name = result.test["ece"], result.entry.short
        calibrated = result.test["ece_calibrated"]["high"]
        if ece > calibrated:
            rows = result.calibration
            surplus = (rows["images"] * rows["confidence"] - rows["hits"]).sum()
            side = "de más" if surplus > 0 else "de menos"
            told.append(f"{name} (confía {side})")
    if not told:
        return (
            "Ninguno muestra más de lo que explica el azar: por este número no se distinguen de "
            "una red así."
        )
    return f"Supera lo que explica el azar el ECE de {listed(told)}."


def confused(result: Result) -> str:
    """The two classes that a model confuses most (or several, as often), and how often."""
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    if not wrong.any():
        return "ninguna"
    names, most = [literal(name) for name in result.per_class["clase"]], int(wrong.max())
    pairs = [f"{names[true]} → {names[said]}" for true, said in np.argwhere(wrong == most)]
    return f"{listed(pairs)} ({count(most)})"


def _bullet(pair: Pair, found: Comparison) -> str:
    # The one that gets more right comes first.
    if pair.disagreement.only_first > pair.disagreement.only_second:
        pair = pair.turned()
    first, second = pair.first.entry.short, pair.second.entry.short
    difference = pair.test_difference
    value, low, high = (
        points(part, sign=True) for part in (difference.value, difference.low, difference.high)
    )
    agrees = "" if found.premises else _agrees(pair, found.rope)
    return (
        f"- {second} clasifica bien {count(pair.disagreement.only_second)} que {first} confunde, y "
        f"{first}, {count(pair.disagreement.only_first)} que {second} confunde; ambos confunden "
        f"{count(pair.neither)}. Diferencia: {value} puntos [{low}; {high}] "
        f"({p_value(pair.disagreement.p_value)}){agrees}."
    )


def _agrees(pair: Pair, rope: float) -> str:
    """Whether the test images' interval says what the folds say; nothing where they say nothing."""
    low, high = pair.test_difference.low, pair.test_difference.high
    if pair.verdict is Verdict.UNKNOWN:
        return ""
    if pair.verdict is Verdict.EQUAL:
        confirms, contradicts = -rope < low and high < rope, low > rope or high < -rope
    else:
        if pair.verdict is Verdict.WORSE:
            low, high = -high, -low
        confirms, contradicts = low > 0, high < 0
    if confirms:
        return ", como en los pliegues"
    return (
        ", al contrario que en los pliegues" if contradicts else ", que por sí solo no lo confirma"
    )
