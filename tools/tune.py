"""Try a grid of the same size for every model, so that none is compared better tuned than another.

Each cell trains a model by its own stage on four fifths of the training images and validates it on
the rest, by other writers (origins, where known): one split for all, and none of the folds. Writes
`resultados/ajuste.csv`; what won belongs into params.yaml. Cells that are done already, with the
same data and code, are not run again: interrupt it at will.
"""

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from stages import finetune, kfold_train
from taller.data import dataset, folds, sources
from taller.data.origin import Network
from taller.models import bases
from taller.models.catalogue import CNN, FINETUNED, RESNET18, SIMPLE_NN, Entry
from taller.program import files, params, seeds
from taller.program.errors import Problem
from taller.program.params import Section
from taller.program.progress import bar
from taller.training import length
from tools import code_deps

TRAIN = Path("data/processed/train.npz")
MODELS = Path("modelos")
JOURNAL = Path(".cache/ajuste")
PARTS = 5  # one of them validates


@dataclass(frozen=True)
class Grid:
    """What is tried of one model: learning rates, epochs, and one knob of its own.

    Attributes
    ----------
    section : str
        Of params.yaml, which has all that the grid does not vary.
    extra : tuple of dict
        Cells beside the grid, shown and never chosen.
    """

    entry: Entry
    section: str
    learning_rates: tuple[float, ...]
    epochs: tuple[int, ...]
    knob: str
    values: tuple[object, ...]
    extra: tuple[dict[str, object], ...] = ()

    @property
    def cells(self) -> list[dict[str, object]]:
        """The values that each cell changes in the section."""
        names = ("learning_rate", "epochs", self.knob)
        return [
            dict(zip(names, cell, strict=True))
            for cell in product(self.learning_rates, self.epochs, self.values)
        ]


RATES = (0.001, 0.003, 0.01)
# Epochs end where the pipeline's time does: a network of more arithmetic goes over fewer.
GRIDS = (
    Grid(
        SIMPLE_NN, "kfold_train.simple_nn", RATES, (5, 10), "dropout", (0.0, 0.2),
        # The workshop's own training.
        extra=({"learning_rate": 0.001, "epochs": 10, "dropout": 0.2, "schedule": "constant"},),
    ),
    Grid(CNN, "kfold_train.cnn", RATES, (2, 4), "dropout", (0.0, 0.2)),
    Grid(RESNET18, "finetune", RATES, (5, 10), "weight_decay", (0.0, 0.1)),
)  # fmt: skip


def section_of(grid: Grid) -> Section:
    """What params.yaml says of a model now."""
    schema = finetune.Params
    if not grid.entry.pretrained:
        schema = kfold_train.section(grid.entry.key)
    return params.read(grid.section, schema)


def with_cell(section: Section, cell: dict[str, object]) -> Section:
    """The section with a cell's values; fewer epochs are fewer where images are few, too."""
    steps = round(section.min_steps * cell["epochs"] / section.epochs)
    return section.model_copy(update={**cell, "min_steps": steps})


def train(grid: Grid, chosen: Section, split: Path, folder: Path) -> None:
    """Run the model's stage on one split; its results are left in a folder of its key."""
    seed, device = params.read("seed", params.Seed), params.read("device", params.Device)
    if grid.entry.pretrained:
        threads = params.read("threads", params.Threads)
        base, others = bases.places(folder, grid.entry.key)
        base.symlink_to(base_of(grid.entry).absolute())
        bases.tell(others, 1)  # however many repeats there are, one split needs one network
        finetune.finetune(
            chosen, grid.entry.key, seed, threads, device, folds=split, models=folder,
            results=folder, cache=JOURNAL,
        )  # fmt: skip
    else:
        kfold_train.kfold_train(
            grid.entry.key, chosen, seed, device, folds=split, models=folder, results=folder,
            cache=JOURNAL,
        )  # fmt: skip


def base_of(entry: Entry) -> Path:
    """The pretrained network; `pretrain` makes it."""
    return bases.places(MODELS, entry.key)[0]


def measure(grid: Grid, chosen: Section, assigned: np.ndarray) -> dict[str, float]:
    """Accuracy and log loss of one cell on the images that validate."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        np.save(folder / "folds.npy", assigned)
        train(grid, chosen, folder / "folds.npy", folder)
        records = pd.read_csv(folder / grid.entry.key / "scores.csv").set_index("metric")["value"]
    return {metric: float(records[metric]) for metric in ("accuracy", "log_loss")}


def remembered(key: str, work: Callable[[], dict]) -> dict:
    """What `work` gave for this key, now or in an earlier call."""
    file = JOURNAL / f"{key}.json"
    if not file.exists():
        found = work()
        files.write_json(file, found)
    return files.read_json(file)


def key_of(grid: Grid, chosen: Section, split: np.ndarray, inputs: str) -> str:
    stage = "finetune" if grid.entry.pretrained else "kfold_train"
    networks = [] if grid.entry.pretrained else [grid.entry.key]
    listed = code_deps.code(stage, networks)
    code = [name.replace("${item.network}", grid.entry.key) for name in listed]
    shared = {name: params.load()[name] for name in ("seed", "threads", "device")}
    told = json.dumps([grid.section, chosen.model_dump(mode="json"), shared, inputs])
    parts = [told.encode(), split.tobytes(), *(Path(name).read_bytes() for name in code)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def tune() -> pd.DataFrame:
    """The table of all grids, in the reader's words, with the cells that won."""
    data = dataset.load(TRAIN)
    split = folds.stratified_folds(data, PARTS, seeds.of_tuning(params.read("seed", params.Seed)))
    assigned = np.where(split == 0, 0, -1)[np.newaxis]  # -1 never validates
    finetuned = FINETUNED[params.read("pretrain.network", Network)]
    inputs = files.sha256(TRAIN) + files.sha256(base_of(finetuned))
    work = list(cells(finetuned))
    rows = []
    with bar(len(work), "ajuste", "cell") as shown:
        for grid, cell, in_grid in work:
            chosen = with_cell(section_of(grid), cell)
            key = key_of(grid, chosen, assigned, inputs)
            found = remembered(
                key, lambda grid=grid, chosen=chosen: measure(grid, chosen, assigned)
            )
            trained = {"epochs": length.epochs(chosen, len(data))}  # more where images are few
            rows.append(row(grid, cell | trained, in_grid, found))
            told = ", ".join(f"{name} {value}" for name, value in cell.items())
            print(f"{grid.entry.short}: {told}: accuracy {found['accuracy']:.4f}", flush=True)
            shown.update(1)
    return with_winners(pd.DataFrame(rows))


def cells(finetuned: Entry) -> Iterator[tuple[Grid, dict[str, object], bool]]:
    """Every cell, and whether it is in the grid; the last grid is of the network to fine-tune."""
    for grid in GRIDS:
        if grid.entry.pretrained:
            grid = replace(grid, entry=finetuned)
        yield from ((grid, cell, True) for cell in grid.cells)
        yield from ((grid, cell, False) for cell in grid.extra)


def row(grid: Grid, cell: dict[str, object], in_grid: bool, found: dict[str, float]) -> dict:
    return {
        "modelo": grid.entry.name,
        "tasa de aprendizaje": cell["learning_rate"],
        "épocas": cell["epochs"],
        "hiperparámetro propio": grid.knob,
        "valor": cell[grid.knob],
        "calendario": cell.get("schedule", section_of(grid).schedule),
        "accuracy": found["accuracy"],
        "pérdida logarítmica": found["log_loss"],
        "en la cuadrícula": "sí" if in_grid else "no",
    }


def with_winners(table: pd.DataFrame) -> pd.DataFrame:
    """Mark, of each model's grid, the best accuracy; of equal ones the one of less log loss."""
    grid = table[table["en la cuadrícula"] == "sí"]
    ranked = grid.sort_values(["accuracy", "pérdida logarítmica"], ascending=[False, True])
    best = ranked.groupby("modelo").head(1).index
    return table.assign(elegida=["sí" if place in best else "no" for place in table.index])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.tune", description=__doc__)
    parser.parse_args()
    try:
        table = tune()
    except Problem as problem:
        sys.exit(f"tune: {problem}")
    except FileNotFoundError as error:
        sys.exit(f"tune: {error.filename}: expected what dvc repro preprocess pretrain makes")
    except KeyboardInterrupt:
        sys.exit("\ntune: interrupted; what is done is kept, run it again to go on")
    # The report reads MNIST's; another data set's lies beside it.
    name = params.read("dataset", sources.Name)
    file = Path("resultados") / ("ajuste.csv" if name == "MNIST" else f"ajuste_{name}.csv")
    table.to_csv(file, index=False, float_format="%.6g")
    print(f"all of it: {file}")
    print(table[table["elegida"] == "sí"].iloc[:, :8].to_string(index=False))


if __name__ == "__main__":
    main()
