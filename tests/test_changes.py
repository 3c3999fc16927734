"""What a reviewer reads: which differences exceed the intervals of both revisions."""

import pytest

from taller.common.terminal import UserError
from taller.statistics.intervals import Estimate
from tools import changes


@pytest.mark.parametrize(
    ("old", "new", "exceeds"),
    [
        ((0.90, 0.88, 0.92), (0.91, 0.90, 0.92), "no"),  # each in the other's interval
        ((0.90, 0.88, 0.92), (0.93, 0.89, 0.97), "no"),  # beyond one, but not the other
        ((0.90, 0.88, 0.92), (0.95, 0.93, 0.97), "**yes**"),
        ((0.90, 0.88, 0.92), (0.85, 0.83, 0.87), "**yes**"),
    ],
)
def test_a_difference_exceeds_both_intervals_or_not(old, new, exceeds):
    line = changes.row("cnn", (Estimate(*old), "better"), (Estimate(*new), "worse"))
    assert line.split(" | ")[3:] == [f"{new[0] - old[0]:+.4f}", f"{exceeds} |"]
    assert "better |" in line and "worse |" in line


def test_a_model_that_one_revision_lacks_is_a_dash():
    assert changes.row("new", None, (Estimate(0.9, 0.8, 1.0), "")) == (
        "| new | – | 0.9000 [0.8000, 1.0000] | – | – |"
    )


def test_scores_of_different_metrics_are_not_compared():
    one = dict(zip(Estimate._fields, (0.9, 0.8, 1.0), strict=True))
    models, pairs = {"cnn": {"cv": one, "test_accuracy": one}}, {}
    accuracy, balanced = (
        changes.headlines({"metric": metric, "models": models, "pairs": pairs})
        for metric in ("accuracy", "balanced_accuracy")
    )
    assert {*accuracy} & {*balanced} == {"cnn, test accuracy"}


def test_an_unknown_revision_is_one_line(workdir):
    with pytest.raises(
        UserError, match=r"detalle\.json: expected a revision with this file, found"
    ):
        changes.changes("nowhere")
