"""Tuned alike: grids of one size, one split by other writers, and params.yaml holds what won."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.utils import hydra

from taller.data import dataset, idx_source
from taller.data.idx_sets import MNIST
from taller.models.catalogue import EFFICIENTNET_LITE0, MODELS, RESNET18, SIMPLE_NN
from tools import tune
from tools.tune import Grid

ROOT = Path(__file__).parents[1]
WORDS = {"learning_rate": "tasa de aprendizaje", "epochs": "épocas"}


def committed() -> pd.DataFrame:
    return pd.read_csv(ROOT / "resultados/ajuste.csv")


def committed_section(grid: Grid) -> dict:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name in grid.section.split("."):
        values = values[name]
    return values


def test_every_model_has_a_grid_of_the_same_size_that_differs_in_one_knob_of_its_own():
    assert [grid.entry for grid in tune.GRIDS] == list(MODELS)
    assert len({(len(g.learning_rates), len(g.epochs), len(g.values)) for g in tune.GRIDS}) == 1
    for grid in tune.GRIDS:
        assert len({tuple(cell.values()) for cell in grid.cells}) == len(grid.cells) == 12
        fields = type(tune.section_of(grid)).model_fields
        assert all(set(cell) <= set(fields) for cell in [*grid.cells, *grid.extra])


def test_the_grid_is_of_the_network_that_is_fine_tuned():
    entries = {grid.entry for grid, _, _ in tune.cells(EFFICIENTNET_LITE0)}
    assert entries == {*MODELS} - {RESNET18} | {EFFICIENTNET_LITE0}
    assert tune.base_of(EFFICIENTNET_LITE0) == Path("modelos/efficientnet_lite0_base.pth")


def test_the_committed_table_has_every_cell_and_the_workshops_training():
    table = committed()
    rows = table.groupby("modelo")["en la cuadrícula"].value_counts()
    for grid in tune.GRIDS:
        assert rows[grid.entry.name, "sí"] == len(grid.cells)
    workshop = table[(table["modelo"] == SIMPLE_NN.name) & (table["calendario"] == "constant")]
    assert workshop["tasa de aprendizaje"].tolist() == [0.001]


@pytest.mark.parametrize("grid", tune.GRIDS, ids=lambda grid: grid.entry.key)
def test_the_committed_params_are_what_won(grid):
    table = committed()
    rows = table[(table["modelo"] == grid.entry.name) & (table["en la cuadrícula"] == "sí")]
    (best,) = rows[rows["elegida"] == "sí"].to_dict("records")
    assert best["accuracy"] == rows["accuracy"].max()
    section = committed_section(grid)
    assert best["hiperparámetro propio"] == grid.knob
    assert best["valor"] == section[grid.knob]
    for key, word in WORDS.items():
        assert best[word] == section[key]


def test_of_equal_accuracies_the_smaller_loss_wins_and_what_is_beside_the_grid_never():
    rows = [
        ("a", 0.9, 0.3, "sí"), ("a", 0.9, 0.2, "sí"), ("a", 0.99, 0.1, "no"), ("b", 0.8, 0.5, "sí"),
    ]  # fmt: skip
    table = pd.DataFrame(
        rows, columns=["modelo", "accuracy", "pérdida logarítmica", "en la cuadrícula"]
    )
    assert tune.with_winners(table)["elegida"].tolist() == ["no", "sí", "no", "sí"]


@pytest.fixture
def small(tmp_path, monkeypatch, mnist_raw):
    """600 images in place, and a grid of two cells; `calls` tells which of them were trained."""
    train, _ = idx_source.read(MNIST, mnist_raw)
    dataset.save(tmp_path / tune.TRAIN, train.take(np.arange(600)))
    (tmp_path / "modelos").mkdir()
    (tmp_path / tune.base_of(RESNET18)).write_bytes(b"base")
    for name in ("dvc.yaml", "stages", "taller"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    hydra.apply_overrides(tmp_path / "params.yaml", ["kfold_train.simple_nn.min_steps=0"])
    monkeypatch.chdir(tmp_path)
    grid = Grid(SIMPLE_NN, "kfold_train.simple_nn", (0.001, 0.01), (1,), "dropout", (0.0,))
    monkeypatch.setattr(tune, "GRIDS", (grid,))
    calls, measure = [], tune.measure

    def counted(grid, chosen, assigned):
        found = measure(grid, chosen, assigned)
        calls.append(chosen.learning_rate)
        return found

    monkeypatch.setattr(tune, "measure", counted)
    return calls


def test_cells_are_trained_once_by_the_stage_and_told(small, capsys):
    table = tune.tune()
    assert small == [0.001, 0.01]
    assert table["tasa de aprendizaje"].tolist() == [0.001, 0.01]
    assert table["accuracy"].between(0.11, 0.99).all()
    assert table["accuracy"][1] > table["accuracy"][0]  # a faster rate gets further in one epoch
    assert capsys.readouterr().out.count("SimpleNN: learning_rate") == 2
    assert tune.tune().equals(table)
    assert small == [0.001, 0.01]


def test_what_is_done_when_it_is_interrupted_is_kept(small, monkeypatch):
    measure = tune.measure
    monkeypatch.setattr(
        tune,
        "measure",
        lambda *a: measure(*a) if not small else (_ for _ in ()).throw(KeyboardInterrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        tune.tune()
    monkeypatch.setattr(tune, "measure", measure)
    tune.tune()
    assert small == [0.001, 0.01]


def test_other_data_or_code_are_other_cells():
    grid = tune.GRIDS[0]
    chosen, split = tune.section_of(grid), np.zeros((1, 4), np.int64)
    one = tune.key_of(grid, chosen, split, "data")
    assert one == tune.key_of(grid, chosen, split, "data")
    others = {
        tune.key_of(grid, chosen, split, "others"),
        tune.key_of(grid, chosen, split + 1, "data"),
        tune.key_of(grid, chosen.model_copy(update={"epochs": 99}), split, "data"),
    }
    assert len(others | {one}) == 4


def test_the_split_keeps_writers_apart_and_is_none_of_the_folds(mnist_raw, monkeypatch, tmp_path):
    seen = []
    train, _ = idx_source.read(MNIST, mnist_raw)
    dataset.save(tmp_path / tune.TRAIN, train)
    (tmp_path / "modelos").mkdir()
    (tmp_path / tune.base_of(RESNET18)).write_bytes(b"base")
    for name in ("params.yaml", "dvc.yaml", "stages", "taller"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tune, "remembered", lambda key, work: {"accuracy": 0.5, "log_loss": 1.0})
    monkeypatch.setattr(tune, "key_of", lambda grid, chosen, split, inputs: seen.append(split))
    tune.tune()
    split = seen[0][0]
    validating = set(train.groups[split == 0])
    assert 0.19 < np.mean(split == 0) < 0.21
    assert not validating & set(train.groups[split == -1])
    assert len(seen) == sum(len(grid.cells) + len(grid.extra) for grid in tune.GRIDS)


def test_missing_inputs_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").symlink_to(ROOT / "params.yaml")
    monkeypatch.setattr("sys.argv", ["tune"])
    with pytest.raises(
        SystemExit, match=r"train\.npz: expected what dvc repro preprocess pretrain"
    ):
        tune.main()
