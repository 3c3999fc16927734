"""The answer, in the report's first lines: what may be said, and what it would take to say more."""

from collections.abc import Sequence

from taller.report import steps
from taller.report.spanish import certainty, listed, percent, plain, points
from taller.report.words import words
from taller.scores.comparison import Comparison
from taller.scores.pair import Pair, Verdict
from taller.scores.premises import Failure, Kind
from taller.scores.results import Result

START = {
    "glyphs": "preentrenada con letras y ajustada",
    "imagenet": "preentrenada con ImageNet y ajustada",
    "none": "sin preentrenar",
}
LEAD = {
    Verdict.BETTER: "sí",
    Verdict.EQUAL: "no: es prácticamente igual",
    Verdict.WORSE: "no: queda por debajo",
    Verdict.UNKNOWN: "no se puede decir",
}
# What to change where a premise fails.
REMEDIES = {
    Kind.PRETRAINING: "más letras (`pretrain.images`)",
    Kind.FALLING: "más épocas (`epochs`; con pocas imágenes, `min_steps`)",
    Kind.FOLDS: "más pliegues o repeticiones (`preprocess`)",
}
# What a step of the way from the baseline to the fine-tuned network is worth.
SIZE = {
    Verdict.BETTER: "una mejora",
    Verdict.WORSE: "una pérdida",
    Verdict.EQUAL: "en la práctica nada",
    Verdict.UNKNOWN: "sin decidir",
}


def question(found: Comparison) -> str:
    """What is asked of these models."""
    how_much = "¿Por cuánto y con qué certeza?"
    if not steps.against_scratch(found):
        return f"De {listed(_names(found.models))}, ¿cuál acierta más? {how_much}"
    if found.pretraining["source"] == "none":
        tuned = steps.tuned(found).entry.short
        return f"¿Una {tuned} sin preentrenar supera a una pequeña entrenada desde cero? {how_much}"
    return f"¿Conviene ajustar una red preentrenada o entrenar una pequeña desde cero? {how_much}"


def answer(found: Comparison) -> str:
    """The answer in two or three paragraphs; or, where a premise fails, why there is none."""
    if found.premises:
        return (
            f"**Sin conclusión: {_failed(found.premises)}.** Lo que sigue describe "
            f"lo medido y no decide nada; para decidir hacen falta {_remedy(found.premises)}."
            f"\n\n{_accuracies(found)}"
        )
    pairs = steps.against_scratch(found)
    if not pairs:
        lead = _first_of(found)
    elif found.pretraining["source"] == "none":
        lead = _lead(pairs)
    else:
        lead = _verdict(found)
    told = f"**{lead}** {_accuracies(found)} {_evidence(found, pairs or [found.decisive])}"
    return "\n\n".join(part for part in (told, _split(found)) if part)


def settling(pair: Pair, found: Comparison) -> str:
    """What it would take to tell two models apart."""
    names = listed(_names([pair.first, pair.second]))
    if pair.settled_by:
        return (
            f"Para decidir entre {names} bastarían {pair.settled_by} repeticiones en total "
            f"(`preprocess.repeats`; hay {found.data['repeats']}), si las diferencias siguen "
            "siendo como hasta ahora."
        )
    return (
        f"Para decidir entre {names} no basta con repetir: harían falta más imágenes, y de "
        f"{words(found).elsewhere}."
    )


def _remedy(failures: Sequence[Failure]) -> str:
    """What would have to be changed for all premises to hold."""
    return listed([REMEDIES[kind] for kind in dict.fromkeys(one.kind for one in failures)])


def _failed(failures: Sequence[Failure]) -> str:
    """What does not hold, in one sentence."""
    reasons = []
    for one in failures:
        if one.kind is Kind.PRETRAINING:
            reasons.append(
                f"el preentrenamiento no aprendió las letras (acierta el {percent(one.value)}; "
                f"diez veces el azar sería el {percent(one.limit)})"
            )
        if one.kind is Kind.FOLDS:
            reasons.append("hay una sola medida de cada modelo, y no se sabe cuánto varía")
    falling = [one for one in failures if one.kind is Kind.FALLING]
    if once := [one.model.entry.short for one in falling if one.value is None]:
        reasons.append(f"con una sola época ({listed(once)}) no se sabe si la pérdida aún bajaba")
    if still := [one for one in falling if one.value is not None]:
        parts = [f"un {percent(one.value, 0)} en {one.model.entry.short}" for one in still]
        reasons.append(
            "la pérdida de validación aún bajaba en la última época, y con ella subía la "
            f"exactitud ({listed(parts)}; se admite un {percent(still[0].limit, 0)})"
        )
    return "; ".join(reasons)


def _verdict(found: Comparison) -> str:
    """What to do, in one sentence: of the fine-tuned network against the best one from scratch."""
    scratch, tuned = found.best_scratch, steps.tuned(found)
    pair = found.pair(scratch.entry.key, tuned.entry.key)
    best = f"{scratch.entry.short}, entrenada desde cero"
    if len(found.scratch) > 1:
        best = f"{scratch.entry.short}, la mejor de las entrenadas desde cero"
    learnt = f"{tuned.entry.short}, {START[found.pretraining['source']]}"
    cheaper, dearer = sorted((scratch, tuned), key=lambda one: one.answer_flops)
    what = {scratch: "Desde cero", tuned: "Fine-tuning"}[cheaper]
    return {
        Verdict.BETTER: f"Fine-tuning: {learnt}, acierta más que {best}.",
        Verdict.WORSE: f"Desde cero: {scratch.entry.short} acierta más que {learnt}.",
        Verdict.EQUAL: f"{what}: {learnt}, y {best}, aciertan prácticamente lo mismo, y cada "
        f"respuesta de {cheaper.entry.short} cuesta menos que una de {dearer.entry.short}.",
        Verdict.UNKNOWN: f"No se puede decir: entre {learnt}, y {best}, la diferencia queda sin "
        "decidir.",
    }[pair.verdict]


def _lead(pairs: list[Pair]) -> str:
    """Yes, no or unknown, of the networks from scratch that it is true of."""
    groups = {told: [] for told in LEAD.values()}
    for pair in pairs:
        groups[LEAD[pair.verdict]].append(pair.first.entry.short)
    groups = {told: names for told, names in groups.items() if names}
    if len(groups) == 1:
        (told,) = groups
    else:
        told = "; ".join(f"a {listed(names)}, {told}" for told, names in groups.items())
    return f"{told[0].upper()}{told[1:]}."


def _first_of(found: Comparison) -> str:
    better, worse = found.winner.entry.short, found.runner_up.entry.short
    return {
        Verdict.BETTER: f"{better}.",
        Verdict.EQUAL: f"{listed([better, worse])} son prácticamente iguales.",
    }.get(found.decisive.verdict, f"No se puede decir si {better} o {worse}.")


def _accuracies(found: Comparison) -> str:
    parts = [
        f"del {percent(one.scores('accuracy').mean())} en {one.entry.short}" for one in found.models
    ]
    return (
        "En validación cruzada, la exactitud (*accuracy*, la proporción de imágenes bien "
        f"clasificadas) es {listed(parts)}."
    )


def _evidence(found: Comparison, pairs: list[Pair]) -> str:
    """How the second model of these pairs stands to each of the first ones."""
    best = pairs[0].second.entry
    control = best.pretrained and found.pretraining["source"] == "none"
    start = f", {START['none']}," if control else ""
    rope = plain(round(100 * found.rope, 6))
    unknown = [settling(pair, found) for pair in pairs if pair.verdict is Verdict.UNKNOWN]
    return " ".join(
        [
            f"{best.short}{start} {listed([_clause(pair) for pair in pairs])}.",
            f"De antemano se declaró que una diferencia de menos de {rope} puntos porcentuales es "
            "prácticamente ninguna; cada probabilidad es la de que la diferencia pase de ese "
            "margen o, donde se concluye que son iguales, la de que no pase.",
            *unknown,
        ]
    )


def _clause(pair: Pair) -> str:
    other, difference, chances = pair.first.entry.short, pair.difference, pair.posterior
    low, high = points(difference.low, sign=True), points(difference.high, sign=True)
    size = f"{points(difference.mean, sign=True)} puntos; IC 95 % de {low} a {high}"
    return {
        Verdict.BETTER: f"supera a {other} ({size}; probabilidad: {certainty(chances.better)})",
        Verdict.WORSE: f"queda por debajo de {other} ({size}; probabilidad: "
        f"{certainty(chances.worse)})",
        Verdict.EQUAL: f"es prácticamente igual a {other} ({size}; probabilidad: "
        f"{certainty(chances.equal)})",
        Verdict.UNKNOWN: f"frente a {other} queda sin decidir ({size}; probabilidades de peor, "
        f"igual y mejor: {certainty(chances.worse)}, {certainty(chances.equal)} y "
        f"{certainty(chances.better)})",
    }[pair.verdict]


def _split(found: Comparison) -> str:
    """What the architecture gives and what pretraining gives."""
    parts = steps.split(found)
    pairs = steps.against_scratch(found)
    if parts is None:
        if len(pairs) != 1 or found.pretraining["source"] == "none":
            return ""
        names = listed(_names([pairs[0].first, pairs[0].second]))
        return (
            f"{names} difieren en la arquitectura además del preentrenamiento: cuánto se debe a "
            "cada cosa, esta comparación no lo dice."
        )
    first, second, both = parts
    base, between, best = (one.entry.short for one in (both.first, first.second, both.second))
    step, caveat = (
        "el preentrenamiento",
        "El segundo paso cambia también la arquitectura: no aísla el preentrenamiento.",
    )
    if found.pretraining["source"] == "none":
        step, caveat = "el cambio de red", "Ninguno de los dos pasos lleva preentrenamiento."
    return (
        f"**De dónde viene la diferencia.** De {base} a {best} van {_points(both)} puntos, en dos "
        f"pasos: la arquitectura ({between} − {base}) da {_points(first)}, {SIZE[first.verdict]}, "
        f"y {step} ({best} − {between}), {_points(second)}, {SIZE[second.verdict]}. {caveat}"
    )


def _points(pair: Pair) -> str:
    return points(pair.difference.mean, sign=True)


def _names(models: Sequence[Result]) -> list[str]:
    return [result.entry.short for result in models]
