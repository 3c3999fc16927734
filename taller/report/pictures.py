"""The pictures of a comparison: what each of them is drawn from, and its file's name."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from taller.data import dataset
from taller.data.dataset import Dataset
from taller.report import plot_rows
from taller.report.figures import (
    confusion_matrices,
    cost,
    example,
    folds,
    glyph_sheet,
    loss_curves,
    reliability,
    style,
    surest_errors,
)
from taller.scores import checks, results
from taller.scores.comparison import Comparison, calibration, cv_estimate
from taller.scores.results import Result

LETTERS = "muestra_letras.npz"
# The workshop's name for it, with other images too: DVC cannot put a name into small letters.
EXAMPLE = "ejemplo_mnist"


def save(drawn: Mapping[str, style.Figure], folder: Path) -> None:
    """Write what `figures` gives into `folder`."""
    for name, figure in drawn.items():
        style.save(figure, folder / f"{name}.png")


def figures(found: Comparison, folder: Path) -> dict[str, style.Figure]:
    """All pictures, by the names of their files without the ending.

    Parameters
    ----------
    folder : Path
        Where the stages left the samples and the errors.

    Raises
    ------
    Problem
        Naming the one of these files that is not as they write it.
    """
    models = {result.entry: result for result in found.models}
    names = [style.literal(name) for name in found.names]
    sample, letters = _sample(folder / "muestra_datos.npz", found), dataset.load(folder / LETTERS)
    means = {entry: cv_estimate(result, "accuracy") for entry, result in models.items()}
    return {
        EXAMPLE: example.draw(sample.images[0], names[sample.labels[0]]),
        "curva_loss": loss_curves.draw(
            {entry: plot_rows.loss_curves(result) for entry, result in models.items()}
        ),
        "folds": folds.draw(
            {
                entry: pd.Series(result.scores("accuracy"), plot_rows.fold_names(result))
                for entry, result in models.items()
            },
            means,
        ),
        "coste": cost.draw(
            {entry: _cost(found, result) for entry, result in models.items()}, means
        ),
        "confusion_matrix": confusion_matrices.draw(
            {entry: result.confusion for entry, result in models.items()}, names
        ),
        "calibracion": reliability.draw(
            {entry: calibration(result) for entry, result in models.items()},
            {entry: result.test["ece"] for entry, result in models.items()},
            {entry: result.test["ece_calibrated"]["high"] for entry, result in models.items()},
        ),
        "errores": surest_errors.draw(
            {
                entry: results.surest_errors(folder, result, sample.shape)
                for entry, result in models.items()
            },
            names,
        ),
        "glifos": glyph_sheet.draw(
            letters, sample, f"Imágenes de {found.data['dataset']}", twins(found)
        ),
    }


def twins(found: Comparison) -> set[str] | None:
    """The pretraining's letters that have the shape of a digit; None where that is no matter."""
    told = found.pretraining
    if told["source"] != "glyphs" or found.data["dataset"] != "MNIST":
        return None
    return {
        letter
        for twin in told["twins"]
        if twin["correlation"] > told["alike"]
        for letter in twin["letters"]
    }


def _sample(path: Path, found: Comparison) -> Dataset:
    sample = dataset.load(path)
    checks.same(path, "the classes", tuple(found.names), sample.names)
    checks.same(path, "images of shape", tuple(found.data["shape"]), sample.shape)
    return sample


def _cost(found: Comparison, result: Result) -> cost.Cost:
    # What went into weights that were downloaded, nobody tells.
    unknown = result.entry.pretrained and found.pretraining["source"] == "imagenet"
    training = None if unknown else found.training_flops(result)
    return cost.Cost(result.answer_flops, result.training_flops, training)
