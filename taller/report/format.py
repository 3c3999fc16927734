"""Write a report from a Jinja2 template: its filters, and numbers as a Spanish reader writes them.

Spaces in numbers do not break, and the minus sign is one.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from taller.common.errors import UserError

TEMPLATES = Path(__file__).parent / "templates"
SPACE = "\u00a0"
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float, decimals: int = 2, *, sign: bool = False) -> str:
    """Write ``-0.5`` as ``−0,50``; with `sign`, also the plus. Zero has no minus."""
    text = f"{value:{'+' if sign else ''}z.{decimals}f}"
    return text.replace(".", ",").replace("-", "−")


def percent(fraction: float, decimals: int = 2) -> str:
    """Write the fraction ``0.9753`` as ``97,53 %``."""
    return f"{number(100 * fraction, decimals)}{SPACE}%"


def points(fraction: float, decimals: int = 2, *, sign: bool = False) -> str:
    """Write the fraction, or the difference of two, ``0.0113`` in percentage points: ``1,13``."""
    return number(100 * fraction, decimals, sign=sign)


def thousands(value: int) -> str:
    """Write ``60000`` as ``60 000``; four digits stay together, as the Academy wants it."""
    digits = f"{value:,}".replace(",", SPACE)
    return digits if abs(value) >= 10_000 else digits.replace(SPACE, "")


NUMERALS = (
    "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez",
)  # fmt: skip


def numeral(value: int) -> str:
    """Write a number up to ten in words, as running text does, and a larger one in digits."""
    return NUMERALS[value] if value < len(NUMERALS) else thousands(value)


def p_value(value: float) -> str:
    """Write ``0,032``, and ``< 0,001`` where three decimals would read as zero."""
    return "< 0,001" if value < 0.001 else number(value, 3)


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
    return f"{thousands(round(ratio)) if ratio >= 10 else number(ratio, 1)} veces"


def literal(name: str) -> str:
    """A name that others gave, such that Markdown shows it as it is."""
    return re.sub(r"([\\`*_|<>\[\]#~$])", r"\\\1", name)


def code(name: str) -> str:
    return f"`{name}`"


def among(key: str, words: dict[str, str]) -> str:
    """Look a word up; one that is not there stays as it is."""
    return words.get(key, key)


def enumeration(parts: Iterable[str]) -> str:
    """Write ``a, b y c``, and ``a e higo``: before the sound of an i, y becomes e."""
    parts = list(parts)
    if len(parts) < 2:
        return "".join(parts)
    *others, last = parts
    same_sound = re.match(r"h?[ií](?![aeou])", last.casefold())
    return f"{', '.join(others)} {'e' if same_sound else 'y'} {last}"


FILTERS = (
    number, percent, points, thousands, numeral, p_value, certainty, scientific, plain, times,
    literal, code, among, enumeration,
)  # fmt: skip


@cache
def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {function.__name__: function for function in FILTERS}
    return environment


def render(name: str, context: dict[str, Any]) -> str:
    """Fill the template `name` in; a `UserError` names what is wrong with it."""
    try:
        return reflow(_environment(TEMPLATES).get_template(name).render(context))
    except jinja2.TemplateError as error:
        line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise UserError(f"taller/report/templates/{name}{line}: {error}") from None


def reflow(text: str) -> str:
    """Markdown with each paragraph in one line, so that templates can break lines as they like."""
    lines: list[str] = [""]
    for line in (re.sub(" +", " ", line).strip(" ") for line in text.split("\n")):
        starts = not line or line.startswith(("#", "|", "- ", "!["))
        if starts or not lines[-1] or lines[-1].startswith(("#", "|", "![")):
            lines += [line] * bool(line or lines[-1])
        else:
            lines[-1] += line if line[0] in ",.;:)" else f" {line}"
    return "\n".join(lines).strip("\n") + "\n"
