"""The comparison as numbers: the table for the reader, the metrics for DVC."""

import pandas as pd

from taller.scores.comparison import Comparison, accuracy_on_test, cv_estimate
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
    return pd.DataFrame([_row(found, result) for result in found.both])


def metrics(found: Comparison) -> dict[str, dict]:
    """The content of ``metrics.json``: few numbers, with names that fit beside their values.

    Four decimals, as in the table, and p values with two digits: two branches with the same
    winner, compared by ``dvc metrics diff``, fit on 80 columns.
    """
    return {
        **{result.key: _model(result) for result in found.both},
        "comparison": {
            "difference": _short(found.difference.mean),
            "ci_low": _short(found.difference.low),
            "ci_high": _short(found.difference.high),
            "p_value": float(f"{found.difference.p_value:.1e}"),
            "mcnemar_p": float(f"{found.disagreement.p_value:.1e}"),
            "only_simple_nn": found.disagreement.only_first,
            "only_resnet18": found.disagreement.only_second,
            "winner": found.winner.key,
        },
        "pretraining": {
            key: _short(value) if isinstance(value, float) else value
            for key, value in found.pretraining.items()
            if "sha256" not in key  # the report has it; it is too wide for a terminal
        },
    }


def _row(found: Comparison, result: Result) -> dict[str, object]:
    means, spreads = result.scores.mean(), result.scores.std()
    interval, test = cv_estimate(result, "accuracy"), accuracy_on_test(result)
    numbers = {
        **{column: means[metric] for metric, column in COLUMNS.items()},
        **{f"Desv. {column.lower()}": spreads[metric] for metric, column in COLUMNS.items()},
        "IC 95 % inferior": interval.low,
        "IC 95 % superior": interval.high,
        "Accuracy (prueba)": test.value,
        "IC 95 % inferior (prueba)": test.low,
        "IC 95 % superior (prueba)": test.high,
        "Top-2 (prueba)": result.test["top2"],
        "ECE (prueba)": result.test["ece"],
    }
    return {
        "Modelo": result.name,
        **{column: _short(value) for column, value in numbers.items()},
        "Parámetros entrenados": result.trained_parameters,
        "Preentrenamiento": found.pretraining["source"] if result is found.tuned else "ninguno",
    }


def _model(result: Result) -> dict[str, object]:
    scores, interval = result.scores, accuracy_on_test(result)
    test = result.test | {"ci_low": interval.low, "ci_high": interval.high}  # the accuracy's
    return {
        "trained_parameters": result.trained_parameters,
        "cv": {
            metric: {"mean": _short(scores[metric].mean()), "std": _short(scores[metric].std())}
            for metric in METRICS
        },
        "test": {metric: _short(value) for metric, value in test.items()},
    }


def _short(value: float) -> float:
    return round(float(value), 4)
