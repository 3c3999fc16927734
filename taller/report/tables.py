"""The comparison as numbers: the table for the reader, the metrics for DVC, and the details."""

import pandas as pd

from taller.scores.comparison import Comparison, Pair, accuracy_on_test, cv_estimate
from taller.scores.results import METRICS, Result

# As the workshop spells its columns.
COLUMNS = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "log_loss": "Log loss",
}


def comparison_table(found: Comparison) -> pd.DataFrame:
    """A row per model: the workshop's columns, of cross-validation, then what it left out."""
    return pd.DataFrame([_row(found, result) for result in found.models])


def metrics(found: Comparison) -> dict[str, dict]:
    """The content of ``metrics.json``: headlines only, for each is a column of `dvc exp show`.

    Three for each model, and five on the winner and the runner-up: at most 15 for three
    models. Four decimals, as in the table, and p values with two digits.
    """
    best = found.decisive
    return {
        **{
            result.entry.key: {
                "cv": {"accuracy": _spread(result, "accuracy")},
                "test": {"accuracy": _short(result.test["accuracy"])},
            }
            for result in found.models
        },
        "comparison": {"winner": found.winner.entry.key, **_difference(best)},
    }


def details(found: Comparison) -> dict[str, object]:
    """The content of ``detalle.json``: what the table and the report tell, and no metric is.

    Returns
    -------
    dict
        ``models``, by key: the trained parameters, every metric of cross-validation and on the
        test images. ``pairs``: every two models, second minus first. ``pretraining``: what is
        known of the weights.
    """
    return {
        "models": {result.entry.key: _model(result) for result in found.models},
        "pairs": [_pair(pair) for pair in found.pairs],
        "pretraining": {
            key: _short(value) if isinstance(value, float) else value
            for key, value in found.pretraining.items()
            if "sha256" not in key  # the report has it
        },
    }


def p_text(value: float) -> str:
    """Write ``p = 0.0321``, and ``p < 0.0001`` where four decimals would read as zero."""
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.4f}"


def _row(found: Comparison, result: Result) -> dict[str, object]:
    scores = {metric: result.scores(metric) for metric in METRICS}
    interval, test = cv_estimate(result, "accuracy"), accuracy_on_test(result)
    numbers = {
        **{column: scores[metric].mean() for metric, column in COLUMNS.items()},
        **{
            f"Desv. {column.lower()}": scores[metric].std(ddof=1)
            for metric, column in COLUMNS.items()
        },
        "IC 95 % inferior": interval.low,
        "IC 95 % superior": interval.high,
        "Accuracy (prueba)": test.value,
        "IC 95 % inferior (prueba)": test.low,
        "IC 95 % superior (prueba)": test.high,
        "Top-2 (prueba)": result.test["top2"],
        "ECE (prueba)": result.test["ece"],
    }
    return {
        "Modelo": result.entry.name,
        **{column: _short(value) for column, value in numbers.items()},
        "Parámetros entrenados": result.trained_parameters,
        "Preentrenamiento": found.pretraining["source"] if result.entry.pretrained else "ninguno",
    }


def _model(result: Result) -> dict[str, object]:
    interval = accuracy_on_test(result)
    test = result.test | {"ci_low": interval.low, "ci_high": interval.high}  # the accuracy's
    return {
        "trained_parameters": result.trained_parameters,
        "cv": {metric: _spread(result, metric) for metric in METRICS},
        "test": {metric: _short(value) for metric, value in test.items()},
    }


def _pair(pair: Pair) -> dict[str, object]:
    return {
        "first": pair.first.entry.key,
        "second": pair.second.entry.key,
        **_difference(pair),
        "p_value_uncorrected": _digits(pair.difference.p_value),
        "mcnemar_p": _digits(pair.disagreement.p_value),
        "both": pair.both,
        "only_first": pair.disagreement.only_first,
        "only_second": pair.disagreement.only_second,
        "neither": pair.neither,
    }


def _difference(pair: Pair) -> dict[str, float]:
    return {
        "difference": _short(pair.difference.mean),
        "ci_low": _short(pair.difference.low),
        "ci_high": _short(pair.difference.high),
        "p_value": _digits(pair.p_value),
    }


def _spread(result: Result, metric: str) -> dict[str, float]:
    scores = result.scores(metric)
    return {"mean": _short(scores.mean()), "std": _short(scores.std(ddof=1))}


def _short(value: float) -> float:
    return round(float(value), 4)


def _digits(p_value: float) -> float:
    return float(f"{p_value:.1e}")
