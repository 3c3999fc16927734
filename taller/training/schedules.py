"""What becomes of the learning rate over the steps, as shares of its peak."""

from math import cos, pi

# Of Smith and Topin (2018), Super-convergence, section 4, as PyTorch's `OneCycleLR` has them.
START, END = 1 / 25, 1 / 25e4
RISE = 0.3  # of the steps


def shares(schedule: str, steps: int) -> list[float]:
    """The share of the peak rate in each step, above 0, to 1.

    Parameters
    ----------
    schedule : {"constant", "one_cycle"}
        ``one_cycle`` rises from a 25th of the peak and falls to a 250,000th, both along half a
        cosine.
    """
    if schedule == "constant":
        return [1.0] * steps
    top = RISE * steps - 1
    return [
        _between(START, 1, step / top) if step <= top else
        _between(1, END, (step - top) / (steps - 1 - top))
        for step in range(steps)
    ]  # fmt: skip


def _between(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + cos(pi * part))
