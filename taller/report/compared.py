"""What was compared: the images, the models, and what one of them learnt before."""

import unicodedata

from taller.report.spanish import count, listed, number, percent, spelled
from taller.report.words import words
from taller.scores.comparison import Comparison

ALPHABETS = {
    "Latin": "latino", "Phonetic": "fonético", "Greek": "griego", "Cyrillic": "cirílico",
    "Armenian": "armenio", "Hebrew": "hebreo", "Georgian": "georgiano", "N'Ko": "n’ko",
    "Tifinagh": "tifinag",
}  # fmt: skip
# First words of Unicode's names, most familiar first, and of which script the letter then is.
SCRIPTS = {
    "LATIN": "", "GREEK": "griega", "CYRILLIC": "cirílica", "HEBREW": "hebrea",
    "ARMENIAN": "armenia", "GEORGIAN": "georgiana", "TIFINAGH": "tifinag", "NKO": "n’ko",
    "PHONETIC": "fonética",
}  # fmt: skip

_INSTEAD = "Los pesos de ImageNet no estaban al alcance: en su lugar se dibujaron letras. "


def data(found: Comparison) -> str:
    """The images, what they show, their size and number."""
    channels, height, width = found.data["shape"]
    colour = "en escala de grises" if channels == 1 else "en color"
    return (
        f"**{found.data['dataset']}**: {words(found).images}, {height} × {width} píxeles {colour}. "
        f"Con {count(found.data['train_images'])} se entrena y se valida; las "
        f"{count(found.data['test_images'])} de prueba se leen una sola vez, al final."
    )


def models(found: Comparison) -> str:
    """A bullet per model."""
    return "\n".join(
        f"- **{one.entry.name}**: {one.entry.kind}{_cited(one.entry.kind)}, "
        f"{_start(found) if one.entry.pretrained else 'entrenada desde cero'}."
        for one in found.models
    )


def pretraining(found: Comparison) -> str:
    """The letters that the network learnt from, and which digits they resemble; else nothing."""
    facts = found.pretraining
    if facts["source"] != "glyphs" or not found.pretrained:
        return ""
    alphabets = [ALPHABETS.get(name, name) for name in facts["alphabets"]]
    instead = "" if facts["requested"] == "glyphs" else _INSTEAD
    digits = f" {_alike(facts)}" if found.data["dataset"] == "MNIST" else ""
    return (
        f"{instead}Las letras son {count(facts['letters'])}, de {spelled(len(alphabets))} "
        f"alfabetos ({listed(alphabets)}). Se dibujan {count(facts['images'])} imágenes a partir "
        "de las tipografías de Matplotlib; las que se escriben igual cuentan como una sola forma. "
        f"{_known(facts)}{digits}"
    )


def twins(facts: dict) -> list[dict]:
    """The digits that count as one shape with a letter, of what is known of the letters."""
    return [one for one in facts.get("twins", []) if one["correlation"] > facts["alike"]]


def _cited(kind: str) -> str:
    return " (He et al., 2016)" if "residual" in kind else ""


def _start(found: Comparison) -> str:
    told = {
        "glyphs": "preentrenada aquí con letras dibujadas y ajustada",
        "imagenet": "con los pesos de ImageNet de torchvision, aprendidos con fotografías en "
        "color, y ajustada",
        "none": "con pesos aleatorios, sin preentrenamiento: es el control",
    }[found.pretraining["source"]]
    return f"{told} (pesos de partida: SHA-256 {found.pretraining['sha256'][:8]}…)"


def _known(facts: dict) -> str:
    """How well letters in fonts that were not learnt from are told apart."""
    known, shapes = facts["glyph_accuracy"], count(facts["shapes"])
    elsewhere = "En letras de tipografías que no vio,"
    if len(known) == 1:
        return f"{elsewhere} la red acierta el {percent(known[0], 1)} entre {shapes} formas."
    low, high = number(100 * min(known), 1), percent(max(known), 1)
    return (
        f"Cada repetición preentrena su propia red: en letras de tipografías que no vieron, las "
        f"{spelled(len(known))} aciertan del {low} al {high} entre {shapes} formas."
    )


def _alike(facts: dict) -> str:
    """Which digits look like a letter that was drawn."""
    found = twins(facts)
    threshold = f"una correlación mayor que {number(facts['alike'], 2)} entre los dos dibujos"
    if not found:
        return (
            f"No se dibujó ningún dígito, y ninguno tiene un gemelo entre las letras ({threshold})."
        )
    told = [f"{_letter(twin['letters'])} al {twin['digit']}" for twin in found]
    many, digits = spelled(len(found)), spelled(len(facts["twins"]))
    others = [twin["digit"] for twin in facts["twins"] if twin not in found]
    without = (
        f"; no lo tiene{'n' * (len(others) > 1)} el {' ni el '.join(others)}" if others else ""
    )
    return (
        f"No se dibujó ningún dígito, pero {many} de los {digits} tienen un gemelo entre las "
        f"letras ({threshold}): se parecen {listed(told)}{without}."
    )


def _letter(letters: str) -> str:
    """The most familiar of letters that look alike, with its script where that is not Latin."""
    scripts = list(SCRIPTS)
    letter = min(letters, key=lambda one: scripts.index(_script(one)))
    return f"la {letter} {SCRIPTS[_script(letter)]}".rstrip()


def _script(letter: str) -> str:
    name = unicodedata.name(letter).split()[0]
    if name == "LATIN" and not letter.isascii():
        return "PHONETIC"
    return name if name in SCRIPTS else "PHONETIC"
