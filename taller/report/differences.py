"""The report's sentences on who is better, by how much, and how surely."""

import numpy as np

from taller.report.reflections import Outcome, outcome
from taller.report.spanish import count, listed, number, p_value, percent
from taller.scores.comparison import Comparison, Pair
from taller.scores.results import Result
from taller.scores.statistics import SIGNIFICANT


def verdict(found: Comparison) -> str:
    """The answer in one sentence."""
    better, worse = found.winner.entry.short, found.runner_up.entry.short
    many = len(found.models) > 2
    if outcome(found) is Outcome.TIE:
        first = "las dos redes de mejor accuracy, " if many else ""
        ending = "," if many else ""
        return f"Con estos datos, {first}{listed([worse, better])}{ending} no se distinguen."
    points = number(100 * found.decisive.difference.mean, 2)
    second = ", la segunda," if many else ""
    return f"{better} supera a {worse}{second} en {points} puntos porcentuales de accuracy."


def fold_test(found: Comparison) -> str:
    """What the folds say of the winner and the runner-up."""
    better, worse, pair = found.winner.entry.short, found.runner_up.entry.short, found.decisive
    low, high = (number(100 * end, 2) for end in (pair.difference.low, pair.difference.high))
    holm, alone, consistent = "", "", "es compatible con cero"
    if len(found.pairs) > 1:
        holm = f", y corrección de Holm entre las {len(found.pairs)} parejas"
        # The interval is of this pair alone, and may leave out zero where Holm's p does not.
        alone, consistent = " sin corregir", "no basta para separarlos"
    numbers = (
        f"IC 95 %{alone} de {low} a {high}; prueba t corregida de Nadeau y Bengio{holm}, "
        f"{p_value(pair.p_value)}"
    )
    points = number(100 * pair.difference.mean, 2)
    if outcome(found) is Outcome.TIE:
        favour = "" if points == number(0, 2) else f" a favor de {better}"
        return (
            f"**{listed([worse, better])} no se distinguen.** La diferencia media en validación "
            f"cruzada, {points} puntos de accuracy{favour}, {consistent} ({numbers})."
        )
    return (
        f"**{better} supera a {worse}.** En validación cruzada, su accuracy es {points} puntos "
        f"mayor ({numbers})."
    )


def image_test(found: Comparison) -> str:
    """What the test images say of the same two."""
    pair = found.decisive
    if found.models.index(pair.first) > found.models.index(pair.second):
        pair = pair.turned()
    first, second = pair.first.entry.short, pair.second.entry.short
    only_first, only_second = pair.disagreement.only_first, pair.disagreement.only_second
    numbers = (
        f"de ellas, {second} acierta {count(only_second)} que {first} falla, y {first} "
        f"{count(only_first)} que {second} falla (prueba exacta de McNemar, "
        f"{p_value(pair.disagreement.p_value)}); ambos fallan {count(pair.neither)}."
    )
    tie = outcome(found) is Outcome.TIE
    if pair.disagreement.p_value >= SIGNIFICANT:
        if tie:
            return f"Tampoco las imágenes de prueba los separan: {numbers}"
        return f"Las imágenes de prueba no bastan para confirmarlo: {numbers}"
    ahead = second if only_second > only_first else first
    if tie:
        return (
            f"Las imágenes de prueba sí favorecen a {ahead}: {numbers} Pero eso habla de estas "
            "dos redes, no de lo que daría otro entrenamiento."
        )
    if ahead == found.winner.entry.short:
        return f"Las imágenes de prueba lo confirman: {numbers}"
    return f"Las imágenes de prueba, en cambio, favorecen a {ahead}: {numbers}"


def all_pairs(found: Comparison) -> str:
    """A table of every two models, where there are more than two; else nothing."""
    if len(found.pairs) == 1:
        return ""
    lines = "\n".join(_pair_row(pair) for pair in found.pairs)
    return f"""
| Pareja | Diferencia (puntos) | p (t, Holm) | p (McNemar) |
|---|---|---|---|
{lines}

Diferencia: accuracy del segundo menos la del primero en validación cruzada y, entre corchetes, su intervalo del 95 %, sin corregir por el número de parejas; la p de la prueba t sí lo está (Holm, 1979), la de McNemar no.
"""  # noqa: E501


def against_baseline(found: Comparison) -> str:
    """What each challenger trains, and on how many folds it wins, against the baseline."""
    return "\n\n".join(
        _against(found.baseline, challenger, alone=len(found.models) == 2)
        for challenger in found.challengers
    )


def spread(found: Comparison) -> str:
    """How much the folds vary, and whether the best two models' ranges meet."""
    ranges = [
        (result.scores("accuracy").min(), result.scores("accuracy").max())
        for result in found.models
    ]
    parts = [
        f"de {number(100 * low, 2)} a {percent(high)} en {result.entry.short}"
        for (low, high), result in zip(ranges, found.models, strict=True)
    ]
    first, second = (ranges[found.models.index(result)] for result in found.ranking[:2])
    apart = first[1] < second[0] or second[1] < first[0]
    which = "los dos rangos"
    if len(found.models) > 2:
        which = f"los rangos de {listed([result.entry.short for result in found.ranking[:2]])}"
    return (
        "La validación cruzada deja ver cuánto varía el resultado: entre pliegues, la accuracy va "
        f"{listed(parts)}; {which} {'no se tocan' if apart else 'se solapan'}."
    )


def _against(baseline: Result, challenger: Result, *, alone: bool) -> str:
    base, name = baseline.entry.short, challenger.entry.short
    trained = challenger.trained_parameters
    tuned = alone and challenger.entry.pretrained
    trains = "El fine-tuning ajusta" if tuned else f"{name} entrena"
    who = "La red ajustada" if tuned else name
    ratio = _ratio(trained, baseline.trained_parameters)
    first, second = baseline.scores("accuracy"), challenger.scores("accuracy")
    wins, folds = int(np.sum(second > first)), len(first)
    beats = f"supera a {base} en"
    told = {0: f"no {beats} ninguno de los {folds}", folds: f"{beats} los {folds}"}
    return (
        f"{trains} {count(trained)} parámetros, {ratio} los que entrena {base}. "
        f"{who} {told.get(wins, f'{beats} {wins} de los {folds}')} pliegues."
    )


def _ratio(trained: int, others: int) -> str:
    if trained < others:
        return f"el {percent(trained / others, 1)} de"
    return f"{number(trained / others, 1)} veces"


def _pair_row(pair: Pair) -> str:
    difference = pair.difference
    mean, low, high = (
        number(100 * value, 2, sign=True)
        for value in (difference.mean, difference.low, difference.high)
    )
    return (
        f"| {pair.first.entry.short}, {pair.second.entry.short} | {mean} [{low}; {high}] | "
        f"{p_value(pair.p_value)} | {p_value(pair.disagreement.p_value)} |"
    )
