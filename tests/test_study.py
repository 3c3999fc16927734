"""The study's plan, held against the schemas; its table, on made-up experiments."""

import hashlib
import importlib
import json
import subprocess
from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter
from scipy import stats
from statsmodels.stats.multitest import multipletests

from taller.data import idx_sets
from taller.program import files, params
from tools import experiments, study, study_pairs

ROOT = Path(__file__).parents[1]
SOURCES = ["none", "glyphs", "imagenet"]


def test_the_grid_is_every_source_with_every_set_of_layers_and_the_workshop():
    plan = study.plan(SOURCES, 10_000, 5)
    cells = {(own["pretrain.source"], own["finetune.trainable"]) for own in plan.values()}
    assert len(plan) == 3 * 3 + 1
    assert {
        (source, layers) for source in SOURCES for layers in ("[fc]", "[layer4,fc]", "all")
    } < cells
    taller = plan["estudio-10000-5-taller"]
    assert (taller["finetune.stem"], taller["finetune.trainable"]) == ("random", "[conv1,fc]")
    assert all(own["preprocess.subset"] == 10_000 for own in plan.values())


def test_other_settings_are_other_experiments():
    plans = [study.plan(SOURCES, *settings) for settings in ((10_000, 5), (10_000, 4), (500, 5))]
    assert len({name for plan in plans for name in plan}) == sum(map(len, plans))


@pytest.mark.parametrize("name", study.plan(SOURCES, 10_000, 5))
def test_every_experiment_fits_the_schemas(name):
    content = params.load(ROOT / "params.yaml")
    for key, value in study.plan(SOURCES, 10_000, 5)[name].items():
        *sections, field = key.split(".")
        place = reduce(dict.__getitem__, sections, content)
        assert field in place
        place[field] = yaml.safe_load(value) if isinstance(value, str) else value
    for section in ("preprocess", "pretrain", "finetune"):
        schema = importlib.import_module(f"stages.{section}").Params
        TypeAdapter(schema).validate_python(content[section])


@pytest.mark.parametrize("place", ["data/pretrained", "torch/hub/checkpoints"])
def test_weights_are_found_where_the_user_put_them_and_wrong_ones_stay(
    tmp_path, monkeypatch, capsys, place
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    name = f"resnet18-{hashlib.sha256(b'weights').hexdigest()[:8]}.pth"
    values = {
        "mirrors": {name: [] for name in idx_sets.SETS},
        "weights_url": f"http://127.0.0.1:1/{name}",
        "timeout": 1,
    }
    told = {"download": values, "pretrain": {"network": "resnet18"}}
    (tmp_path / "params.yaml").write_text(json.dumps(told), encoding="utf-8")
    assert study.available_sources() == ["none", "glyphs"]
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / name).write_bytes(b"others")
    assert study.available_sources() == ["none", "glyphs"]
    assert "move it away or delete it" in capsys.readouterr().out
    assert (tmp_path / place / name).read_bytes() == b"others"
    (tmp_path / place / name).write_bytes(b"weights")
    assert study.available_sources() == ["none", "glyphs", "imagenet"]
    assert (tmp_path / "torch/hub/checkpoints" / name).read_bytes() == b"weights"


def experiment(name, trainable, source="auto", state=None):
    """As `dvc exp show --json` gives one."""
    values = {
        "pretrain": {"source": source}, "preprocess": {"subset": 500},
        "finetune": {"trainable": trainable, "stem": "sum_rgb", "epochs": 4},
    }  # fmt: skip
    metrics = {
        "resnet18": {"cv": {"accuracy": {"mean": 0.91, "std": 0.02}}, "test": {"accuracy": 0.99}},
        "simple_nn": {"cv": {"accuracy": {"mean": 0.87, "std": 0.01}}},
        "cnn": {"cv": {"accuracy": {"mean": 0.9, "std": 0.01}}},
    }
    data = {
        "params": {"params.yaml": {"data": values}},
        "metrics": {"resultados/metrics.json": {"data": metrics}},
    }
    revs = [{"rev": f"commit-of-{name}", "name": name, "data": data}]
    return {"name": name, "executor": state and {"state": state}, "revs": revs}


def test_the_table_comes_from_the_experiments_and_their_commits(monkeypatch):
    shown = [
        {"rev": "workspace"},
        {"rev": "main", "experiments": [
            experiment("one", ["layer4", "fc"]), experiment("two", "all", state="Success"),
            experiment("lost", "all", state="Failed"),
        ]},
    ]  # fmt: skip
    monkeypatch.setattr(experiments, "dvc", lambda *_, capture: json.dumps(shown))
    told = {
        "commit-of-one": details("glyphs", 8_000_000),
        "commit-of-two": details("imagenet", 11_000_000),
    }
    monkeypatch.setattr(study, "committed", lambda rev, file: told[rev])
    assert set(experiments.finished()) == {"one", "two"}
    table = study.collect(["two", "one"])
    assert table.to_dict("list") == {
        "experimento": ["two", "one"],
        "fuente": ["imagenet", "glyphs"],
        "capas entrenadas": ["all", "layer4, fc"],
        "primera capa": ["sum_rgb"] * 2,
        "imágenes": [500] * 2,
        "épocas": [4] * 2,
        "parámetros entrenados": [11_000_000, 8_000_000],
        "accuracy": [0.91] * 2,
        "desv. accuracy": [0.02] * 2,
        "accuracy de SimpleNN": [0.87] * 2,
        "accuracy de CNN": [0.9] * 2,
    }


def details(source: str, trained: int) -> dict:
    """As detalle.json tells of an experiment."""
    return {
        "models": {"resnet18": {"trained_parameters": trained}},
        "pretraining": {"source": source, "network": "resnet18"},
    }  # fmt: skip


def test_details_are_those_of_the_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    file = tmp_path / "resultados/detalle.json"
    told = details("none", 5130)
    files.write_json(file, told)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    file.write_text("{}", encoding="utf-8")
    assert study.committed("HEAD", "detalle.json") == told


def test_controls_differ_in_nothing_but_the_weights():
    plan = study.plan(SOURCES, 500, 4)
    found = study.controls(plan)
    assert len(found) == 2 * 3  # letters and ImageNet, by layers; nothing for the workshop's code
    for name, control in found.items():
        different = {key for key in plan[name] if plan[name][key] != plan[control][key]}
        assert different == {"pretrain.source"}
        assert plan[control]["pretrain.source"] == "none"


def test_pairs_are_tested_fold_by_fold():
    random = np.random.default_rng(0)
    scores = {name: random.uniform(0.9, 1, (3, 4)) for name in ("none-fc", "glyphs-fc")}
    names = ("SimpleNN", "CNN", "ResNet18 (fine-tuning)")
    rows = {
        experiment: [
            {"modelo": name, "fold": fold + 1, "accuracy": values[fold]}
            for name, values in zip(names, table, strict=True)
            for fold in range(4)
        ]
        for experiment, table in scores.items()
    }
    records = study_pairs.records(rows)
    assert len(records) == 2 * 3 * 4
    found = study_pairs.pairs(records, {"glyphs-fc": "none-fc"}, 3e9, 1).set_index(
        ["experimento", "frente a"]
    )
    assert len(found) == 2 * 2 + 1
    expected = {}  # with hardly any overlap, scipy's paired t-test
    for experiment, other in found.index:
        own = scores[experiment][2]
        against = scores[other][2] if other in scores else scores[experiment][names.index(other)]
        expected[experiment, other] = stats.ttest_rel(own, against).pvalue
        assert found.loc[(experiment, other), "diferencia"] == pytest.approx((own - against).mean())
    holm = multipletests(list(expected.values()), method="holm")[1]
    np.testing.assert_allclose(found["p (Holm)"], holm, rtol=0.02)
