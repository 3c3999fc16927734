"""What the workshop found, how far this comparison speaks to it, and what limits it.

The workshop's pair is the baseline and the fine-tuned network, on MNIST. It put the order of the
two down to how little ImageNet resembles MNIST, and said what cross-validation is good for.
"""

from taller.models import catalogue
from taller.report import steps
from taller.report.compared import twins
from taller.report.spanish import listed, literal, percent, points
from taller.report.words import words
from taller.scores.comparison import Comparison
from taller.scores.pair import Verdict

WORKSHOP = (
    "El taller comparó SimpleNN con una ResNet18 de ImageNet, a la que puso una primera capa nueva "
    "y de la que ajustó la última. Ganó la red simple, y el taller concluyó que la "
    "efectividad del *fine-tuning* «depende de la similitud entre el dataset original y el nuevo»."
)
# Of the fine-tuned network against the baseline: what came out, and what it says of that thought.
SIMILARITY = {
    ("glyphs", Verdict.BETTER): (
        "Aquí, con letras, sale lo contrario. Concuerda con esa idea, pues letras y dígitos son "
        "trazos sobre un fondo liso, pero no la prueba"
    ),
    ("glyphs", Verdict.WORSE): (
        "Aquí también gana la red simple, y eso con letras, que se parecen a los dígitos más que "
        "las fotografías. Va en contra de esa idea, pero no la refuta"
    ),
    ("glyphs", Verdict.EQUAL): (
        "Aquí, con letras, las dos son prácticamente iguales. No va en contra de esa idea, pues la "
        "red ajustada ya no pierde, pero no la prueba"
    ),
    ("glyphs", Verdict.UNKNOWN): (
        "Aquí, con letras, no se puede decir cuál de las dos es mejor, y por tanto nada de esa idea"
    ),
    ("imagenet", Verdict.BETTER): (
        "Aquí, también con ImageNet, sale lo contrario, pese a lo poco parecido de los datos"
    ),
    ("imagenet", Verdict.WORSE): (
        "Aquí, también con ImageNet, sale lo mismo. Concuerda con esa idea, pero no la prueba"
    ),
    ("imagenet", Verdict.EQUAL): (
        "Aquí, también con ImageNet, las dos son prácticamente iguales, pese a lo poco parecido "
        "de los datos"
    ),
    ("imagenet", Verdict.UNKNOWN): (
        "Aquí, también con ImageNet, no se puede decir cuál de las dos es mejor, y por tanto nada "
        "de esa idea"
    ),
}
CONTROL = (
    "Aquí no hay preentrenamiento: es el control, y de esa idea no dice nada. Lo que unos pesos "
    "preentrenados mejoren sobre este resultado se deberá a ellos."
)
# Where the small network in between beats the baseline: the fine-tuned one against it.
WITHOUT = {
    Verdict.BETTER: "{tuned} supera también a {between}, que nada aprendió antes: algo suma el "
    "preentrenamiento, o la red mayor.",
    Verdict.EQUAL: "Y {between} llega igual de lejos sin preentrenamiento: para eso bastaba "
    "cambiar la arquitectura.",
    Verdict.WORSE: "Y {between} llega más lejos sin preentrenamiento: bastaba cambiar la "
    "arquitectura.",
}
CROSS_VALIDATION = (
    "Dice además que la validación cruzada sirve para «evitar sobreajuste». No lo evita, lo deja "
    "ver; y deja ver cuánto varía el resultado."
)


def reflection(found: Comparison) -> str:
    """The workshop's closing thought where its question was asked of its images; else little."""
    base, tuned = found.baseline, steps.tuned(found)
    if found.data["dataset"] != "MNIST":
        return ""
    if tuned is None or base.entry.pretrained:
        return (
            "El taller original comparó otras dos redes; de su idea esta comparación no dice nada."
        )
    return f"{WORKSHOP} {_similarity(found)}\n\n{CROSS_VALIDATION}"


def limits(found: Comparison) -> str:
    """A bullet per thing that this comparison does not show."""
    digits, own = found.data["dataset"] == "MNIST", words(found)
    told = [
        f"Vale para las imágenes de {literal(found.data['dataset'])}, para esta cantidad de ellas, "
        "estas redes y estos hiperparámetros.",
    ]
    if digits:
        told.append(
            "Los hiperparámetros se eligieron con imágenes que después también validan: un "
            "optimismo que aquí no se mide. Las de prueba no intervinieron."
        )
    facts, side = found.data["pictures"], found.data["shape"][1]
    if facts is not None and min(facts["largest"]) > side:
        told.append(
            f"Las imágenes se redujeron a {side} píxeles (`preprocess.image_size`): de lo que así "
            "no se ve ninguna red pudo aprender."
        )
    tuned = steps.tuned(found)
    if tuned is not None and tuned.training["frozen"] and tuned.training["trained"]:
        parts = listed([f"`{part}`" for part in tuned.training["trained"]])
        told.append(
            f"De {tuned.entry.short} solo se ajusta {parts} (`finetune.trainable`): con más capas "
            "ajustadas el resultado puede ser otro."
        )
    if found.pretrained and found.pretraining["source"] != "none":
        told.append(
            "Para aislar el preentrenamiento hace falta la misma red con él y sin él: con todas "
            "estas imágenes no se ha hecho."
        )
    errors = 1 - found.winner.scores("accuracy").mean()
    if 0 < errors < 4 * found.rope:
        told.append(
            f"Un margen de {points(found.rope)} puntos es ancho cuando se falla tan poco: es el "
            f"{percent(found.rope / errors, 0)} de los errores de {found.winner.entry.short}. "
            "«Prácticamente iguales» no excluye diferencias menores."
        )
    if digits and found.pretrained and twins(found.pretraining):
        told.append(
            "No se dibujó ningún dígito, pero la forma de varios ya estaba entre las letras."
        )
    if found.data["groups"] is None:
        told.append("Nada asegura que lo que entrena y lo que valida no tengan un mismo origen.")
        if found.data["pictures"] is not None:
            told.append(
                "Si hay varias imágenes de una misma cosa (un paciente, un producto, una toma), "
                "el resultado es optimista hasta que `groups.csv` diga cuáles van juntas."
            )
    else:
        told.append(
            "En la prueba, los intervalos tratan cada imagen como independiente; las de un mismo "
            f"{own.origin} no lo son, y salen algo estrechos."
        )
    return "\n".join(f"- {one}" for one in told)


def _similarity(found: Comparison) -> str:
    if found.premises:
        return "Como aquí falla una premisa, de esa idea no se puede decir nada."
    source, base, tuned = found.pretraining["source"], found.baseline, steps.tuned(found)
    if source == "none":
        return CONTROL
    verdict = found.pair(base.entry.key, tuned.entry.key).verdict
    told = SIMILARITY[source, verdict]
    if verdict is not Verdict.UNKNOWN:
        changed = _changed(found)
        changes = "cambian a la vez" if len(changed) > 1 else "cambia"
        told += f": respecto del taller {changes} {listed(changed)}"
    return f"{told}.{_without(found)}"


def _changed(found: Comparison) -> list[str]:
    """What is not as it was in the workshop."""
    changed = ["la manera de entrenar"]
    if steps.tuned(found).training["knobs"].get("stem") != "random":
        changed.insert(0, "la primera capa")
    if found.pretraining["source"] != "imagenet":
        changed.insert(0, "el preentrenamiento")
    if steps.tuned(found).entry.key != catalogue.RESNET18.key:
        changed.insert(0, "la red")
    return changed


def _without(found: Comparison) -> str:
    """How far the small network in between gets, where it beats the baseline."""
    parts = steps.split(found)
    if parts is None or parts[0].verdict is not Verdict.BETTER:
        return ""
    told = WITHOUT.get(parts[1].verdict, "")
    names = {"base": parts[0].first, "between": parts[1].first, "tuned": parts[1].second}
    return told and f" {told.format(**{key: one.entry.short for key, one in names.items()})}"
