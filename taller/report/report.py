"""The report: a page in Spanish, in the workshop's order.

No number is typed here, and every sentence that depends on who wins, how surely, or from which
pretraining is chosen by the results.
"""

from enum import StrEnum

import numpy as np

from taller.report.spanish import count, number, p_value, percent
from taller.scores.comparison import Comparison, accuracy_on_test, cv_estimate
from taller.scores.results import Result
from taller.scores.statistics import SIGNIFICANT, Estimate


class Outcome(StrEnum):
    """What the corrected t-test over the folds says."""

    TUNED = "gana el fine-tuning"
    SIMPLE = "gana la red simple"
    TIE = "no se distinguen"


NAMES = {"simple_nn": "SimpleNN", "resnet18": "ResNet18"}  # in running text

# The workshop's closing thought, held against what came out.
REFLECTION = {
    ("glyphs", Outcome.TUNED): (
        "El fine-tuning ganó sin que su preentrenamiento viera un solo dígito: lo aprendido con "
        "letras sirve para leer cifras. Concuerda con la idea con que cierra el taller, que la "
        "transferencia depende de la similitud entre los dominios: letras y cifras son trazos "
        "sobre un fondo liso. En el taller original, con pesos de ImageNet, ganó la red simple."
    ),
    ("glyphs", Outcome.SIMPLE): (
        "Como en el taller original, ganó la red simple, y eso que las letras, trazos sobre un "
        "fondo liso, se parecen a las cifras más que las fotografías de ImageNet. La similitud "
        "entre los dominios no basta."
    ),
    ("glyphs", Outcome.TIE): (
        "El preentrenamiento con letras ni dio una ventaja clara ni la quitó. En el taller "
        "original, con pesos de ImageNet, ganó la red simple: que aquí no se distingan es "
        "compatible con que un dominio más parecido ayude, pero no lo demuestra."
    ),
    ("imagenet", Outcome.TUNED): (
        "El fine-tuning ganó, al contrario que en el taller original, aunque las fotografías en "
        "color de ImageNet se parecen poco a MNIST: la distancia entre los dominios no impidió "
        "que lo aprendido se transfiriera."
    ),
    ("imagenet", Outcome.SIMPLE): (
        "Como en el taller original, ganó la red simple, probablemente porque MNIST se parece "
        "poco a ImageNet, de fotografías en color y mayor resolución: la transferencia depende "
        "de la similitud entre los dominios."
    ),
    ("imagenet", Outcome.TIE): (
        "En el taller original, también con ImageNet, ganó la red simple; aquí los dos modelos no "
        "se distinguen. Las fotografías en color de ImageNet, tan distintas de MNIST, no "
        "bastaron para una ventaja clara."
    ),
    ("none", Outcome.TUNED): (
        "La ResNet18 ganó sin ningún preentrenamiento: su ventaja no viene de la transferencia, "
        "sino de la arquitectura y de cómo se entrena. Es el control con el que hay que comparar "
        "cualquier otra fuente."
    ),
    ("none", Outcome.SIMPLE): (
        "Sin preentrenamiento no hay nada que transferir, y ganó la red simple. Es el control: lo "
        "que otra fuente mejore sobre esta ResNet18 se debe a su preentrenamiento."
    ),
    ("none", Outcome.TIE): (
        "Sin preentrenamiento no hay nada que transferir, y los dos modelos no se distinguen. Es "
        "el control: lo que otra fuente mejore sobre esta ResNet18 se debe a su preentrenamiento."
    ),
}


def report(found: Comparison) -> str:
    """Write the report, in Markdown; pictures are beside it."""
    simple, tuned = found.both
    data, folds = found.data, found.data["folds"]
    return f"""# Entrenamiento desde cero y fine-tuning en MNIST

## Objetivo

¿Supera {_challenger(found.pretraining)} a una red pequeña entrenada desde cero, por cuánto y con qué seguridad? **{_verdict(found)}**

## Datos

MNIST: dígitos manuscritos, 28 × 28 píxeles en escala de grises. Se entrena y se valida con {count(data["train_images"])} imágenes repartidas en {folds} pliegues estratificados, los mismos para ambos modelos: la comparación es pareada. Las {count(data["test_images"])} imágenes de prueba se leen una sola vez, al final.

![Ejemplo de MNIST](ejemplo_mnist.png)

## Modelos

- **{simple.name}**: una red pequeña de capas densas, entrenada desde cero ({count(simple.trained_parameters)} parámetros).
- **{tuned.name}**: una red residual con un solo canal de entrada (pesos de partida: SHA-256 {found.pretraining["sha256"][:8]}…). {_pretraining(found.pretraining)}

## Validación cruzada

Cada modelo se entrena {folds} veces, cada vez sin un pliegue, y se mide en el pliegue que no vio. La tabla da la media ± la desviación típica entre pliegues y, entre corchetes, el intervalo de confianza del 95 % de la media, con la varianza corregida por el solape de los entrenamientos (Nadeau y Bengio, 2003).

| Validación | {simple.name} | {tuned.name} |
|---|---|---|
{_cv_rows(found)}

{_last_losses(found)}

![Curvas de pérdida de ambos modelos](curva_loss.png)

## Fine-tuning

El fine-tuning ajusta {count(tuned.trained_parameters)} parámetros, {_ratio(tuned.trained_parameters, simple.trained_parameters)} los que entrena {NAMES[simple.key]}. {_fold_wins(found)}

![Accuracy de ambos modelos en cada pliegue](folds.png)

## Comparación

{_fold_test(found)} {_image_test(found)}

Para la prueba, cada modelo se entrenó una vez más con todas las imágenes de entrenamiento. El de mejor accuracy en validación cruzada, {NAMES[found.winner.key]}, queda en `modelos/modelo_final.pth`.

| Prueba | {simple.name} | {tuned.name} |
|---|---|---|
{_test_rows(found)}

Entre corchetes, el intervalo de Wilson del 95 %. Top-2: la etiqueta real está entre las dos clases más probables. ECE: error de calibración esperado, la distancia media entre la confianza y la accuracy.

![Matriz de confusión de ambos modelos](confusion_matrix.png)

![Calibración de ambos modelos](calibracion.png)

![Errores cometidos con más confianza](errores.png)

## Reflexión

{REFLECTION[found.pretraining["source"], outcome(found)]}

{_spread(found)} {_calibration(found)} Todo ello vale para estos datos, estos parámetros y una semilla por pliegue.
"""  # noqa: E501


def outcome(found: Comparison) -> Outcome:
    """What may be said about the two models."""
    if found.difference.p_value >= SIGNIFICANT:
        return Outcome.TIE
    return Outcome.TUNED if found.winner is found.tuned else Outcome.SIMPLE


def _pair(found: Comparison) -> tuple[str, str]:
    """The names of the winner by cross-validation and of the other."""
    better, worse = found.both if found.winner is found.simple else found.both[::-1]
    return NAMES[better.key], NAMES[worse.key]


def _verdict(found: Comparison) -> str:
    better, worse = _pair(found)
    if outcome(found) is Outcome.TIE:
        return f"Con estos datos, {worse} y {better} no se distinguen."
    points = number(100 * abs(found.difference.mean), 2)
    return f"{better} supera a {worse} en {points} puntos porcentuales de accuracy."


def _challenger(facts: dict) -> str:
    if facts["source"] == "none":
        return "una ResNet18 sin preentrenar"
    return "una red preentrenada y ajustada"


def _pretraining(facts: dict) -> str:
    if facts["source"] == "imagenet":
        return "Parte de los pesos de ImageNet de torchvision, aprendidos con fotografías en color."
    if facts["source"] == "none":
        return "Parte de pesos aleatorios, sin preentrenamiento: es el control."
    instead = (
        "" if facts["requested"] == "glyphs" else "Los pesos de ImageNet no estaban al alcance. "
    )
    return (
        f"{instead}Se preentrenó aquí con {count(facts['images'])} letras dibujadas a partir de "
        "las tipografías de Matplotlib; en letras de otras tipografías acierta el "
        f"{percent(facts['glyph_accuracy'], 1)}. No se dibujó ningún dígito, aunque algunas "
        "letras se parecen a alguno: la O al 0, la З al 3, la S al 5.\n\n"
        "![Letras dibujadas y dígitos de MNIST](glifos.png)"
    )


def _cv_rows(found: Comparison) -> str:
    def cell(result: Result, metric: str, scale: int, decimals: int) -> str:
        spread = number(scale * result.scores[metric].std(), decimals)
        mean, interval = _interval(cv_estimate(result, metric), scale, decimals)
        return f"{mean} ± {spread} {interval}"

    rows = [
        ("Accuracy (%)", "accuracy", 100, 2),
        ("Precision (%)", "precision", 100, 2),
        ("Recall (%)", "recall", 100, 2),
        ("F1 (%)", "f1", 100, 2),
        ("Log loss (nats)", "log_loss", 1, 4),
    ]
    return _rows([(label, *(cell(result, *how) for result in found.both)) for label, *how in rows])


def _test_rows(found: Comparison) -> str:
    def hardest(result: Result) -> str:
        row = result.per_class.loc[result.per_class["recall"].idxmin()]
        return f"{row['clase']:.0f} (recall {percent(row['recall'], 1)})"

    def all_of(cell) -> list[str]:
        return [cell(result) for result in found.both]

    accuracy = all_of(lambda result: " ".join(_interval(accuracy_on_test(result), 100, 2)))
    return _rows(
        [
            ("Accuracy (%)", *accuracy),
            ("Top-2 (%)", *all_of(lambda result: number(100 * result.test["top2"], 2))),
            ("F1 (%)", *all_of(lambda result: number(100 * result.test["f1"], 2))),
            ("Log loss (nats)", *all_of(lambda result: number(result.test["log_loss"], 4))),
            ("ECE (%)", *all_of(lambda result: number(100 * result.test["ece"], 2))),
            ("Dígito más difícil", *all_of(hardest)),
        ]
    )


def _rows(rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _interval(estimate: Estimate, scale: int, decimals: int) -> tuple[str, str]:
    value, low, high = (
        number(scale * part, decimals) for part in (estimate.value, estimate.low, estimate.high)
    )
    return value, f"[{low}; {high}]"


def _last_losses(found: Comparison) -> str:
    def losses(result: Result) -> str:
        history = result.history
        last = history[history["epoch"] == history["epoch"].max()]
        train, val = last["train_loss"].mean(), last["val_loss"].mean()
        return f"{number(train, 3)} y {number(val, 3)} en {NAMES[result.key]}"

    first, second = (losses(result) for result in found.both)
    return (
        f"En la última época, las pérdidas de entrenamiento y de validación son {first}; {second}."
    )


def _ratio(trained: int, others: int) -> str:
    if trained < others:
        return f"el {percent(trained / others, 1)} de"
    return f"{number(trained / others, 1)} veces"


def _fold_wins(found: Comparison) -> str:
    first, second = (result.scores["accuracy"].to_numpy() for result in found.both)
    wins, folds = int(np.sum(second > first)), len(first)
    beats = f"supera a {NAMES[found.simple.key]} en"
    told = {0: f"no {beats} ninguno de los {folds}", folds: f"{beats} los {folds}"}
    return f"La red ajustada {told.get(wins, f'{beats} {wins} de los {folds}')} pliegues."


def _fold_test(found: Comparison) -> str:
    better, worse = _pair(found)
    side = 1 if found.winner is found.tuned else -1
    ends = sorted(100 * side * end for end in (found.difference.low, found.difference.high))
    low, high = (number(end, 2) for end in ends)
    numbers = (
        f"IC 95 % de {low} a {high}; prueba t corregida de Nadeau y Bengio, "
        f"{p_value(found.difference.p_value)}"
    )
    points = number(100 * abs(found.difference.mean), 2)
    if outcome(found) is Outcome.TIE:
        favour = "" if points == number(0, 2) else f" a favor de {better}"
        return (
            f"**{worse} y {better} no se distinguen.** La diferencia media en validación cruzada, "
            f"{points} puntos de accuracy{favour}, es compatible con cero ({numbers})."
        )
    return (
        f"**{better} supera a {worse}.** En validación cruzada, su accuracy es {points} puntos "
        f"mayor ({numbers})."
    )


def _image_test(found: Comparison) -> str:
    first, second = found.disagreement.only_first, found.disagreement.only_second
    simple, tuned = (NAMES[result.key] for result in found.both)
    numbers = (
        f"de ellas, {tuned} acierta {count(second)} que {simple} falla, y {simple} {count(first)} "
        f"que {tuned} falla (prueba exacta de McNemar, {p_value(found.disagreement.p_value)}); "
        f"ambos fallan {count(found.agreement['neither'])}."
    )
    tie = outcome(found) is Outcome.TIE
    if found.disagreement.p_value >= SIGNIFICANT:
        if tie:
            return f"Tampoco las imágenes de prueba los separan: {numbers}"
        return f"Las imágenes de prueba no bastan para confirmarlo: {numbers}"
    ahead = tuned if second > first else simple
    if tie:
        return (
            f"Las imágenes de prueba sí favorecen a {ahead}: {numbers} Pero eso habla de estas "
            "dos redes, no de lo que daría otro entrenamiento."
        )
    if ahead == NAMES[found.winner.key]:
        return f"Las imágenes de prueba lo confirman: {numbers}"
    return f"Las imágenes de prueba, en cambio, favorecen a {ahead}: {numbers}"


def _spread(found: Comparison) -> str:
    ranges = [
        (result.scores["accuracy"].min(), result.scores["accuracy"].max()) for result in found.both
    ]
    parts = [
        f"de {number(100 * low, 2)} a {percent(high)} en {NAMES[result.key]}"
        for (low, high), result in zip(ranges, found.both, strict=True)
    ]
    (first_low, first_high), (second_low, second_high) = ranges
    apart = first_high < second_low or second_high < first_low
    touch = "los dos rangos no se tocan" if apart else "los dos rangos se solapan"
    return (
        "La validación cruzada deja ver cuánto varía el resultado: entre pliegues, la accuracy va "
        f"{parts[0]} y {parts[1]}; {touch}."
    )


def _calibration(found: Comparison) -> str:
    first, second = (
        f"{percent(result.test['ece'])} en {NAMES[result.key]}" for result in found.both
    )
    return (
        f"El error de calibración es del {first} y del {second}; no lleva intervalo, y por sí solo "
        "no dice cuál está mejor calibrada."
    )
