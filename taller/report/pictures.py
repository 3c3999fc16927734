"""All pictures of the report, in the order in which it shows them."""

from collections.abc import Sequence
from pathlib import Path

from taller.datasets import dataset
from taller.report.figures import (
    calibration,
    confusion,
    cost,
    folds,
    images,
    learning_curve,
    loss_curves,
    style,
)
from taller.report.format import Language
from taller.statistics.comparison import Comparison
from taller.statistics.learning_curve import Curve, Gain
from taller.statistics.results import RESULTS


def draw_pictures(
    comparison: Comparison,
    say: Language,
    curves: Sequence[Curve] = (),
    gains: Sequence[Gain] = (),
) -> dict[str, style.Figure]:
    """Draw the pictures, by the names of their files without the ending."""
    models, data = comparison.models, comparison.data
    metric, names = comparison.metric, style.class_labels(data["names"])
    sample, letters = dataset.load(RESULTS / "muestra"), []
    for one in comparison.finetuned:
        if one.source == "letters" and not letters:
            base = RESULTS / "pretrain" / Path(one.fit["start"]["path"]).name
            facts = one.pretraining if data["dataset"] == "MNIST" else None
            letters = [dataset.load(base / "letters"), facts]
    return {
        "ejemplo_mnist": images.example(sample.images[0], names[sample.labels[0]], say),
        "curva_aprendizaje": learning_curve.draw(comparison, curves, gains, say),
        "curva_loss": loss_curves.draw(models, say),
        "folds": folds.draw(models, metric, say),
        "coste": cost.draw(models, metric, say),
        "confusion_matrix": confusion.draw(models, names, say),
        "calibracion": calibration.draw(models, say),
        "errores": images.errors(models, names, say),
        "glifos": images.letters(sample, data["dataset"], say, *letters),
    }
