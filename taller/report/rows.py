"""The report's tables with a column per model."""

from collections.abc import Callable, Mapping

from taller.report import mistakes
from taller.report.spanish import literal, number, percent
from taller.report.words import words
from taller.scores.comparison import Comparison, accuracy_on_test, cv_estimate
from taller.scores.results import Result
from taller.scores.statistics import Estimate

Cell = Callable[[Result], str]


def table(first: str, found: Comparison, cells: Mapping[str, Cell]) -> str:
    """A table whose rows are `cells`, by what heads them, and whose columns are the models."""
    lines = [(first, *(result.entry.name for result in found.models))]
    lines.append(("---",) * len(lines[0]))
    lines += [(label, *(cell(result) for result in found.models)) for label, cell in cells.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def validation(found: Comparison) -> str:
    """Mean, spread and interval of every metric over the folds."""

    def cell(metric: str, scale: int, decimals: int) -> Cell:
        return lambda result: _on_folds(result, metric, scale, decimals)

    cells = {
        "Exactitud (%)": cell("accuracy", 100, 2),
        "Precisión (%)": cell("precision", 100, 2),
        "Exhaustividad (%)": cell("recall", 100, 2),
        "F1 (%)": cell("f1", 100, 2),
        "Pérdida logarítmica (nats)": cell("log_loss", 1, 4),
    }
    return table("Validación", found, cells)


def test(found: Comparison) -> str:
    """The metrics on the test images, the hardest class, and what is confused most."""
    cells = {
        "Exactitud (%)": lambda one: " ".join(_interval(accuracy_on_test(one), 100, 2)),
        "Top-2 (%)": lambda one: number(100 * one.test["top2"], 2),
        "F1 (%)": lambda one: number(100 * one.test["f1"], 2),
        "Pérdida logarítmica (nats)": lambda one: number(one.test["log_loss"], 4),
        "ECE (puntos)": lambda one: number(100 * one.test["ece"], 2),
        "ECE si estuviera calibrada": _calibrated,
        words(found).hardest: _hardest,
        "Confusión más frecuente": mistakes.confused,
    }
    return table("Prueba", found, cells)


def _on_folds(result: Result, metric: str, scale: int, decimals: int) -> str:
    scores = result.scores(metric)
    mean, interval = _interval(cv_estimate(result, metric), scale, decimals)
    if len(scores) == 1:  # which has no spread
        return mean
    return f"{mean} ± {number(scale * scores.std(ddof=1), decimals)} {interval}"


def _calibrated(result: Result) -> str:
    mean, high = (number(100 * result.test["ece_calibrated"][part], 2) for part in ("mean", "high"))
    return f"{mean} (hasta {high})"


def _hardest(result: Result) -> str:
    # A class without test images has recall 0, and is not hard.
    seen = result.per_class[result.per_class["support"] > 0]
    worst = seen.loc[seen["recall"].idxmin()]
    return f"{literal(worst['clase'])} (exhaustividad {percent(worst['recall'], 1)})"


def _interval(estimate: Estimate, scale: int, decimals: int) -> tuple[str, str]:
    value, low, high = (
        number(scale * part, decimals) for part in (estimate.value, estimate.low, estimate.high)
    )
    return value, f"[{low}; {high}]"
