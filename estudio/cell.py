"""Train one cell of the grid or of the study: a stage of the root's, with some params changed.

The stage runs in a folder of its own, under .cache, on images and folds that the cell's place
decides. ajuste/NETWORK/...: all training images, of which a fifth validates, by other writers
(groups, where known), and which is none of the folds that models are compared on. estudio/...: a
few images in folds. base/...: none, as a network is made and not tried. What the stage writes of
the cross-validation, or the network, is left in estudio/cells.
"""

import shutil
from contextlib import chdir
from pathlib import Path

from stages import finetune, kfold_train, pretrain  # first: they pin what NumPy reads

# isort: split
import numpy as np
import yaml

from taller.common import numerics, params, stage
from taller.datasets import dataset, splits
from taller.datasets.dataset import Dataset

CELLS, SETTINGS = Path("estudio/cells"), Path("estudio/params.yaml")
SCRATCH, TRAIN = Path(".cache/estudio"), Path("data/train")
GRID_PARTS = 5  # one of them validates
# By the first layer that is trained.
TRAINABLE = {"fc": ["fc"], "layer4": ["layer4", "fc"], "all": "all"}
STAGES = {
    "kfold_train": (kfold_train.kfold_train, Path("resultados/cv/scratch")),
    "finetune": (finetune.finetune, Path("resultados/cv/finetuned")),
    "pretrain": (pretrain.pretrain, Path("modelos/base")),
}


def cell(place: str, section: str, changes: str) -> None:
    """Train the cell `place` as `section` of params.yaml says, but for `changes`, in YAML."""
    kind, name = section.split(".")
    values, content = yaml.safe_load(f"{{{changes}}}"), params.load()
    content = with_changes(content, kind, name, values, grid=place.startswith("ajuste/"))
    folder = SCRATCH / place  # there already, with checkpoints, where the cell was interrupted
    folder.mkdir(parents=True, exist_ok=True)
    (folder / params.PARAMS_FILE).write_text(yaml.safe_dump(content), encoding="utf-8")
    if kind != "pretrain":
        data, folds = images(place, content["seed"])
        dataset.save(folder / TRAIN, data)
        dataset.save_array(folder / TRAIN / "folds.npy", folds[np.newaxis])
    if kind == "finetune":
        start = Path(content[kind][name]["start"])
        shutil.copytree(start, folder / start, dirs_exist_ok=True)
    run, results = STAGES[kind]
    with chdir(folder):
        run(name)
    shutil.copytree(folder / results / name, CELLS / place, dirs_exist_ok=True)
    shutil.rmtree(folder)


def with_changes(content: dict, kind: str, name: str, changes: dict, *, grid: bool) -> dict:
    """All params, where the changed section is the only network, and there is one repeat."""
    section = content[kind][name]
    if grid:  # half as many epochs are half as many where images are few, too
        steps = section["min_steps"] * changes["epochs"] / section["epochs"]
        changes = {"min_steps": round(steps)} | changes
    if isinstance(layers := changes.get("trainable"), str):
        changes = changes | {"trainable": TRAINABLE[layers]}
    networks = {key: {} for key in STAGES} | {kind: {name: section | changes}}
    return content | networks | {"preprocess": content["preprocess"] | {"repeats": 1}}


def images(place: str, seed: int) -> tuple[Dataset, np.ndarray]:
    """The images of a cell, and the fold in which each validates: int64, -1 is in none."""
    data = dataset.load(TRAIN)
    if place.startswith("ajuste/"):
        parts = splits.stratified_folds(data, GRID_PARTS, numerics.tuning_seed(seed))
        return data, np.where(parts == 0, 0, -1)
    settings, seed = params.load(SETTINGS)["estudio"], numerics.split_seed(seed)
    data = splits.stratified_subset(data, settings["images"], seed)
    return data, splits.stratified_folds(data, settings["folds"], seed)


if __name__ == "__main__":
    stage.run(cell)
