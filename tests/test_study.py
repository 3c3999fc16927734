"""The study's plan, held against the schemas; its table and picture, on made-up experiments."""

import importlib
from pathlib import Path

import pandas as pd
import pytest
import yaml
from pydantic import TypeAdapter

from taller.program import params
from taller.report.figures import study as picture
from tools import study

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
