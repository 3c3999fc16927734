"""What dvc.yaml, params.yaml and the layout of folders promise, without running a stage."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE.items()}
FLOORS = {
    "stages": 6, "tools": 6, "report": 5, "statistics": 4, "pretraining": 4, "training": 3,
    "evaluation": 2, "networks": 2, "datasets": 2, "sources": 2, "common": 1,
}  # fmt: skip


def imports(file: Path) -> set[Path]:
    """The files of the project that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{one.name}" for one in node.names)}
        elif isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
    files = (ROOT / f"{name.replace('.', '/')}.py" for name in names if name)
    return {file for file in files if file.is_file()}


@pytest.mark.parametrize("stage", STAGES)
def test_all_code_that_a_stage_reaches_lies_in_its_deps(stage):
    reached, new = set(), {ROOT / f"stages/{stage}.py"}
    while new:
        reached |= new
        new = {one for file in new for one in imports(file)} - reached
    deps = [ROOT / dep.replace("${item.network}", "cnn") for dep in STAGES[stage]["deps"]]
    if stage == "download":  # whatever gets the files, their checksums say what they are
        deps.append(ROOT / "taller/common")
    assert [file for file in reached if not {file, *file.parents} & {*deps}] == []


CODE = [*ROOT.glob("stages/*.py"), *ROOT.glob("taller/*/**/*.py")]


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(ROOT)))
def test_an_import_goes_down_or_stays_in_its_folder(file):
    def folder(path: Path) -> str:
        first, second, *_ = path.relative_to(ROOT).parts
        return second if first == "taller" else first

    for other in imports(file):
        down = FLOORS[folder(other)] < FLOORS[folder(file)]
        stays = folder(other) == folder(file) != "stages"
        assert down or stays, f"{file} imports {other}"


@pytest.mark.parametrize("stage", STAGES)
def test_the_params_that_a_script_reads_are_those_that_it_declares(stage):
    text = (ROOT / f"stages/{stage}.py").read_text(encoding="utf-8")
    declared = {*STAGES[stage].get("params", [])} - {"numerics"}  # which decides for all of them
    read = re.findall(r'(?:params\.read\(|key = )f?"([^"]+)"', text)
    read = [key for key in read if key != "{key}.network"]
    read += ["${item}"] * ("read_scratch(section)" in text)
    read += ["kfold_train", "finetune"] if "params.contestants()" in text else []
    read += re.findall(r'params\.load\(\)\.get\("(\w+)"', text)
    assert {key.removesuffix(".network").replace("{name}", "${key}") for key in read} == declared


def test_the_diagram_of_both_readmes_is_what_dvc_says():
    command = [sys.executable, "-m", "dvc", "dag", "--mermaid"]
    text = subprocess.check_output(command, cwd=ROOT, encoding="utf-8")
    # The sections of a group are one box.
    names = dict(re.findall(r'(node\d+)\["(\w+)(?:@[\w.]+)?"\]', text))
    edges = {(names[a], names[b]) for a, b in re.findall(r"(node\d+)-->(node\d+)", text)}
    for readme in ("README.md", "README.es.md"):
        paper = (ROOT / readme).read_text(encoding="utf-8")
        drawn = paper.partition("```mermaid")[2].partition("```")[0]
        assert sorted(re.findall(r"^ +(\w+) --> (\w+)$", drawn, re.MULTILINE)) == sorted(edges)
    assert {name for edge in edges for name in edge} == set(names.values())
