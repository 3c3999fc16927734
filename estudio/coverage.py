"""Cross-validate small pieces of the training images; all other images tell the truth of each.

The pieces are disjoint. random: images drawn by class, in random folds. grouped: all images of a
few writers, whom no fold divides. SimpleNN, SimpleNN from other seeds, and CNN learn on the same
folds of a piece; each network answers the images of its fold, and a sample of those outside of the
piece. A part is one of several stages, which share the pieces. It writes a row for each image and
one for each fold into estudio/cells; `coverage_tables` makes intervals of them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import stages  # noqa: F401 (first: it pins what NumPy reads)

# isort: split
import numpy as np
import pandas as pd
import torch
from torch import nn

from taller.common import files, numerics, params, stage, terminal
from taller.common.terminal import UserError
from taller.datasets import dataset, splits
from taller.datasets.dataset import Dataset
from taller.training import batches, contestants, engine, workers
from taller.training.cross_validation import OUT, Training, fit_fold
from taller.training.workers import Report

TRAIN, CELLS = Path("data/train"), Path("estudio/cells/cobertura")
SETTINGS, KINDS = Path("estudio/params.yaml"), ("random", "grouped")
# The networks that learn on a piece, and their sections of kfold_train.
NETWORKS = {"simple_nn": "simple_nn", "simple_nn_again": "simple_nn", "cnn": "cnn"}
PLACE = 99  # in the tree of seeds, where a repeat is, of which there are at most 20


def coverage(kind: str, part: str) -> None:
    common = params.load(SETTINGS)["cobertura"]
    settings = common[kind] | {"folds": common["folds"]}
    seed = numerics.spawn(params.read("seed", params.Seed), PLACE, KINDS.index(kind))
    device = engine.choose_device(params.read("device", params.Device))
    data = dataset.load(TRAIN)
    if kind == "random":
        data = replace(data, groups=None)
    elif data.groups is None:
        raise UserError(f"{TRAIN}: expected groups, such as MNIST's writers, found none")
    networks = {
        name: training(section, data, settings["epochs"], device)
        for name, section in NETWORKS.items()
    }
    shared = networks, data, pieces(data, settings, seed), settings, seed
    chosen = [(piece,) for piece in range(settings["pieces"])[int(part) :: len(common["parts"])]]
    with terminal.bar(len(chosen) * len(networks), f"{kind} {part}", "networks") as bar:
        options = {"processes": workers.count(device), "report": lambda *_: bar.update(1)}
        outcomes = workers.run(fit_piece, chosen, shared, **options)
    for name, tables in zip(("images", "rest"), zip(*outcomes, strict=True), strict=True):
        with files.atomic_write(CELLS / f"{kind}-{part}" / f"{name}.csv") as file:
            pd.concat(tables).to_csv(file, index=False, float_format="%.8g")


def training(section: str, data: Dataset, epochs: int, device: torch.device) -> Training:
    """How a network learns on a piece: as params.yaml says, but for its epochs."""
    config = contestants.read_scratch(f"kfold_train.{section}")
    config = config.model_copy(update={"epochs": epochs, "min_steps": 0})
    return contestants.scratch_training(config, data, len(data), section, 0, device)


def pieces(data: Dataset, settings: dict[str, Any], seed: int) -> np.ndarray:
    """The piece that each image is in: int64, shape (n,)."""
    if data.groups is None:
        return splits.stratified_folds(data, len(data) // settings["images"], seed % 2**32)
    writers, places = np.unique(data.groups, return_inverse=True)
    number = np.arange(len(writers)) % (len(writers) // settings["writers"])
    return np.random.default_rng(seed).permutation(number)[places]


def fit_piece(
    networks: dict[str, Training], data: Dataset, assigned: np.ndarray, settings: dict[str, Any],
    seed: int, piece: int, report: Report,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Which images of a piece are right, and how many of the rest.

    Returns
    -------
    images : DataFrame
        ``piece``, ``fold``, ``group`` (-1 where none is known), and a column per network: 1 or 0.
    rest : DataFrame
        ``piece``, ``fold``, and a column per network: its accuracy outside of the piece. Each
        piece has a sample of its own, so that the mean over pieces owes little to its luck.
    """
    seed, outside = numerics.spawn(seed, piece), np.flatnonzero(assigned != piece)
    sample = np.random.default_rng(seed).choice(outside, settings["rest"], replace=False)
    own, others = data.take(assigned == piece), data.take(sample)
    folds = splits.stratified_folds(own, settings["folds"], seed % 2**32)
    groups = -1 if own.groups is None else own.groups
    images = pd.DataFrame({"piece": piece, "fold": folds + 1, "group": groups})
    rest = pd.DataFrame({"piece": piece, "fold": range(1, settings["folds"] + 1)})
    for number, (name, fit) in enumerate(networks.items()):
        images[name], rest[name] = 0, 0.0
        for fold in range(settings["folds"]):
            validates = folds == fold
            # As the pipeline's fit on all images, but that those of this fold take no part.
            state = fit_fold(
                replace(fit, seed=numerics.spawn(seed, number, fold)), own.images, own.labels,
                np.where(validates, OUT, -1), 0, None, None, lambda *_: None,
            ).state  # fmt: skip
            (network := fit.build().to(fit.device)).load_state_dict(state)
            images.loc[validates, name] = _hits(network, fit, own.take(validates))
            rest.loc[fold, name] = _hits(network, fit, others).mean()
        report(name, [], "")
    return images, rest


def _hits(network: nn.Module, fit: Training, data: Dataset) -> np.ndarray:
    logits = engine.predict(network, batches.prepare_batches(data.images, fit.prepare, fit.device))
    return (logits.argmax(1).numpy() == data.labels).astype(np.int64)


if __name__ == "__main__":
    stage.run(coverage)
