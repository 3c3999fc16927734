"""Train a network from scratch: on every fold of every repeat, and once on all images.

Reads the training images and their folds. Writes the model fitted on all of them, from the folds
the history of losses and the validation scores, and how and at what cost it was trained. DVC runs
it once for each network: the workshop's SimpleNN, and a CNN of its size.
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

from pydantic import Field

from taller.data import dataset, splits
from taller.models import store
from taller.models.scaling import Scaling
from taller.program import cli, files, params
from taller.program.errors import Problem
from taller.program.params import Device, PerItem, Seed
from taller.training import cluster, cost, facts, journal, length
from taller.training.adamw import AdamW
from taller.training.cross_validation import cross_validate, joined
from taller.training.engine import Recipe
from taller.training.numerics import choose_device


class Params(params.Section):
    learning_rate: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0, le=1)
    schedule: Literal["constant", "one_cycle"]
    batch_size: int = Field(ge=2, le=8192)
    epochs: int = Field(ge=1, le=1000)
    min_steps: int = Field(ge=0, le=1_000_000)


def architecture(network: str) -> ModuleType:
    """Imported by name, so that an edit of one network reruns that one alone."""
    try:
        found = importlib.import_module(f"taller.models.{network}")
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("taller.models."):
            raise  # a library that the network needs
        found = None
    if not hasattr(found, "Knobs"):  # as what else is in that folder
        raise Problem(f"expected a network, taller/models/NAME.py with Knobs, found {network}")
    return found


def section(network: str) -> type[Params]:
    """The schema of ``kfold_train.NETWORK``: the network's own knobs, and how it is trained."""
    return type("Params", (Params, architecture(network).Knobs), {})


def kfold_train(
    network: str,
    params: Annotated[Params, PerItem(section)],
    seed: Seed,
    device: Device,
    train: Path = Path("data/processed/train.npz"),
    folds: Path = Path("data/processed/folds.npy"),
    models: Path = Path("modelos"),
    results: Path = Path("resultados"),
    cache: Path = Path(".cache"),
) -> None:
    built, place, data = architecture(network), choose_device(device), dataset.load(train)
    split = splits.load(folds, len(data))
    params = length.enough(params, len(data), built.NAME)
    knobs = params.model_dump(include=set(built.Knobs.model_fields))
    arguments = {"classes": data.classes, "shape": data.shape, **knobs}
    scaling = Scaling(mean=(0.5,), std=(0.5,), size=data.shape[1:])  # the workshop's
    recipe = Recipe(
        make_model=lambda: built.build(**arguments),
        make_optimizer=lambda model: AdamW(
            model.parameters(), params.learning_rate, params.weight_decay
        ),
        epochs=params.epochs,
        schedule=params.schedule,
    )
    kept = journal.of_stage(
        f"kfold_train.{network}", cache / "journal", [train, folds],
        params=params, seed=seed, device=place,
    )  # fmt: skip
    with cluster.fits_at_once(place):
        repeats = [
            cross_validate(
                recipe, data.images, data.labels, assigned, batch_size=params.batch_size,
                prepare=scaling, seed=seed, repeat=repeat, device=place, label=built.NAME,
                journal=kept,
            )
            for repeat, assigned in enumerate(split)
        ]  # fmt: skip
    outcome = joined(repeats)

    outcome.save(results / network)
    model = recipe.make_model()
    each = cost.count(model, data.shape)
    told = facts.of_fit(
        model, params, outcome.trained_parameters,
        answer=each.answer, training=params.epochs * len(data) * each.step,
    )  # fmt: skip
    files.write_json(results / network / "fit.json", told)
    store.save(models / f"{network}.pth", built.NAME, arguments, scaling, data.names, outcome.state)
    kept.forget()
    print(f"{built.NAME}: {outcome}")


if __name__ == "__main__":
    cli.main(kfold_train)
