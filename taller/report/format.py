"""Numbers, lists, words and reports, as a reader of Spanish or of English writes them.

Spaces in numbers do not break, and the minus sign is one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2
import numpy as np

from taller.common.errors import UserError
from taller.report.words import WORDS

TEMPLATES = Path(__file__).parent / "templates"
SPACE = "\u00a0"
FENCED = re.compile(r"^((?:```|---\n).*?^(?:```|---)$)", re.MULTILINE | re.DOTALL)
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
LanguageName = Literal["es", "en"]


@dataclass(frozen=True)
class Language:
    """Writes numbers and lists; called with a key of words.py, says that, with the values in it."""

    name: LanguageName

    def __call__(self, key: str, **values: object) -> str:
        return WORDS[self.name][key].format(**values)

    def term(self, word: str) -> str:
        """Look a word of another program up; one that words.py lacks stays as it is."""
        return WORDS[self.name].get(word, word)

    def number(self, value: float, decimals: int = 2, *, sign: bool = False) -> str:
        """Write ``-0.5`` as ``−0,50``; with `sign`, also the plus. Zero has no minus."""
        return self._marked(f"{value:{'+' if sign else ''}z.{decimals}f}")

    def tick(self, value: float, _position: int | None = None) -> str:
        """An axis's label: as many decimals as it needs."""
        return self._marked(f"{value:g}")

    def _marked(self, digits: str) -> str:
        return digits.replace(".", self("point")).replace("-", "−")

    def percent(self, fraction: float, decimals: int = 2) -> str:
        """Write the fraction ``0.9753`` as ``97,53 %``."""
        return self("percent", number=self.number(100 * fraction, decimals))

    def points(self, fraction: float, decimals: int = 2, *, sign: bool = False) -> str:
        """Write the fraction, or the difference of two, ``0.0113`` in percentage points: 1,13."""
        return self.number(100 * fraction, decimals, sign=sign)

    def thousands(self, value: int) -> str:
        """Write ``60000`` as ``60 000``; the Spanish Academy wants four digits together."""
        together = self.name == "es" and abs(value) < 10_000
        return f"{value:,}".replace(",", "" if together else self("thousands"))

    def numeral(self, value: int) -> str:
        """Write a number up to ten in words, as running text does, and a larger one in digits."""
        numerals = self("numerals").split()
        return numerals[value] if value < len(numerals) else self.thousands(value)

    def p_value(self, value: float) -> str:
        """Write ``0,032``, and ``< 0,001`` where three decimals would read as zero."""
        return f"< {self.number(0.001, 3)}" if value < 0.001 else self.number(value, 3)

    def certainty(self, probability: float) -> str:
        """Write a probability as a percentage that is rounded neither to certainty nor to never."""
        if probability > 0.999:
            return f"> {self.percent(0.999, 1)}"
        return (
            f"< {self.percent(0.001, 1)}" if probability < 0.001 else self.percent(probability, 1)
        )

    def scientific(self, value: int) -> str:
        """Write ``66021888`` as ``6,6 × 10⁷``: Spanish and English disagree on a billion."""
        digits, power = f"{value:.1e}".split("e")
        return f"{self._marked(digits)}{SPACE}×{SPACE}10{str(int(power)).translate(RAISED)}"

    def plain(self, value: object) -> str:
        """Write a param's value: numbers with the decimals that they have, a list's in a row."""
        if isinstance(value, list | tuple):
            return ", ".join(map(self.plain, value))
        if isinstance(value, float):
            return np.format_float_positional(value, trim="-").replace(".", self("point"))
        return str(value)

    def times(self, ratio: float) -> str:
        """How much more or less one thing is than another: ``12 veces``, ``el 4,7 % de``."""
        if ratio < 1:
            return self("share", percent=self.percent(ratio, 1))
        digits = self.thousands(round(ratio)) if ratio >= 10 else self.number(ratio, 1)
        return self("times", number=digits)

    def enumeration(self, parts: Iterable[str]) -> str:
        """Write ``a, b y c``, and ``a e higo``: before the sound of an i, y becomes e."""
        parts = list(parts)
        if len(parts) < 2:
            return "".join(parts)
        *others, last = parts
        same_sound = self.name == "es" and re.match(r"h?[ií](?![aeou])", last.casefold())
        return f"{', '.join(others)} {'e' if same_sound else self('and')} {last}"


def literal(name: str) -> str:
    """A name that others gave, such that Markdown shows it as it is."""
    return re.sub(r"([\\`*_|<>\[\]#~$])", r"\\\1", name)


def code(name: str) -> str:
    return f"`{name}`"


def among(key: str, words: dict[str, str]) -> str:
    """Look a word up; one that is not there stays as it is."""
    return words.get(key, key)


FILTERS = literal, code, among
OF_LANGUAGE = (
    "number", "percent", "points", "thousands", "numeral", "p_value", "certainty", "scientific",
    "plain", "times", "enumeration",
)  # fmt: skip


@cache
def _environment(folder: Path, language: Language) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {function.__name__: function for function in FILTERS}
    environment.filters |= {name: getattr(language, name) for name in OF_LANGUAGE}
    return environment


def render(template: str, language: Language, context: dict[str, Any]) -> str:
    """Fill in a template, ``informe`` or ``ficha``; a `UserError` names what is wrong with it."""
    name = f"{template}.{language.name}.md.j2"
    try:
        return reflow(_environment(TEMPLATES, language).get_template(name).render(context))
    except jinja2.TemplateError as error:
        line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise UserError(f"taller/report/templates/{name}{line}: {error}") from None


def reflow(text: str) -> str:
    """Markdown with each paragraph in one line, so that templates can break lines as they like.

    Code and YAML, between fences, stay as they are.
    """
    parts = enumerate(FENCED.split(text))
    texts = (part if place % 2 else _paragraphs(part) for place, part in parts)
    return "\n\n".join(one for one in texts if one) + "\n"


def _paragraphs(text: str) -> str:
    lines: list[str] = [""]
    for line in (re.sub(" +", " ", line).strip(" ") for line in text.split("\n")):
        starts = not line or line.startswith(("#", "|", "- ", "!["))
        if starts or not lines[-1] or lines[-1].startswith(("#", "|", "![")):
            lines += [line] * bool(line or lines[-1])
        else:
            lines[-1] += line if line[0] in ",.;:)" else f" {line}"
    return "\n".join(lines).strip("\n")
