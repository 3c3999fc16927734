"""The comparison as numbers: the table for the reader, the metrics for DVC, and the details."""

import numpy as np
import pandas as pd

from taller.scores.comparison import Comparison, accuracy_on_test, cv_estimate
from taller.scores.pair import Pair
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

    Three for each model, and six on the winner and the runner-up: 15 for three models. Four
    decimals, as in the table, and p values with two digits.
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
        "comparison": {
            "winner": found.winner.entry.key,
            **_difference(best),
            # That the winner is better by more than the rope.
            "probability": _short(best.posterior.better),
        },
    }


def details(found: Comparison) -> dict[str, object]:
    """The content of ``detalle.json``: what the table and the report tell, and no metric is.

    Returns
    -------
    dict
        ``models``, by key: parameters and floating-point operations (``training`` with one
        pretraining), every metric of cross-validation and on the test images. ``pairs``: every
        two models, second minus first; the ``posterior`` and the ``verdict`` are of the second,
        against differences up to ``rope``. ``premises``: the kinds that failed. ``fold_images``:
        of how many images a fold trains and validates, on average. ``pretraining``: what is
        known of the weights.
    """
    train, val = found.baseline.fold_sizes
    return {
        "rope": found.rope,
        "premises": [failure.kind.value for failure in found.premises],
        "fold_images": {"train": _short(train), "val": _short(val)},
        "models": {result.entry.key: _model(found, result) for result in found.models},
        "pairs": [_pair(pair) for pair in found.pairs],
        "pretraining": {
            key: _rounded(value)
            for key, value in found.pretraining.items()
            if "sha256" not in key  # the report has it
        },
    }


def _row(found: Comparison, result: Result) -> dict[str, object]:
    scores = {metric: result.scores(metric) for metric in METRICS}
    interval, test = cv_estimate(result, "accuracy"), accuracy_on_test(result)
    numbers = {
        **{column: scores[metric].mean() for metric, column in COLUMNS.items()},
        **{f"Desv. {column.lower()}": _std(scores[metric]) for metric, column in COLUMNS.items()},
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
        **{column: _rounded(value) for column, value in numbers.items()},
        "Parámetros entrenados": result.trained_parameters,
        "Preentrenamiento": found.pretraining["source"] if result.entry.pretrained else "ninguno",
        "Parámetros ejecutados": result.parameters,
        "Operaciones por respuesta": result.answer_flops,
        "Operaciones de entrenamiento": found.training_flops(result),  # with pretraining
    }


def _model(found: Comparison, result: Result) -> dict[str, object]:
    interval = accuracy_on_test(result)
    test = result.test | {"ci_low": interval.low, "ci_high": interval.high}  # the accuracy's
    return {
        "trained_parameters": result.trained_parameters,
        "parameters": result.parameters,
        "flops": {"answer": result.answer_flops, "training": found.training_flops(result)},
        "cv": {metric: _spread(result, metric) for metric in METRICS},
        "test": {metric: _rounded(value) for metric, value in test.items()},
    }


def _pair(pair: Pair) -> dict[str, object]:
    chances, on_test = pair.posterior, pair.test_difference
    return {
        "first": pair.first.entry.key,
        "second": pair.second.entry.key,
        **_difference(pair),
        "p_value_uncorrected": _digits(pair.difference.p_value),
        "posterior": {
            "worse": _short(chances.worse),
            "equal": _short(chances.equal),
            "better": _short(chances.better),
        },
        "verdict": pair.verdict.value,
        "test_difference": {
            "value": _short(on_test.value),
            "ci_low": _short(on_test.low),
            "ci_high": _short(on_test.high),
        },
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


def _spread(result: Result, metric: str) -> dict[str, float | None]:
    scores = result.scores(metric)
    return {"mean": _short(scores.mean()), "std": _rounded(_std(scores))}


def _std(scores: np.ndarray) -> float | None:
    """Standard deviation of the folds' scores; of a single one there is none."""
    return float(scores.std(ddof=1)) if len(scores) > 1 else None


def _short(value: float) -> float:
    return round(float(value), 4)


def _rounded(value: object) -> object:
    """The same, with every float in it as short as the table's."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return _short(value) if isinstance(value, float) else value


def _digits(p_value: float) -> float:
    return float(f"{p_value:.1e}")
