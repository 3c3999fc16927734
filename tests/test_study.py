"""The study's plan, held against the schemas; its table and picture, on made-up experiments."""

import hashlib
import importlib
import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydantic import TypeAdapter

from taller.program import files, params
from taller.report.figures import study as picture
from tools import experiments, study

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
        section, field = key.split(".")
        assert field in content[section]
        content[section][field] = yaml.safe_load(value) if isinstance(value, str) else value
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
    values = {"mnist_mirrors": [], "weights_url": f"http://127.0.0.1:1/{name}", "timeout": 1}
    (tmp_path / "params.yaml").write_text(json.dumps({"download": values}), encoding="utf-8")
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
    told = {"commit-of-one": ("glyphs", 8_000_000), "commit-of-two": ("imagenet", 11_000_000)}
    monkeypatch.setattr(study, "details", told.__getitem__)
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
    }


def test_details_are_those_of_the_commit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    file = tmp_path / "resultados/detalle.json"
    told = {"models": {"resnet18": {"trained_parameters": 5130}}, "pretraining": {"source": "none"}}
    files.write_json(file, told)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    file.write_text("{}", encoding="utf-8")
    assert study.details("HEAD") == ("none", 5130)


def test_the_picture_has_a_line_per_source_and_says_what_is_what():
    rows = [
        (source, stem, count, accuracy)
        for source, stem, count, accuracy in (
            ("none", "sum_rgb", 5130, 0.8), ("none", "sum_rgb", 11_000_000, 0.95),
            ("glyphs", "sum_rgb", 11_000_000, 0.99), ("glyphs", "sum_rgb", 5130, 0.97),
            ("glyphs", "random", 8266, 0.9),
        )
    ]  # fmt: skip
    table = pd.DataFrame(
        rows, columns=["fuente", "primera capa", "parámetros entrenados", "accuracy"]
    )
    table = table.assign(
        **{"desv. accuracy": 0.01, "imágenes": 10_000, "accuracy de SimpleNN": 0.94}
    )
    axes = picture.draw(table).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(labels) == {
        "sin preentrenar", "letras", "código del taller (letras)", "SimpleNN desde cero",
    }  # fmt: skip
    lines = {
        container.get_label(): container.lines[0].get_xydata().tolist()
        for container in axes.containers
    }
    assert lines["letras"] == [[5130, 0.97], [11_000_000, 0.99]]
    assert "10 000 imágenes" in axes.get_title()
