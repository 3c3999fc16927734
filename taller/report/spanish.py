"""Numbers as a Spanish reader writes them: decimal comma, spaces between thousands.

The spaces do not break, and the minus sign is one: numbers stay whole at the end of a line.
"""

import re
from collections.abc import Sequence

import numpy as np

SPACE = "\u00a0"
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SPELLED = (
    "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez",
)  # fmt: skip


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


def points(fraction: float, *, sign: bool = False) -> str:
    """Write the difference ``0.0113`` of two fractions in percentage points: ``1,13``."""
    return number(100 * fraction, 2, sign=sign)


def certainty(probability: float) -> str:
    """Write a probability as a percentage that is rounded neither to certainty nor to never."""
    if probability > 0.999:
        return f"> 99,9{SPACE}%"
    return f"< 0,1{SPACE}%" if probability < 0.001 else percent(probability, 1)


def scientific(value: int) -> str:
    """Write ``66021888`` as ``6,6 × 10⁷``: Spanish and English disagree on what a billion is."""
    digits, power = f"{value:.1e}".split("e")
    return f"{digits.replace('.', ',')}{SPACE}×{SPACE}10{str(int(power)).translate(RAISED)}"


def plain(value: object) -> str:
    """Write a param's value: numbers with the decimals that they have, a list's parts in a row."""
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-").replace(".", ",")
    return str(value)


def times(ratio: float) -> str:
    """Write how much more or less one thing is than another: ``12 veces``, ``el 4,7 % de``."""
    if ratio < 1:
        return f"el {percent(ratio, 1)} de"
    return f"{count(round(ratio)) if ratio >= 10 else number(ratio, 1)} veces"


def spelled(value: int) -> str:
    """Write a small whole number in words, a larger one in digits."""
    return SPELLED[value] if value < len(SPELLED) else count(value)


def literal(name: str) -> str:
    """A name that others gave, such that Markdown shows it as it is."""
    return re.sub(r"([\\`*_|<>\[\]#~$])", r"\\\1", name)


def listed(parts: Sequence[str]) -> str:
    """Write ``a, b y c``, and ``a e higo``: before the sound of an i, y becomes e."""
    *others, last = parts
    if not others:
        return last
    same_sound = re.match(r"h?[ií](?![aeou])", last.casefold())
    return f"{', '.join(others)} {'e' if same_sound else 'y'} {last}"
