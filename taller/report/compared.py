"""What was compared: the images, the models, and what one of them learnt before."""

import unicodedata

from taller.models import catalogue
from taller.report.spanish import count, listed, number, percent, spelled
from taller.report.words import words
from taller.scores.comparison import Comparison
from taller.scores.results import Result

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

# Whose the images of the catalogue are, and on what terms.
LICENCES = {
    "MNIST": "Las imágenes son de Y. LeCun, C. Cortes y C. Burges, a partir de colecciones del "
    "NIST; licencia CC BY-SA 3.0.",
    "FashionMNIST": "Las imágenes son de Zalando SE; licencia MIT.",
    "KMNIST": "Las imágenes son del CODH, a partir de los datos de *kuzushiji* del NIJL y otros "
    "(doi:10.20676/00000341); licencia CC BY-SA 4.0.",
}

# What introduced a network, by a word of its `kind`.
_CITED = {"residual": "He et al., 2016", "eficiente": "Tan y Le, 2019"}
_INSTEAD = "Los pesos de ImageNet no estaban al alcance: en su lugar se dibujaron letras. "


def data(found: Comparison) -> str:
    """The images, what they show, their size and number, and whose they are."""
    channels, height, width = found.data["shape"]
    colour = "en escala de grises" if channels == 1 else "en color"
    told = (
        f"**{found.data['dataset']}**: {words(found).images}, {height} × {width} píxeles {colour}. "
        f"Con {count(found.data['train_images'])} se entrena y se valida; las "
        f"{count(found.data['test_images'])} de prueba se leen una sola vez, al final."
    )
    if (licence := LICENCES.get(found.data["dataset"])) is not None:
        return f"{told} {licence}"
    if (facts := found.data["pictures"]) is not None:
        return f"{told} {_prepared(facts, found)}"
    return told


def _prepared(facts: dict, found: Comparison) -> str:
    """What became of pictures of one's own, before any network saw them."""
    smallest, largest = (" × ".join(map(count, facts[part])) for part in ("smallest", "largest"))
    sizes = f"Medían {largest}" if smallest == largest else f"Medían de {smallest} a {largest}"
    side = found.data["shape"][1]
    told = [f"{sizes} píxeles (ancho por alto)"]
    if facts["smallest"] != [side, side] or facts["largest"] != [side, side]:
        told[0] += (
            "; cada una se ajustó, sin recortarla ni deformarla, a un cuadrado de "
            f"{side}, con gris en lo que sobra"
        )
    told[0] += "."
    if facts["test"] == "held_out":
        how = "con las mismas proporciones de clases"
        if facts["origins"] is not None:
            how = "por orígenes enteros, con las proporciones de clases que estos permiten"
        told.append(f"Las de prueba se apartaron al azar, {how}.")
    if facts["copies"]:
        told.append(
            f"Copias exactas de otra de su clase, que no cuentan: {count(facts['copies'])}."
        )
    if facts["several_frames"]:
        told.append(
            f"De varios fotogramas, de los que se usa el primero: {count(facts['several_frames'])}."
        )
    return " ".join(told)


def models(found: Comparison) -> str:
    """A bullet per model."""
    return "\n".join(
        f"- **{one.entry.name}**: {one.entry.kind}{_cited(one.entry.kind)}, "
        f"{_start(found, one) if one.entry.pretrained else 'entrenada desde cero'}."
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
    return "".join(f" ({work})" for word, work in _CITED.items() if word in kind)


def _start(found: Comparison, result: Result) -> str:
    told = {
        "glyphs": "preentrenada aquí con letras dibujadas y ajustada",
        "imagenet": f"con pesos de ImageNet{_distributed(result)} (Deng et al., 2009; Russakovsky "
        "et al., 2015), aprendidos con fotografías en color, y ajustada",
        "none": "con pesos aleatorios, sin preentrenamiento: es el control",
    }[found.pretraining["source"]]
    return f"{told} (pesos de partida: SHA-256 {found.pretraining['sha256'][:8]}…){_other(result)}"


def _distributed(result: Result) -> str:
    return " de torchvision" if result.entry.key == catalogue.RESNET18.key else ""


def _other(result: Result) -> str:
    """That it stands in for the network that was asked for first."""
    if not result.entry.borrowed:
        return ""
    asked = catalogue.FINETUNED[result.entry.borrowed].short
    return f", en lugar de {asked}, cuyos pesos de ImageNet no estaban al alcance"


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
