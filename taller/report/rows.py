"""The rows of the report's tables: cross-validation and test, a column per model."""

from collections.abc import Callable

from taller.report.spanish import number, percent
from taller.scores.comparison import Comparison, accuracy_on_test, cv_estimate
from taller.scores.results import Result
from taller.scores.statistics import Estimate

Row = tuple[str, ...]


def heading(first: str, found: Comparison) -> str:
    """A table's first two lines."""
    names = [result.entry.name for result in found.models]
    return f"{_lines([(first, *names)])}\n|{'---|' * (len(names) + 1)}"


def validation(found: Comparison) -> str:
    """Mean, spread and interval of every metric over the folds."""

    def cell(result: Result, metric: str, scale: int, decimals: int) -> str:
        spread = number(scale * result.scores(metric).std(ddof=1), decimals)
        mean, interval = _interval(cv_estimate(result, metric), scale, decimals)
        return f"{mean} ± {spread} {interval}"

    kinds = [
        ("Accuracy (%)", "accuracy", 100, 2),
        ("Precision (%)", "precision", 100, 2),
        ("Recall (%)", "recall", 100, 2),
        ("F1 (%)", "f1", 100, 2),
        ("Log loss (nats)", "log_loss", 1, 4),
    ]
    return _lines(
        [(label, *(cell(result, *how) for result in found.models)) for label, *how in kinds]
    )


def test(found: Comparison, what: str) -> str:
    """The metrics on the test images, and the hardest class, which the reader knows as `what`."""

    def row(label: str, cell: Callable[[Result], str]) -> Row:
        return label, *(cell(result) for result in found.models)

    return _lines(
        [
            row("Accuracy (%)", lambda one: " ".join(_interval(accuracy_on_test(one), 100, 2))),
            row("Top-2 (%)", lambda one: number(100 * one.test["top2"], 2)),
            row("F1 (%)", lambda one: number(100 * one.test["f1"], 2)),
            row("Log loss (nats)", lambda one: number(one.test["log_loss"], 4)),
            row("ECE (%)", lambda one: number(100 * one.test["ece"], 2)),
            row(f"{what} más difícil", _hardest),
        ]
    )


def _hardest(result: Result) -> str:
    # A class without test images has recall 0, and is not hard.
    seen = result.per_class[result.per_class["support"] > 0]
    worst = seen.loc[seen["recall"].idxmin()]
    return f"{worst['clase']} (recall {percent(worst['recall'], 1)})"


def _interval(estimate: Estimate, scale: int, decimals: int) -> tuple[str, str]:
    value, low, high = (
        number(scale * part, decimals) for part in (estimate.value, estimate.low, estimate.high)
    )
    return value, f"[{low}; {high}]"


def _lines(rows: list[Row]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
