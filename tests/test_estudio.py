"""The grid and the study: what their cells train, on which images, and what the tables say."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.repo import Repo
from scipy import stats
from statsmodels.stats.multitest import multipletests

from estudio import cell, tables
from stages import pretrain
from taller.common import files, numerics, params
from taller.datasets import dataset, splits
from taller.training import contestants

ROOT = Path(__file__).parents[1]
CONFIGS = {
    "kfold_train": contestants.read_scratch,
    "finetune": lambda key: contestants.read_finetuning(key)[0],
    "pretrain": pretrain.read_config,
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


def test_dvc_trains_the_cells_that_the_tables_read(cells, monkeypatch):
    places, names = set(), {"simple_nn": "SimpleNN", "cnn": "CNN"}

    def results(place):
        places.add(place)
        training = dict.fromkeys(("learning_rate", "epochs", "weight_decay", "schedule"), 1)
        training |= {"model_params": {"dropout": 0.0}, "trained": ["conv1", "fc"]}
        name = next((names[one] for one in names if one in place), "ResNet18")
        fit = {"model": name, "training": training, "start": {"source": "letters"}}
        columns = ("accuracy", "log_loss", "train_images", "val_images")
        scores = pd.DataFrame({name: [0.5] for name in columns}, [("1", "1")])
        return fit | {"trained_parameters": 9}, scores

    monkeypatch.setattr(tables, "results", results)
    settings = params.load(ROOT / cell.SETTINGS)
    tables.grid_tables(settings["ajuste"])
    assert places == {place for place in cells if place.startswith("ajuste/")}
    places.clear()
    tables.study_tables(settings["estudio"])
    assert places == {place for place in cells if place.startswith("estudio/")}


def test_every_cell_is_a_section_that_its_stage_reads(cells, workdir):
    content = params.load()
    for place, (section, changes) in cells.items():
        kind, name = section.split(".")
        values, grid = yaml.safe_load(f"{{{changes}}}"), place.startswith("ajuste/")
        changed = cell.with_changes(content, kind, name, values, grid=grid)
        params.PARAMS_FILE.write_text(yaml.safe_dump(changed), encoding="utf-8")
        config = CONFIGS[kind](f"{kind}.{name}")
        differing = {key for key in values if content[kind][name].get(key) != values[key]}
        assert differing <= {*type(config).model_fields}
        if grid:  # with few images the epochs of two cells stay in their ratio
            steps = content[kind][name]["min_steps"] * config.epochs
            assert config.min_steps == steps / content[kind][name]["epochs"]


@pytest.fixture
def train(workdir, mnist) -> dataset.Dataset:
    """3,000 of the training images, where the pipeline has all."""
    data = splits.stratified_subset(mnist[0], 3000, seed=0)
    dataset.save(cell.TRAIN, data)
    settings = {"estudio": {"images": 1000, "folds": 5}}
    files.write_text(cell.SETTINGS, yaml.safe_dump(settings))
    return data


def test_the_grid_validates_on_a_fifth_by_other_writers_and_is_none_of_the_folds(train):
    data, folds = cell.images("ajuste/cnn/x", seed=42)
    np.testing.assert_array_equal(data.images, train.images)
    assert {*folds} == {-1, 0} and np.mean(folds == 0) == pytest.approx(0.2, abs=0.02)
    assert not {*data.groups[folds == 0]} & {*data.groups[folds == -1]}
    compared = splits.stratified_folds(data, 5, numerics.split_seed(42))
    assert all({*folds[compared == fold]} == {-1, 0} for fold in range(5))


def test_the_study_has_the_images_and_folds_of_the_pipeline_with_a_subset(train):
    data, folds = cell.images("estudio/cnn", seed=42)
    seed = numerics.split_seed(42)
    subset = splits.stratified_subset(train, 1000, seed)  # as stages.preprocess
    np.testing.assert_array_equal(data.images, subset.images)
    np.testing.assert_array_equal(folds, splits.stratified_folds(subset, 5, seed))


def test_a_cell_is_trained_by_its_stage_and_leaves_its_results_alone(train, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    cell.cell("estudio/a", "kfold_train.simple_nn", "epochs: 2, min_steps: 0")
    assert {path.name for path in Path("estudio/cells/estudio/a").iterdir()} == {
        "fit.json", "history.csv", "scores.csv",
    }  # fmt: skip
    assert not any(path.is_file() for path in Path(".cache/estudio").rglob("*"))
    fit, scores = tables.results("estudio/a")
    assert fit["training"]["epochs"] == 2 and len(scores) == 5
    assert scores["val_images"].sum() == 1000 and scores["accuracy"].mean() > 0.6


def made_up(values: np.ndarray, model: str, **fit: object) -> tuple[dict, pd.DataFrame]:
    index = pd.MultiIndex.from_product([[1], range(1, len(values) + 1)], names=["repeat", "fold"])
    # Training sets that hardly overlap: the corrected test is then the plain one.
    images = {"train_images": 3e9, "val_images": 1.0}
    return {"model": model, **fit}, pd.DataFrame({"accuracy": values} | images, index)


def test_pairs_are_tested_fold_by_fold_and_corrected_for_their_number():
    random = np.random.default_rng(0)
    names = ("SimpleNN", "CNN", "none-fc", "letters-fc", "workshop")
    scores = {name: random.uniform(0.9, 1, 4) for name in names}
    scratch = {name: made_up(scores[name], name) for name in names[:2]}
    tuned = {name: made_up(scores[name], "ResNet18") for name in names[2:]}
    table = tables.study_pairs(scratch, tuned)
    couples = list(table[["experimento", "frente a"]].itertuples(index=False, name=None))
    assert len(couples) == 3 * 2 + 1 and ("letters-fc", "none-fc") in couples
    tests = [stats.ttest_rel(scores[one], scores[other]) for one, other in couples]
    means = [np.mean(scores[one] - scores[other]) for one, other in couples]
    np.testing.assert_allclose(table["diferencia"], means)
    low = [test.confidence_interval(0.95).low for test in tests]
    np.testing.assert_allclose(table["IC 95 % inferior"], low, rtol=1e-6)
    holm = multipletests([test.pvalue for test in tests], method="holm")[1]
    np.testing.assert_allclose(table["p (Holm)"], holm, rtol=0.05)
