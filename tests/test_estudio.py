"""The grid: what its cells train, on which images, and what the table reads."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo

from estudio import cell, tables
from taller.common import numerics, params
from taller.datasets import dataset, splits
from taller.training import contestants

ROOT = Path(__file__).parents[1]
CONFIGS = {
    "kfold_train": contestants.read_scratch,
    "finetune": lambda key: contestants.read_finetuning(key)[0],
}


@pytest.fixture(scope="module")
def cells() -> dict[str, tuple[str, str]]:
    """The section and the changes of each place, as estudio/dvc.yaml calls the program."""
    with Repo(ROOT / "estudio") as repo:
        listed = [(shlex.split(stage.cmd), stage.outs) for stage in repo.index.stages]
    listed = [(words, outs) for words, outs in listed if "estudio.cell" in words]
    for words, outs in listed:
        assert [out.def_path for out in outs] == [f"cells/{words[-3]}"]
    return {words[-3]: (words[-2], words[-1]) for words, _ in listed}


def test_the_roots_dvc_does_not_know_it():
    with Repo(ROOT) as repo:  # status, pull, push, repro and exp show take it from this index
        assert "compare" in {stage.name for stage in repo.index.stages}
        assert not [one for one in repo.index.stages if "estudio" in Path(one.path_in_repo).parts]


def test_dvc_trains_the_cells_that_the_table_reads(cells, monkeypatch):
    places = set()

    def row(place, param, in_grid):
        places.add(f"ajuste/{place}")
        return {"modelo": "", "en la cuadrícula": in_grid, "accuracy": 0, "pérdida logarítmica": 0}

    monkeypatch.setattr(tables, "grid_row", row)
    tables.grid_table(params.load(ROOT / tables.SETTINGS)["ajuste"])
    assert places == {*cells}


def test_every_cell_is_a_section_that_its_stage_reads(cells, workdir):
    content = params.load()
    for section, changes in cells.values():
        kind, name = section.split(".")
        values = yaml.safe_load(f"{{{changes}}}")
        changed = cell.with_changes(content, kind, name, values)
        params.PARAMS_FILE.write_text(yaml.safe_dump(changed), encoding="utf-8")
        config = CONFIGS[kind](f"{kind}.{name}")
        differing = {key for key in values if content[kind][name].get(key) != values[key]}
        assert differing <= {*type(config).model_fields}
        # With few images the epochs of two cells stay in their ratio.
        steps = content[kind][name]["min_steps"] * config.epochs
        assert config.min_steps == steps / content[kind][name]["epochs"]


@pytest.fixture
def train(workdir, mnist) -> dataset.Dataset:
    """3,000 of the training images, where the pipeline has all."""
    data = splits.stratified_subset(mnist[0], 3000, seed=0)
    dataset.save(cell.TRAIN, data)
    return data


def test_the_grid_validates_on_a_fifth_by_other_writers_and_is_none_of_the_folds(train):
    data, folds = cell.images(seed=42)
    np.testing.assert_array_equal(data.images, train.images)
    assert {*folds} == {-1, 0} and np.mean(folds == 0) == pytest.approx(0.2, abs=0.02)
    assert not {*data.groups[folds == 0]} & {*data.groups[folds == -1]}
    compared = splits.stratified_folds(data, 5, numerics.split_seed(42))
    assert all({*folds[compared == fold]} == {-1, 0} for fold in range(5))


def test_a_cell_is_trained_by_its_stage_and_leaves_its_results_alone(train, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    cell.cell("ajuste/simple_nn/a", "kfold_train.simple_nn", "epochs: 2, dropout: 0.0")
    assert {path.name for path in Path("estudio/cells/ajuste/simple_nn/a").iterdir()} == {
        "fit.json", "history.csv", "scores.csv",
    }  # fmt: skip
    assert not any(path.is_file() for path in Path(".cache/estudio").rglob("*"))
    row = tables.grid_row("simple_nn/a", "dropout", "sí")
    assert row["modelo"] == "SimpleNN" and row["accuracy"] > 0.6


def test_the_best_of_each_model_is_marked_and_of_equal_ones_the_surer():
    rows = [
        ("A", 0.9, 0.3, "sí"),
        ("A", 0.9, 0.2, "sí"),
        ("A", 0.99, 0.1, "no"),
        ("B", 0.5, 1, "sí"),
    ]
    names = ["modelo", "accuracy", "pérdida logarítmica", "en la cuadrícula"]
    marked = tables.with_winners(pd.DataFrame(rows, columns=names))
    assert [*marked["elegida"]] == ["no", "sí", "no", "sí"]
