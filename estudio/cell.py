"""Train one cell of the grid: a stage of the root's, with some params changed.

The stage runs in a folder of its own, under .cache, on all training images, of which a fifth
validates, of other writers (groups, where known), and which is none of the folds that models are
compared on. What the stage writes of that validation is left in estudio/cells/ajuste.
"""

import shutil
from contextlib import chdir
from pathlib import Path

from stages import finetune, kfold_train  # first: they pin what NumPy reads

# isort: split
import numpy as np
import yaml

from taller.common import numerics, params, stage
from taller.datasets import dataset, splits
from taller.datasets.dataset import Dataset

CELLS, SCRATCH, TRAIN = Path("estudio/cells"), Path(".cache/estudio"), Path("data/train")
PARTS = 5  # one of them validates
STAGES = {
    "kfold_train": (kfold_train.kfold_train, Path("resultados/cv/scratch")),
    "finetune": (finetune.finetune, Path("resultados/cv/finetuned")),
}


def cell(place: str, section: str, changes: str) -> None:
    """Train the cell `place` as `section` of params.yaml says, but for `changes`, in YAML."""
    kind, name = section.split(".")
    content = with_changes(params.load(), kind, name, yaml.safe_load(f"{{{changes}}}"))
    folder = SCRATCH / place  # there already, with checkpoints, where the cell was interrupted
    folder.mkdir(parents=True, exist_ok=True)
    (folder / params.PARAMS_FILE).write_text(yaml.safe_dump(content), encoding="utf-8")
    data, folds = images(content["seed"])
    dataset.save(folder / TRAIN, data)
    dataset.save_array(folder / TRAIN / "folds.npy", folds[np.newaxis])
    if start := content[kind][name].get("start"):
        shutil.copytree(start, folder / start, dirs_exist_ok=True)
    run, results = STAGES[kind]
    with chdir(folder):
        run(name)
    shutil.copytree(folder / results / name, CELLS / place, dirs_exist_ok=True)
    shutil.rmtree(folder)


def with_changes(content: dict, kind: str, name: str, changes: dict) -> dict:
    """All params, where the changed section is the only network, and there is one repeat."""
    section = content[kind][name]
    # Half as many epochs are half as many where images are few, too.
    steps = round(section["min_steps"] * changes["epochs"] / section["epochs"])
    networks = {key: {} for key in STAGES}
    networks |= {kind: {name: section | {"min_steps": steps} | changes}}
    return content | networks | {"preprocess": content["preprocess"] | {"repeats": 1}}


def images(seed: int) -> tuple[Dataset, np.ndarray]:
    """The images, and the fold in which each validates: int64, -1 is in none."""
    data = dataset.load(TRAIN)
    parts = splits.stratified_folds(data, PARTS, numerics.tuning_seed(seed))
    return data, np.where(parts == 0, 0, -1)


if __name__ == "__main__":
    stage.run(cell)
