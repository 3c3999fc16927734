"""Numbers as a Spanish reader writes them: decimal comma, spaces between thousands.

The spaces do not break, and the minus sign is one: numbers stay whole at the end of a line.
"""

import re
from collections.abc import Sequence

SPACE = "\u00a0"


def number(value: float, decimals: int, *, sign: bool = False) -> str:
    """Write ``-0.5`` as ``−0,50`` (two decimals); with `sign`, also the plus. Zero has no minus."""
    text = f"{value:{'+' if sign else ''}z.{decimals}f}"
    return text.replace(".", ",").replace("-", "−")


def percent(fraction: float, decimals: int = 2) -> str:
    """Write the fraction ``0.9753`` as ``97,53 %``."""
    return f"{number(100 * fraction, decimals)}{SPACE}%"


def count(value: int) -> str:
    """Write ``60000`` as ``60 000``; four digits stay together, as the Academy wants it."""
    digits = f"{value:,}".replace(",", SPACE)
    return digits if abs(value) >= 10_000 else digits.replace(SPACE, "")


def p_value(value: float) -> str:
    """Write ``p = 0,032``, and ``p < 0,001`` where three decimals would read as zero."""
    return "p < 0,001" if value < 0.001 else f"p = {number(value, 3)}"


def certainty(probability: float) -> str:
    """Write a probability below 1 as a percentage that is not rounded up to certainty."""
    return f"> 99,9{SPACE}%" if probability > 0.999 else percent(probability, 1)


def listed(parts: Sequence[str]) -> str:
    """Write ``a, b y c``, and ``a e higo``: before the sound of an i, y becomes e."""
    *others, last = parts
    if not others:
        return last
    same_sound = re.match(r"h?i(?![aeou])", last.casefold())
    return f"{', '.join(others)} {'e' if same_sound else 'y'} {last}"
