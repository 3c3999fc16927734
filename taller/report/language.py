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

from taller.common.terminal import UserError

TEMPLATES = Path(__file__).parent / "templates"
SPACE = "\u00a0"
FENCED = re.compile(r"^((?:```|---\n).*?^(?:```|---)$)", re.MULTILINE | re.DOTALL)
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
LanguageName = Literal["es", "en"]


@dataclass(frozen=True)
class Language:
    """Writes numbers and lists; called with a key of `WORDS`, says that, with the values in it."""

    name: LanguageName

    def __call__(self, key: str, **values: object) -> str:
        return WORDS[self.name][key].format(**values)

    def term(self, word: str) -> str:
        """Look a word of another program up; one that `WORDS` lacks stays as it is."""
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


def render(
    template: str, language: Language, context: dict[str, Any], folder: Path = TEMPLATES
) -> str:
    """Fill in a template, ``informe`` or ``ficha``; a `UserError` names what is wrong with it."""
    name = f"{template}.{language.name}.md.j2"
    try:
        return reflow(_environment(folder, language).get_template(name).render(context))
    except jinja2.TemplateError as error:
        line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise UserError(f"{'/'.join(folder.parts[-3:])}/{name}{line}: {error}") from None


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


# fmt: off
WORDS = {
    "es": {
        # Numbers and lists.
        "point": ",", "thousands": "\u00a0", "percent": "{number}\u00a0%", "and": "y",
        "times": "{number} veces", "share": "el {percent} de",
        "numerals": "cero uno dos tres cuatro cinco seis siete ocho nueve diez",
        # comparacion_metrics.csv
        "spread": "Desv. {metric}", "low": "IC 95 % inferior", "high": "IC 95 % superior",
        "on_test": "{metric} (prueba)", "trained": "Parámetros entrenados",
        "pretraining": "Preentrenamiento", "from_scratch": "ninguno",
        "executed": "Parámetros ejecutados", "per_answer": "Operaciones por respuesta",
        "to_train": "Operaciones de entrenamiento", "balanced": "Accuracy equilibrada",
        "of_largest": "Accuracy de la clase mayor", "folds": "Pliegues",
        # Pictures: what several of them say, then each.
        "accuracy": "Exactitud", "balanced_accuracy": "Exactitud equilibrada",
        "percent_interval": "{metric} (%), IC 95 %", "example": "Etiqueta: {label}",
        "curve": "Curva de aprendizaje", "curve_y": "{metric} ({english}, %), IC 95 %",
        "curve_x": "Imágenes de entrenamiento (escala log.)",
        "curve_gain": "Diferencia (puntos), IC 95 %", "curve_rope": "prácticamente nada",
        "curve_none": "sin curvas: curve.sections está vacío", "loss": "Curvas de pérdida",
        "loss_x": "Época", "loss_y": "Pérdida (entropía cruzada, escala log.)",
        "loss_legend": "media y rango de los pliegues", "entrenamiento": "entrenamiento",
        "validación": "validación", "fold_title": "{metric} ({english}) de validación por pliegue",
        "fold": "Pliegue {name}", "fold_mean": "Media e IC 95 %",
        "fold_y": "Pliegues: repetición.pliegue",
        "fold_gap": "; sobre cada línea, la diferencia en puntos", "fold_largest": "clase mayor",
        "cost": "{metric} ({english}) de validación y coste",
        "cost_train": "Operaciones para entrenarlo (coma flotante, escala log.)",
        "cost_answer": "Operaciones por respuesta (coma flotante, escala log.)",
        "cost_all": "todo, preentrenamiento incluido", "cost_fit": "solo su ajuste",
        "cost_unknown": "solo su ajuste: lo que costó el preentrenamiento no se sabe",
        "confusion": "Matriz de confusión: imágenes de prueba y % de la fila",
        "confusion_shares": "Matriz de confusión: parte de las imágenes de prueba de la fila",
        "confusion_x": "Predicción", "confusion_y": "Etiqueta real",
        "calibration": "Calibración: ¿acierta tanto como dice?",
        "ece": "ECE {ece} puntos{between}(calibrado: hasta {chance})",
        "calibration_y": "Exactitud (accuracy, %)", "calibration_x": "Confianza (%)",
        "calibration_images": "Imágenes\n(escala log.)",
        "calibration_perfect": "calibración perfecta",
        "calibration_seen": "exactitud observada, IC 95 %",
        "errors": "Errores cometidos con más confianza en las imágenes de prueba",
        "errors_none": "ningún error",
        "error": "dijo {predicted}{between}({confidence})\nera {label}",
        "letters": "Letras dibujadas", "letters_data": "Imágenes de {dataset}",
        "letters_alike": "letra con la forma de un dígito (por la correlación)",
        "letters_first": "como", "letters_other": "otras,\nal azar",
        # The study (estudio/): what pays where.
        "map": "¿Quién gana? Exactitud de la mejor, y su ventaja [IC 95 %] sobre la otra clase",
        "map_x": "Imágenes de entrenamiento",
        "map_all": "todas las capas", "map_last": "última capa", "map_scratch": "gana desde cero",
        "map_pretrained": "gana preentrenada", "map_open": "sin decidir (el IC 95 % contiene el 0)",
        "map_equal": "prácticamente iguales (±{rope} puntos)",
        "map_tied": "empata con {count} más", "map_gap": "+{points} puntos\n[{low}; {high}]",
        "map_error": "Error (%, escala log.), IC 95 %",
        "map_curves": "Error según las imágenes de entrenamiento",
        "map_cost": "Error según las operaciones de entrenamiento",
        "map_cost_x": "Operaciones de entrenamiento,\nletras incluidas, ImageNet no (escala log.)",
        "map_letters": "letras", "map_imagenet": "ImageNet",
        "map_workshop": "código del taller ({source})", "map_fresh": "{name} desde cero",
        "coverage": "¿Cuántas veces cubre un intervalo del 95 %?",
        "coverage_random": "Pliegues al azar", "coverage_grouped": "Pliegues por escritor",
        "coverage_mean": "Cubre la media", "coverage_own": "Cubre la de sus redes",
        "coverage_wrong": "Se equivoca", "coverage_p": "{measure}: p < 0,05",
        "t × 0": "t sin corregir", "t × 0.5": "t, media corrección",
        "t × 1": "t corregida (informe)", "t × 2": "t, doble corrección",
        "all pairs": "por imagen", "all pairs by group": "por escritor",
        # make predict, and make pizarra: an answer, and why there is none
        "unsure": "inseguro; quizá {second}",
        "blank": "ahí no hay nada escrito",
        "framed": "parece tener un marco o un título: el papel debe llegar al borde",
        "tiny": "es demasiado pequeño: hacen falta {pixels} píxeles, y {ink} de tinta",
        "huge": "es demasiado grande: más de {megapixels} megapíxeles",
        "absent": "no existe, o no se deja leer", "heic": "es HEIC: guárdala como JPEG",
        "damaged": "está dañado, o no es una imagen que se pueda leer",
        "readable": "para comparar, {file} se lee bien",
        # make use; the words without _ are those of taller/datasets/layout.py.
        "as_part": "{names} como {part}", "part_train": "entrenamiento", "part_test": "prueba",
        "as_drawn": "una parte de cada clase como prueba (preprocess.test_share)",
        "use_classes": "{count} clases, con imágenes de entrenamiento + prueba: {classes}",
        "use_groups": "grupos: {count}, por {where}", "folders": "carpetas",
        "use_groups_left": ", que preprocess.groups: none no tiene en cuenta",
        "use_no_groups": "grupos: ninguno, así que cada imagen cuenta como uno propio",
        "use_sizes": "tamaños: de {smallest} a {largest}, como {names}",
        "use_closed": "; no se pueden abrir, y preprocess parará: {count}",
        "use_left_out": "queda fuera: {kinds}", "use_nothing": "nada", "use_more": " y {count} más",
        "masks": "máscaras", "pictures without classes": "imágenes sin clases",
        "without an extension": "sin extensión", "of other programs": "de otros programas",
        "use_catalogue": "con {name}", "use_grey": "para imágenes grises de hasta {pixels} píxeles",
        "use_large": "para imágenes en color o de más de {pixels} píxeles",
        "use_preset": "params.yaml: {preset}, {why}; el de antes: params.yaml.bak",
        "use_metric": "{metric}, pues la clase mayor es {times} veces la menor",
        "use_epochs": "{epochs}, con {images} imágenes",
        "use_long": "finetune.lite0_todo y finetune.control, con todas sus capas: {why}",
        "use_many": "participan, pues hay muchas imágenes",
        "use_asked": "participan, como se pidió",
        "use_few": "no participan, con menos de {images} imágenes; ALL=1 los añade",
        "use_staying": "{value}, como decía params.yaml",
        "use_folds": "{folds}, pues las imágenes, o los grupos, no dan para más",
        "use_pad": "pad, pues no todas son cuadradas y recortar quitaría lo que distingue",
        "use_time": "make repro tardará alrededor de {minutes} min, con {cores} núcleos y sin GPU",
    },
    "en": {
        "point": ".", "thousands": ",", "percent": "{number}%", "and": "and",
        "times": "{number} times", "share": "{percent} of",
        "numerals": "zero one two three four five six seven eight nine ten",
        # comparacion_metrics.csv
        "spread": "SD {metric}", "low": "95% CI low", "high": "95% CI high",
        "on_test": "{metric} (test)", "trained": "Trained parameters", "pretraining": "Pretraining",
        "from_scratch": "nothing", "executed": "Executed parameters",
        "per_answer": "Operations per answer", "to_train": "Training operations",
        "balanced": "Balanced accuracy", "of_largest": "Accuracy of the largest class",
        "folds": "Folds",
        # Pictures
        "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy",
        "percent_interval": "{metric} (%), 95% CI", "example": "Label: {label}",
        "curve": "Learning curve", "curve_y": "{metric} (%), 95% CI",
        "curve_x": "Training images (log scale)", "curve_gain": "Difference (points), 95% CI",
        "curve_rope": "practically nothing", "curve_none": "no curves: curve.sections is empty",
        "loss": "Loss curves", "loss_x": "Epoch", "loss_y": "Loss (cross-entropy, log scale)",
        "loss_legend": "mean and range of the folds", "entrenamiento": "training",
        "validación": "validation", "fold_title": "Validation {english} by fold",
        "fold": "Fold {name}", "fold_mean": "Mean, 95% CI", "fold_y": "Folds: repeat.fold",
        "fold_gap": "; above each line, the difference in points", "fold_largest": "largest class",
        "cost": "Validation {english} and cost",
        "cost_train": "Training operations (floating point, log scale)",
        "cost_answer": "Operations per answer (floating point, log scale)",
        "cost_all": "everything, pretraining included", "cost_fit": "fine-tuning alone",
        "cost_unknown": "fine-tuning alone: what the pretraining cost is unknown",
        "confusion": "Confusion matrix: test images and % of the row",
        "confusion_shares": "Confusion matrix: share of the row's test images",
        "confusion_x": "Prediction", "confusion_y": "True label",
        "calibration": "Calibration: is it right as often as it says?",
        "ece": "ECE {ece} points{between}(calibrated: up to {chance})",
        "calibration_y": "Accuracy (%)", "calibration_x": "Confidence (%)",
        "calibration_images": "Images\n(log scale)", "calibration_perfect": "perfect calibration",
        "calibration_seen": "observed accuracy, 95% CI",
        "errors": "The most confident errors on the test images", "errors_none": "no errors",
        "error": "said {predicted}{between}({confidence})\nwas {label}", "letters": "Drawn letters",
        "letters_data": "{dataset} images",
        "letters_alike": "letter with the shape of a digit (by correlation)",
        "letters_first": "like", "letters_other": "others,\nrandom",
        # The study (estudio/)
        "map": "Who wins? Accuracy of the best, and its lead [95% CI] over the other kind",
        "map_x": "Training images", "map_all": "all layers", "map_last": "last layer",
        "map_scratch": "from scratch wins",
        "map_pretrained": "pretrained wins", "map_open": "undecided (the 95% CI contains 0)",
        "map_equal": "practically equal (±{rope} points)",
        "map_tied": "tied with {count} more", "map_gap": "+{points} points\n[{low}, {high}]",
        "map_error": "Error (%, log scale), 95% CI",
        "map_curves": "Error by training images",
        "map_cost": "Error by training operations",
        "map_cost_x": "Training operations,\nletters included, ImageNet not (log scale)",
        "map_letters": "letters", "map_imagenet": "ImageNet",
        "map_workshop": "the workshop's code ({source})", "map_fresh": "{name} from scratch",
        "coverage": "How often does a 95% interval cover?",
        "coverage_random": "Random folds", "coverage_grouped": "Folds by writer",
        "coverage_mean": "Covers the mean", "coverage_own": "Covers its own networks'",
        "coverage_wrong": "Is wrong", "coverage_p": "{measure}: p < 0.05",
        "t × 0": "t, uncorrected", "t × 0.5": "t, half the correction",
        "t × 1": "corrected t (report)", "t × 2": "t, twice the correction",
        "all pairs": "by image", "all pairs by group": "by writer",
        # make predict, and make pizarra
        "unsure": "unsure; perhaps {second}",
        "blank": "nothing is written there",
        "framed": "it seems to have a frame or a title: paper should reach the border",
        "tiny": "it is too small: it takes {pixels} pixels, and {ink} of ink",
        "huge": "it is too large: over {megapixels} megapixels",
        "absent": "there is no such file, or it may not be read",
        "heic": "it is HEIC: save it as JPEG",
        "damaged": "it is damaged, or no picture that can be read",
        "readable": "to compare, {file} is read well",
        # make use
        "as_part": "{names} as {part}", "part_train": "train", "part_test": "test",
        "as_drawn": "a share of each class as test (preprocess.test_share)",
        "use_classes": "{count} classes, with pictures of train + test: {classes}",
        "use_groups": "groups: {count}, by {where}", "folders": "folders",
        "use_groups_left": ", of which preprocess.groups: none takes no account",
        "use_no_groups": "groups: none, so that each picture counts as one of its own",
        "use_sizes": "sizes: {smallest} to {largest}, such as {names}",
        "use_closed": "; cannot be opened, and preprocess will stop: {count}",
        "use_left_out": "left out: {kinds}", "use_nothing": "nothing",
        "use_more": " and {count} more", "masks": "masks",
        "pictures without classes": "pictures without classes",
        "without an extension": "without an extension", "of other programs": "of other programs",
        "use_catalogue": "with {name}", "use_grey": "for grey pictures of at most {pixels} pixels",
        "use_large": "for pictures in colour or of over {pixels} pixels",
        "use_preset": "params.yaml: {preset}, {why}; before it: params.yaml.bak",
        "use_metric": "{metric}, as the largest class is {times} times the smallest",
        "use_epochs": "{epochs}, with {images} pictures",
        "use_long": "finetune.lite0_todo and finetune.control, with all their layers: {why}",
        "use_many": "take part, as there are many pictures", "use_asked": "take part, as asked",
        "use_few": "left out, with fewer than {images} pictures; ALL=1 adds them",
        "use_staying": "{value}, as params.yaml had it",
        "use_folds": "{folds}, as there are no pictures, or groups, for more",
        "use_pad": "pad, as not all are square, and a crop might cut off what tells them apart",
        "use_time": "make repro will take about {minutes} min, on {cores} cores and without a GPU",
    },
}
# fmt: on
