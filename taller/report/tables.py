"""The comparison as numbers: the table, the metrics, the details, and the rows of DVC's plots."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from taller.report.language import Language
from taller.statistics.comparison import Comparison, Pair
from taller.statistics.learning_curve import Curve, Gain
from taller.statistics.results import METRICS, Result

# As the workshop spells its columns.
COLUMNS = dict(zip(METRICS, ("Accuracy", "Precision", "Recall", "F1", "Log loss"), strict=True))


def comparison_table(comparison: Comparison, say: Language) -> pd.DataFrame:
    """A row per model: the workshop's columns, of cross-validation, then what it left out."""
    return pd.DataFrame([_row(result, comparison.share, say) for result in comparison.models])


def _row(result: Result, share: float, say: Language) -> dict[str, object]:
    interval, test = result.mean("accuracy"), result.test_accuracy
    numbers = {
        **{column: result.scores(metric).mean() for metric, column in COLUMNS.items()},
        **{
            say("spread", metric=name.lower()): result.spread(metric)
            for metric, name in COLUMNS.items()
        },
        say("low"): interval.low,
        say("high"): interval.high,
        say("on_test", metric="Accuracy"): test.value,
        say("on_test", metric=say("low")): test.low,
        say("on_test", metric=say("high")): test.high,
        say("on_test", metric="Top-2"): result.test["top2"],
        say("on_test", metric="ECE"): result.test["ece"],
    }
    sources = {"letters": say("map_letters"), "imagenet": say("map_imagenet")}
    balanced = {
        say("balanced"): result.scores("balanced_accuracy").mean(),
        say("on_test", metric=say("balanced")): result.test["balanced_accuracy"],
        say("of_largest"): share,
    }
    return {
        "Modelo": result.model,
        **{column: None if one is None else _short(one) for column, one in numbers.items()},
        say("trained"): result.fit["trained_parameters"],
        say("pretraining"): sources.get(result.source, say("from_scratch")),
        say("executed"): result.fit["parameters"],
        say("per_answer"): result.inference_flops,
        say("to_train"): result.training_flops,
        **{column: _short(one) for column, one in balanced.items()},
        say("folds"): len(result.splits),
    }


def metrics(comparison: Comparison, pairs: Sequence[str]) -> dict[str, dict[str, float | str]]:
    """The content of ``metrics.json``.

    Each key means the same in every revision. Of each model ``cv`` and ``test``, its accuracies; of
    each of the pairs ``A-B`` whose models both take part ``gap``, A's cross-validated minus B's,
    and what A ``is`` by that. Where balanced accuracy decides: ``gap_bal``, ``is_bal``.
    """
    models = {result.name: result for result in comparison.models}
    suffix = "" if comparison.metric == "accuracy" else "_bal"
    content: dict[str, dict[str, float | str]] = {
        name: {"cv": _short(one.scores("accuracy").mean()), "test": _short(one.test["accuracy"])}
        for name, one in models.items()
    }
    for name in pairs:
        first, _, second = name.partition("-")
        if first in models and second in models and first != second:
            pair = comparison.pair(models[first], models[second])
            verdict = "unknown" if comparison.failures else pair.verdict  # as in the report
            difference = _short(pair.difference.value)
            content[name] = {f"gap{suffix}": difference, f"is{suffix}": verdict}
    return content


def details(
    comparison: Comparison, curves: Sequence[Curve], gains: Sequence[Gain]
) -> dict[str, object]:
    """The content of ``detalle.json``: what the report says, and no metric or table does.

    ``cv`` of a model is by the metric that decides; ``pairs`` has every two models, ``A-B`` as A
    minus B; ``assumptions`` the kinds that fail; ``curves`` the metric by images, and ``gains``
    differences by images.
    """
    first, models = comparison.models[0], comparison.models
    return {
        "winner": comparison.ranking[0].name,
        "metric": comparison.metric,
        "rope": comparison.rope,
        "assumptions": [failure.kind for failure in comparison.failures],
        "fold_images": {key: first.scores(f"{key}_images").mean() for key in ("train", "val")},
        "models": {
            one.name: {
                "fit": one.fit,
                "pretraining": one.pretraining,
                "over_largest_class": comparison.over_largest_class[one]._asdict(),
                "cv": one.mean(comparison.metric)._asdict(),
                "test_accuracy": one.test_accuracy._asdict(),
                "test": one.test,
            }
            for one in models
        },
        "pairs": {f"{one.first.name}-{one.second.name}": _pair(one) for one in comparison.pairs},
        "curves": {
            one.result.name: [{"images": images} | mean._asdict() for images, mean in one.points]
            for one in curves
        },
        "gains": {
            f"{one.pair.first.name}-{one.pair.second.name}": [
                {"images": images} | difference._asdict() | {"is": verdict}
                for images, difference, verdict in one.rows
            ]
            for one in gains
        },
    }


def _pair(pair: Pair) -> dict[str, object]:
    numbers = {key: value for key, value in vars(pair).items() if key not in ("first", "second")}
    return numbers | {key: one._asdict() for key, one in numbers.items() if isinstance(one, tuple)}


def plots(comparison: Comparison) -> dict[str, list[dict[str, object]]]:
    """The rows that `dvc plots` draws, by the names of their files: in Spanish, as its page is."""
    models, names = comparison.models, comparison.data["names"]
    parts = {
        "perdida": [loss_curves(result) for result in models],
        "folds": [fold_scores(result) for result in models],
        "confusion": [confusion_cells(result, names) for result in models],
    }
    return {name: pd.concat(tables).to_dict("records") for name, tables in parts.items()}


def loss_curves(result: Result) -> pd.DataFrame:
    """Mean loss over folds and its range, in nats, per epoch and part of the data."""
    parts = []
    for column, part in (("train_loss", "entrenamiento"), ("val_loss", "validación")):
        spread = result.history.groupby("epoch")[column].agg(["mean", "min", "max"])
        spread.columns = ["media", "inferior", "superior"]
        spread.insert(0, "conjunto", part)
        parts.append(spread)
    curves = pd.concat(parts).rename_axis("epoca").reset_index()
    curves.insert(0, "modelo", result.model)
    return curves


def fold_scores(result: Result) -> pd.DataFrame:
    """The accuracy on each fold, which is named ``fold`` or ``repeat.fold``."""
    names, scores = fold_names(result.splits.index), result.scores("accuracy")
    return pd.DataFrame({"modelo": result.model, "fold": names, "accuracy": scores})


def fold_names(splits: pd.MultiIndex) -> list[int | str]:
    """The fold's number; of several repeats ``repeat.fold``."""
    repeated = splits.get_level_values("repeat").nunique() > 1
    return [f"{repeat}.{fold}" if repeated else fold for repeat, fold in splits]


def confusion_cells(result: Result, names: Sequence[str]) -> pd.DataFrame:
    """A row per true and predicted class: test images, and their share of the true class."""
    shares = result.confusion / np.maximum(result.confusion.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(
        {
            "modelo": result.model,
            "real": np.repeat(names, len(names)),
            "predicho": np.tile(names, len(names)),
            "imagenes": result.confusion.ravel(),
            "proporcion": shares.ravel().round(4),
        }
    )


def _short(value: float) -> float:
    return round(float(value), 4)
