"""The report: a page in Spanish, in the workshop's order.

No number is typed here, and every sentence that depends on the data, on who wins, how surely, or
from which pretraining is chosen by the results.
"""

from taller.report import differences, rows
from taller.report.pictures import example_name
from taller.report.reflections import reflection
from taller.report.spanish import count, listed, number, percent
from taller.scores.comparison import Comparison
from taller.scores.results import Result

# What a model is, where its name does not say it.


def report(found: Comparison) -> str:
    """Write the report, in Markdown; pictures are beside it."""
    data, folds = found.data, len(found.baseline.folds)
    which = "ambos modelos" if len(found.models) == 2 else f"los {len(found.models)} modelos"
    return f"""# Entrenamiento desde cero y fine-tuning en {data["dataset"]}

## Objetivo

{_question(found)} **{differences.verdict(found)}**

## Datos

{_data(found)} Se entrena y se valida con {count(data["train_images"])} imágenes repartidas en {data["folds"]} pliegues estratificados, los mismos para {which}: la comparación es pareada. Las {count(data["test_images"])} imágenes de prueba se leen una sola vez, al final.

![Ejemplo de {data["dataset"]}]({example_name(found)}.png)

## Modelos

{_models(found)}

## Validación cruzada

Cada modelo se entrena {folds} veces, cada vez sin un pliegue, y se mide en el pliegue que no vio. La tabla da la media ± la desviación típica entre pliegues y, entre corchetes, el intervalo de confianza del 95 % de la media, con la varianza corregida por el solape de los entrenamientos (Nadeau y Bengio, 2003).

{rows.heading("Validación", found)}
{rows.validation(found)}

{_last_losses(found)}

![Curvas de pérdida de {which}](curva_loss.png)

## {_against_heading(found)}

{differences.against_baseline(found)}

![Accuracy de {which} en cada pliegue](folds.png)

## Comparación

{differences.fold_test(found)} {differences.image_test(found)}
{differences.all_pairs(found)}
Para la prueba, cada modelo se entrenó una vez más con todas las imágenes de entrenamiento. El de mejor accuracy en validación cruzada, {found.winner.entry.short}, queda en `modelos/modelo_final.pth`.

{rows.heading("Prueba", found)}
{rows.test(found, "Dígito" if data["dataset"] == "MNIST" else "Clase")}

Entre corchetes, el intervalo de Wilson del 95 %. Top-2: la etiqueta real está entre las dos clases más probables. ECE: error de calibración esperado, la distancia media entre la confianza y la accuracy.

![Matriz de confusión de {which}](confusion_matrix.png)

![Calibración de {which}](calibracion.png)

![Errores cometidos con más confianza](errores.png)

## Reflexión

{reflection(found)}

{differences.spread(found)} {_calibration(found)} Todo ello vale para estos datos, estos parámetros y una semilla por pliegue.{_confounded(found)}
"""  # noqa: E501


def _confounded(found: Comparison) -> str:
    first, second = found.winner.entry, found.runner_up.entry
    if first.pretrained == second.pretrained:
        return ""
    return (
        f" {listed([first.short, second.short])} difieren en la arquitectura además del "
        "preentrenamiento: cuánto se debe a cada cosa, esta comparación no lo dice."
    )


def _question(found: Comparison) -> str:
    ending = "por cuánto y con qué seguridad?"
    if [result.entry.pretrained for result in found.models] == [False, True]:
        tuned = found.challengers[0].entry.short
        challenger = "una red preentrenada y ajustada"
        if found.pretraining["source"] == "none":
            challenger = f"una {tuned} sin preentrenar"
        return f"¿Supera {challenger} a una red pequeña entrenada desde cero, {ending}"
    names = listed([result.entry.short for result in found.models])
    return f"De {names}, ¿cuál acierta más, {ending}"


def _data(found: Comparison) -> str:
    channels, height, width = found.data["shape"]
    pixels = f"{height} × {width} píxeles {'en escala de grises' if channels == 1 else 'en color'}"
    if found.data["dataset"] == "MNIST":
        return f"MNIST: dígitos manuscritos, {pixels}."
    classes = f"{len(found.names)} clases ({listed(found.names)})"
    return f"{found.data['dataset']}: imágenes de {classes}, {pixels}."


def _models(found: Comparison) -> str:
    """A bullet per model; where the weights come from is told once, of the first that has them."""
    lines, told = [], False
    for result in found.models:
        entry = result.entry
        if not entry.pretrained:
            parameters = f"({count(result.trained_parameters)} parámetros)"
            lines.append(f"- **{entry.name}**: {entry.kind}, entrenada desde cero {parameters}.")
            continue
        channels = found.data["shape"][0]
        with_channels = "un solo canal" if channels == 1 else f"{channels} canales"
        start = f"(pesos de partida: SHA-256 {found.pretraining['sha256'][:8]}…)"
        weights = "Parte de los mismos pesos." if told else _pretraining(found)
        lines.append(
            f"- **{entry.name}**: {entry.kind} con {with_channels} de entrada {start}. {weights}"
        )
        told = True
    picture = ""
    if told and found.pretraining["source"] == "glyphs":
        beside = "dígitos" if found.data["dataset"] == "MNIST" else "imágenes"
        picture = f"\n\n![Letras dibujadas y {beside} de {found.data['dataset']}](glifos.png)"
    return "\n".join(lines) + picture


def _pretraining(found: Comparison) -> str:
    facts = found.pretraining
    if facts["source"] == "imagenet":
        return "Parte de los pesos de ImageNet de torchvision, aprendidos con fotografías en color."
    if facts["source"] == "none":
        return "Parte de pesos aleatorios, sin preentrenamiento: es el control."
    instead = (
        "" if facts["requested"] == "glyphs" else "Los pesos de ImageNet no estaban al alcance. "
    )
    digits = (
        " No se dibujó ningún dígito, aunque algunas letras se parecen a alguno: la O al 0, la З "
        "al 3, la S al 5."
    )
    return (
        f"{instead}Se preentrenó aquí con {count(facts['images'])} letras dibujadas a partir de "
        "las tipografías de Matplotlib; en letras de otras tipografías acierta el "
        f"{percent(facts['glyph_accuracy'], 1)}."
        f"{digits if found.data['dataset'] == 'MNIST' else ''}"
    )


def _last_losses(found: Comparison) -> str:
    def losses(result: Result) -> str:
        history = result.history
        last = history[history["epoch"] == history["epoch"].max()]
        train, val = last["train_loss"].mean(), last["val_loss"].mean()
        return f"{number(train, 3)} y {number(val, 3)} en {result.entry.short}"

    parts = "; ".join(losses(result) for result in found.models)
    return f"En la última época, las pérdidas de entrenamiento y de validación son {parts}."


def _against_heading(found: Comparison) -> str:
    if len(found.models) == 2 and found.challengers[0].entry.pretrained:
        return "Fine-tuning"
    return f"Frente a {found.baseline.entry.short}"


def _calibration(found: Comparison) -> str:
    parts = [
        f"del {percent(result.test['ece'])} en {result.entry.short}" for result in found.models
    ]
    return (
        f"El error de calibración es {listed(parts)}; no lleva intervalo, y por sí solo no dice "
        "cuál está mejor calibrada."
    )
