"""How sure the answer is: folds, intervals, tests, and every two models against each other."""

from taller.report import steps
from taller.report.answer import settling
from taller.report.spanish import certainty, count, listed, number, p_value, percent, plain, points
from taller.report.words import words
from taller.scores.comparison import Comparison
from taller.scores.pair import Pair, Verdict

CONCLUSIONS = {
    Verdict.BETTER: "mejor",
    Verdict.WORSE: "peor",
    Verdict.EQUAL: "prácticamente iguales",
    Verdict.UNKNOWN: "no se puede decir",
}


def folds(found: Comparison) -> str:
    """How often each model was trained, on which images, and on whose it was measured."""
    many, repeats = found.data["folds"], found.data["repeats"]
    again = ""
    if repeats > 1:
        others = ["otros pliegues", "otras semillas"]
        others += ["otra red preentrenada"] * (_networks(found) > 1)
        again = f" Hay {repeats} repeticiones, cada una con {listed(others)}."
    return (
        f"Cada modelo se entrena {many} veces, cada vez sin uno de {many} pliegues estratificados, "
        "y se mide en el que no vio. Los pliegues son los mismos para todos: la comparación es "
        f"pareada.{again} {_groups(found)}"
    )


def covered(found: Comparison) -> str:
    """What the intervals take into account, and what they leave out."""
    groups = found.data["groups"]
    together = groups is not None and groups["kept_together"]
    whose = f"estos {words(found).origins}" if together else "estas imágenes"
    repeats, networks = found.data["repeats"], _networks(found)
    inside = [
        _several(repeats, "un solo reparto", "repartos"),
        *[_several(networks, "una sola red preentrenada", "redes preentrenadas")] * (networks > 0),
        "una semilla por entrenamiento",
    ]
    outside = [
        *["otros repartos"] * (repeats == 1),
        *["otro preentrenamiento"] * (networks == 1),
        "otros hiperparámetros",
        "otra manera de recoger las imágenes",
    ]
    return (
        f"El intervalo cubre lo que cambia de un pliegue a otro de {whose}, con {listed(inside)}. "
        f"No cubre lo que cambiaría con {listed(outside)}, que también pesan (Bouthillier et al., "
        "2021)."
    )


def all_pairs(found: Comparison) -> str:
    """A table of every two models, with a conclusion each where no premise fails."""
    concluded = not found.premises
    heading = ["Comparación", "Diferencia (puntos)", "p", "P(peor)", "P(igual)", "P(mejor)"]
    heading += ["Conclusión"] * concluded
    names = _steps(found)
    lines = [heading, ["---"] * len(heading)]
    for pair in found.pairs:
        label = f"{pair.second.entry.short} frente a {pair.first.entry.short}"
        if step := names.get((pair.first, pair.second)):
            label += f" ({step})"
        lines.append([label, *_numbers(pair), *[CONCLUSIONS[pair.verdict]] * concluded])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def explained(found: Comparison) -> str:
    """What the columns of `all_pairs` mean."""
    holm = ""
    if len(found.pairs) > 1:
        holm = (
            f" y, por ser {len(found.pairs)} las comparaciones, con el método de Holm (Holm, 1979)"
        )
    conclusion = " Se concluye lo que pase del 95 %; si nada pasa, no se puede decir."
    if found.premises:
        conclusion = ""
    rope = plain(round(100 * found.rope, 6))
    return (
        "Diferencia: exactitud del primero menos la del segundo, media de los pliegues, y entre "
        "corchetes su intervalo de confianza del 95 %. p: prueba t pareada, corregida por el "
        f"solapamiento de los conjuntos de entrenamiento (Nadeau y Bengio, 2003){holm}. P: "
        "probabilidad de que el primero sea peor, prácticamente igual o mejor que el segundo, con "
        f"el margen de {rope} puntos declarado de antemano (`compare.rope`), según la prueba t "
        f"bayesiana correlacionada (Benavoli et al., 2017).{conclusion}"
    )


def unsettled(found: Comparison) -> str:
    """What would settle the pairs that the answer does not speak of; nothing where all are."""
    told = steps.against_scratch(found) or [found.decisive]
    answered = [{pair.first, pair.second} for pair in told]
    return " ".join(
        settling(pair, found)
        for pair in found.pairs
        if pair.verdict is Verdict.UNKNOWN
        and {pair.first, pair.second} not in answered
        and not found.premises
    )


def spread(found: Comparison) -> str:
    """How much the folds vary, and whether the best two models' ranges meet."""
    ranges = {
        one: (one.scores("accuracy").min(), one.scores("accuracy").max()) for one in found.models
    }
    parts = [
        f"de {number(100 * low, 2)} a {percent(high)} en {one.entry.short}"
        for one, (low, high) in ranges.items()
    ]
    best = found.ranking[:2]
    first, second = (ranges[one] for one in best)
    apart = second[1] < first[0]  # the first has the higher mean
    names = listed([one.entry.short for one in found.models if one in best])
    return (
        f"Entre pliegues, la exactitud va {listed(parts)}; los rangos de {names} "
        f"{'no se solapan' if apart else 'se solapan'}."
    )


def _groups(found: Comparison) -> str:
    groups, own = found.data["groups"], words(found)
    if groups is None:
        return (
            f"No se sabe de qué {own.origins} son las imágenes: si las de un mismo "
            f"{own.origin} caen a los dos lados de un pliegue, lo medido es optimista."
        )
    who = f"Los {count(groups['train'])} {own.origins}{own.source}"
    if groups["kept_together"]:
        kept = (
            f"{who} no se reparten: las imágenes de cada uno van al mismo pliegue, y se valida con "
            f"{own.origins} que no se vieron al entrenar."
        )
    else:
        kept = (
            f"{who} están a los dos lados de cada pliegue: se valida con {own.origins} que también "
            "se vieron al entrenar, y el intervalo sale más estrecho de lo que sería con otros."
        )
    test, shared = count(groups["test"]), groups["shared"]
    if not shared:
        if groups["test"] == 1:
            return f"{kept} El de la prueba no está entre ellos."
        return f"{kept} Ninguno de los {test} de la prueba está entre ellos."
    return f"{kept} De los {test} de la prueba, {count(shared)} están entre ellos."


def _several(number: int, one: str, many: str) -> str:
    return one if number == 1 else f"{number} {many}"


def _networks(found: Comparison) -> int:
    """Pretrained networks that took part."""
    if not found.pretrained or found.pretraining["source"] == "none":
        return 0
    return found.pretraining["networks"]


def _steps(found: Comparison) -> dict[tuple, str]:
    parts = steps.split(found)
    if parts is None:
        return {}
    second = "preentrenamiento"
    if found.pretraining["source"] == "none":
        second = "otra red"
    return {
        (pair.first, pair.second): name
        for pair, name in zip(parts, ("arquitectura", second, "ambas cosas"), strict=True)
    }


def _numbers(pair: Pair) -> list[str]:
    difference, chances = pair.difference, pair.posterior
    mean, low, high = (
        points(value, sign=True) for value in (difference.mean, difference.low, difference.high)
    )
    return [
        f"{mean} [{low}; {high}]",
        p_value(pair.p_value).removeprefix("p = ").removeprefix("p "),
        *(certainty(chance) for chance in (chances.worse, chances.equal, chances.better)),
    ]
