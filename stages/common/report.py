"""The report: one page of Markdown in Spanish, every number of which comes from the results."""

from collections.abc import Sequence

from stages.common.results import Result
from stages.common.statistics import PairedDifference

ORIGIN = {
    "imagenet": "los pesos de ImageNet de torchvision",
    "glyphs": "letras dibujadas con las tipografías de Matplotlib (sin ningún dígito)",
    "none": "ningún dato: pesos aleatorios, como control",
}


def report(
    data: dict, results: Sequence[Result], difference: PairedDifference, pretraining: dict
) -> str:
    """Write the report.

    Parameters
    ----------
    data : dict
        What `preprocess` counted.
    results : sequence of Result
        SimpleNN first.
    difference : PairedDifference
        Accuracy of the second model minus that of the first, over folds.
    pretraining : dict
        What `pretrain` says of its weights.
    """
    simple, tuned = results
    rows = "\n".join(_row(result) for result in results)
    return f"""# Entrenamiento desde cero y fine-tuning en MNIST

## Objetivo

¿Supera una red preentrenada y ajustada a una red pequeña entrenada desde cero, y con qué seguridad?

## Datos

{_count(data["train_images"])} imágenes de entrenamiento en {data["folds"]} pliegues
estratificados, los mismos para ambos modelos, y {_count(data["test_images"])} de prueba, que solo
se leen al final.

![Ejemplo de MNIST](ejemplo_mnist.png)

## Modelos y validación cruzada

La ResNet-18 parte de {ORIGIN[pretraining["source"]]}. Media ± desviación típica de los pliegues:

| Modelo | Accuracy | Precision | Recall | F1 | Accuracy (prueba) | Parámetros entrenados |
|---|---|---|---|---|---|---|
{rows}

![Curvas de pérdida](curva_loss.png)

## Comparación

{_verdict(simple, tuned, difference)}

![Matriz de confusión](confusion_matrix.png)
"""


def _row(result: Result) -> str:
    mean, std = result.scores.mean(), result.scores.std()
    folds = " | ".join(
        f"{mean[metric]:.4f} ± {std[metric]:.4f}"
        for metric in ("accuracy", "precision", "recall", "f1")
    )
    test = f"{result.test['accuracy']:.4f}"
    return f"| {result.name} | {folds} | {test} | {_count(result.trained_parameters)} |"


def _verdict(simple: Result, tuned: Result, difference: PairedDifference) -> str:
    points = f"{100 * difference.mean:+.2f} puntos de accuracy"
    interval = f"IC 95 % de {100 * difference.low:+.2f} a {100 * difference.high:+.2f}"
    numbers = (
        f"{tuned.name} menos {simple.name}: {points} ({interval}; prueba t corregida de Nadeau y "
        f"Bengio, p = {difference.p_value:.4f})."
    )
    if difference.p_value >= 0.05:
        return f"{numbers} Con estos pliegues los dos modelos **no se distinguen**."
    better, worse = (tuned, simple) if difference.mean > 0 else (simple, tuned)
    return f"{numbers} **{better.name}** supera a {worse.name}."


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")
