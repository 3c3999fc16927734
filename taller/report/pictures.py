"""All pictures of a comparison."""

from pathlib import Path

from taller.datasets import dataset
from taller.report.figures import calibration, confusion, cost, folds, images, loss_curves
from taller.report.figures.style import Figure
from taller.statistics.comparison import RESULTS, Comparison


def draw(comparison: Comparison) -> dict[str, Figure]:
    """Draw the pictures, by the names of their files without the ending."""
    models, data = comparison.models, comparison.data
    # To Matplotlib, dollars would make a formula of a name.
    names = [name.replace("$", r"\$") for name in data["names"]]
    sample, letters = dataset.load(RESULTS / "muestra"), []
    for one in comparison.finetuned:
        if one.source == "letters" and not letters:
            base = RESULTS / "pretrain" / Path(one.fit["start"]["path"]).name
            facts = one.pretraining if data["dataset"] == "MNIST" else None
            letters = [dataset.load(base / "letters"), facts]
    return {
        "ejemplo_mnist": images.example(sample.images[0], names[sample.labels[0]]),
        "curva_loss": loss_curves.draw(models),
        "folds": folds.draw(models),
        "coste": cost.draw(models),
        "confusion_matrix": confusion.draw(models, names),
        "calibracion": calibration.draw(models),
        "errores": images.errors(models, names),
        "glifos": images.letters(sample, f"Imágenes de {data['dataset']}", *letters),
    }
