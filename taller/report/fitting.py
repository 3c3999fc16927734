"""How each model was trained, and what its losses say of how it learnt."""

import pandas as pd

from taller.models.catalogue import EFFICIENTNET_LITE0, MODELS, RESNET18
from taller.report import rows
from taller.report.spanish import count, listed, number, percent, plain, points
from taller.report.words import words
from taller.scores.comparison import Comparison
from taller.scores.premises import STILL_FALLING
from taller.scores.results import Result

SCHEDULES = {"one_cycle": "un ciclo (*one-cycle*)", "constant": "constante"}
# A validation loss that ends above its minimum by less than this share has not risen: that much
# one epoch differs from the next.
RISEN = 0.01


def table(found: Comparison) -> str:
    """What was trained, how long and at which rate, a column per model."""
    return rows.table(
        "Entrenamiento",
        found,
        {
            "Capas entrenadas": lambda one: _parts(one.training["trained"], "todas"),
            "Capas congeladas": lambda one: _parts(one.training["frozen"], "ninguna"),
            "Parámetros entrenados": lambda one: count(one.trained_parameters),
            "Épocas": lambda one: count(one.training["epochs"]),
            "Tasa de aprendizaje": _rate,
            "Optimizador": _optimizer,
            "Imágenes por paso": lambda one: count(one.training["batch_size"]),
            "Otros ajustes": lambda one: "; ".join(
                f"`{name}`: {plain(value)}" for name, value in one.training["knobs"].items()
            ),
        },
    )


def chosen(found: Comparison) -> str:
    """Where these numbers come from."""
    longer = ""
    if found.data["dataset"] != "MNIST":
        longer = (
            " Con pocas imágenes, las épocas son más que allí, hasta completar los pasos que pide "
            "`min_steps`."
        )
    others, whom = "", "todos los modelos"
    if any(one.entry.key == EFFICIENTNET_LITE0.key for one in found.models):
        whom = f"{listed([entry.short for entry in MODELS])}"
        others = f" Los de {EFFICIENTNET_LITE0.short} son los de {RESNET18.short}, sin más pruebas."
    return (
        f"Los valores que trae el proyecto se eligieron, para {whom}, de una cuadrícula "
        "del mismo tamaño, de tasas de aprendizaje, épocas y un hiperparámetro propio "
        f"(`ajuste.csv`), {words(found).tuned}.{others}{longer}"
    )


def losses(found: Comparison) -> str:
    """Why validation may lie below training at first, and whether the end is overfitting."""
    curves = {result: _curves(result) for result in found.models}
    ends = [
        f"{number(curve['train_loss'].iloc[-1], 3)} y {number(curve['val_loss'].iloc[-1], 3)} en "
        f"{result.entry.short}"
        for result, curve in curves.items()
    ]
    falling = [_falling(one) for one in found.models if not found.premises]
    last = (
        f"En la última época, las pérdidas de entrenamiento y de validación son {'; '.join(ends)}."
    )
    return " ".join(part for part in (_beginning(curves), last, _ending(curves), *falling) if part)


def _curves(result: Result) -> pd.DataFrame:
    """Both losses by epoch, means over all fits."""
    return result.history.groupby("epoch")[["train_loss", "val_loss"]].mean()


def _beginning(curves: dict[Result, pd.DataFrame]) -> str:
    below = [
        result
        for result, curve in curves.items()
        if curve["val_loss"].iloc[0] < curve["train_loss"].iloc[0]
    ]
    if not below:
        return ""
    dropping = [one.entry.short for one in below if one.training["knobs"].get("dropout")]
    dropout = f" (y, en {listed(dropping)}, con *dropout* activo)" if dropping else ""
    return (
        "Al principio, la pérdida de validación queda por debajo de la de entrenamiento en "
        f"{listed([one.entry.short for one in below])}: la de entrenamiento se promedia a lo largo "
        f"de la época, con pesos más viejos que los del final{dropout}, y la de validación se mide "
        "al acabarla, con la red entera."
    )


def _ending(curves: dict[Result, pd.DataFrame]) -> str:
    """Overfitting shows where training ends below validation, and harms where validation rises."""
    risen = []
    for result, curve in curves.items():
        loss = curve["val_loss"]
        rise = loss.iloc[-1] / loss.min() - 1
        if rise > RISEN:
            risen.append(
                f"un {percent(rise, 1)} en {result.entry.short}, desde la época {loss.idxmin()}"
            )
    if risen:
        return f"El sobreajuste daña: la de validación sube {'; '.join(risen)}."
    still = f"en ningún modelo sube la de validación más de un {percent(RISEN, 0)} desde su mínimo"
    below = [
        result.entry.short
        for result, curve in curves.items()
        if curve["train_loss"].iloc[-1] < curve["val_loss"].iloc[-1]
    ]
    if not below:
        return f"No hay señal de sobreajuste: {still}."
    return (
        f"Que en {listed(below)} acabe más baja la de entrenamiento es la brecha de "
        f"generalización, no un sobreajuste que dañe: {still}."
    )


def _falling(result: Result) -> str:
    """What the premise on losses lets pass, since accuracy hardly moved with the loss."""
    means = result.history.groupby("epoch")[["val_loss", "val_accuracy"]].mean()
    if len(means) == 1:
        return ""
    (before, _), (last, _) = means.iloc[-2:].to_numpy()
    if before == 0 or (fall := 1 - last / before) <= STILL_FALLING:
        return ""
    return (
        f"En {result.entry.short} aún bajó la de validación un {percent(fall, 0)} en la última "
        f"época; la exactitud cambió con ella {points(means['val_accuracy'].diff().iloc[-1])} "
        "puntos, menos de la mitad del margen, y por eso se concluye; más épocas podrían "
        "favorecer a este modelo."
    )


def _parts(names: list[str], none: str) -> str:
    return listed([f"`{name}`" for name in names]) if names else none


def _rate(result: Result) -> str:
    training = result.training
    schedule = SCHEDULES.get(training["schedule"], training["schedule"])
    return f"{plain(training['learning_rate'])}, {schedule}"


def _optimizer(result: Result) -> str:
    decay = result.training["weight_decay"]
    return result.training["optimizer"] + (f", decaimiento {plain(decay)}" if decay else "")
