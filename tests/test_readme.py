"""The README's diagram and numbers, held against what DVC and the committed results say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from taller.models.catalogue import MODELS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
METRICS = json.loads((ROOT / "resultados/metrics.json").read_text(encoding="utf-8"))
FLAT = " ".join(README.split())


def row(title: str) -> list[str]:
    """The cells of the first table's row, without bold type."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {title} "))
    return [cell.strip(" *") for cell in line.strip("|").split("|")[1:]]


def details(key: str) -> dict:
    path = ROOT / "resultados/detalle.json"
    return json.loads(path.read_text(encoding="utf-8"))["models"][key]


def test_the_diagram_is_what_dvc_says():
    command = [sys.executable, "-m", "dvc", "dag", "--mermaid"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8")
    # The networks of a matrix are one box.
    names = dict(re.findall(r'(node\d+)\["(\w+)(?:@\w+)?"\]', done.stdout))
    edges = re.findall(r"(node\d+)-->(node\d+)", done.stdout)
    drawn = README.partition("```mermaid")[2].partition("```")[0]
    shown = re.findall(r"^ +(\w+) --> (\w+)$", drawn, re.MULTILINE)
    assert len(shown) == len(drawn.strip().splitlines()) - 1, "a line that is no edge"
    assert sorted(shown) == sorted({(names[a], names[b]) for a, b in edges})
    assert {name for edge in shown for name in edge} == set(names.values())


def test_accuracy_is_that_of_the_folds():
    found = [METRICS[entry.key]["cv"]["accuracy"] for entry in MODELS]
    assert row("accuracy, 5 folds") == [f"{m['mean']:.4f} ± {m['std']:.4f}" for m in found]


def test_accuracy_on_the_test_set():
    assert row("accuracy, test set") == [
        f"{METRICS[e.key]['test']['accuracy']:.4f}" for e in MODELS
    ]


def test_f1_and_trained_parameters():
    found = [details(entry.key) for entry in MODELS]
    assert row("macro F1, 5 folds") == [f"{one['cv']['f1']['mean']:.4f}" for one in found]
    assert row("trained parameters") == [f"{one['trained_parameters']:,}" for one in found]


def test_the_costs():
    flops = [details(entry.key)["flops"] for entry in MODELS]
    assert row("operations per answer") == [f"{one['answer'] / 1e6:.1f} million" for one in flops]
    training = row("operations of training, with pretraining")
    assert training == [f"{one['training'] / 1e12:.2g} × 10¹²" for one in flops]


DIFFERENCE = re.compile(
    r"\*\*(?P<better>[\w-]+) − (?P<worse>[\w-]+)\*\*: (?P<difference>[−\d.]+) points "
    r"\((?P<low>[−\d.]+) to (?P<high>[−\d.]+)"
)
KEYS = {"SimpleNN": "simple_nn", "CNN": "cnn", "ResNet-18": "resnet18"}


def test_the_differences_and_their_intervals():
    path = ROOT / "resultados/detalle.json"
    pairs = json.loads(path.read_text(encoding="utf-8"))["pairs"]
    known = {(pair["second"], pair["first"]): pair for pair in pairs}
    told = [match.groupdict() for match in DIFFERENCE.finditer(FLAT)]
    assert {(KEYS[one["better"]], KEYS[one["worse"]]) for one in told} == known.keys()
    for one in told:
        pair = known[KEYS[one["better"]], KEYS[one["worse"]]]
        for name, key in (("difference", "difference"), ("low", "ci_low"), ("high", "ci_high")):
            value = float(one[name].replace("−", "-"))
            assert value == pytest.approx(100 * pair[key], abs=0.0051), (one, key)


def test_the_studys_accuracies():
    """Each number between 0.9 and 1, or so, of the section is one of the study's, in its digits."""
    section = README.partition("### With fewer images")[2].partition("\n## ")[0]
    table = pd.read_csv(ROOT / "resultados/estudio.csv")
    known = {
        f"{value:.3f}"
        for column in ("accuracy", "accuracy de SimpleNN", "accuracy de CNN")
        for value in table[column]
    }
    told = set(re.findall(r"\b0\.\d{3}\b", section))
    assert told and told <= known
    images, epochs = table["imágenes"].iloc[0], table["épocas"].iloc[0]
    assert f"On {images:,} images" in section and epochs > 0


def test_recipes_are_short():
    section = README.partition("## Change it\n")[2].partition("\n## ")[0]
    recipes = re.split(r"\n\n(?=\*\*A)", section.strip())
    assert len(recipes) == 5
    assert all(len(recipe.strip().splitlines()) <= 6 for recipe in recipes)


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (0, [("dataset: MNIST", "dataset: NAME")]),
        (1, [("    - 128", "    - 256")]),
    ],
)
def test_the_readmes_edits_of_params_change_them(tmp_path, number, changes):
    command = re.findall(r"sed -i.bak ('[^']+') params\.yaml", README)[number]
    copy = tmp_path / "params.yaml"
    before = (ROOT / "params.yaml").read_text(encoding="utf-8")
    copy.write_text(before, encoding="utf-8")
    subprocess.run(f"sed -i.bak {command} params.yaml", shell=True, check=True, cwd=tmp_path)
    after = copy.read_text(encoding="utf-8")
    changed = [
        (a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b
    ]
    assert changed == changes


def test_your_own_pictures_take_at_most_ten_lines():
    section = README.partition("## Your own pictures\n")[2].partition("\n## ")[0]
    assert 0 < len([line for line in section.splitlines() if line.strip()]) <= 10
