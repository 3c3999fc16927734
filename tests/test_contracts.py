"""What dvc.yaml declares, held against what the code does."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from taller.program import cli, params

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = ["download", "preprocess", "kfold_train", "pretrain", "finetune", "evaluate", "compare"]


def imported_files(file: Path) -> set[str]:
    """The project's files that `file` imports, directly or not, itself included."""
    found, waiting = set(), [file]
    while waiting:
        current = waiting.pop()
        name = current.relative_to(ROOT).as_posix()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(current.read_text())):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: relative imports hide from this test"
                modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            paths = [ROOT / (module.replace(".", "/") + ".py") for module in modules]
            waiting += [path for path in paths if path.exists()]
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_declared_code_is_the_import_closure(stage):
    declared = {dep for dep in PIPELINE[stage]["deps"] if dep.endswith(".py")}
    assert declared == imported_files(ROOT / "stages" / f"{stage}.py")


def test_packages_are_empty():
    """What `import` runs on the way to a module is not in the closure above."""
    assert all(path.read_text() == "" for path in (ROOT / "stages").rglob("__init__.py"))


@pytest.mark.parametrize("stage", STAGES)
def test_declared_params_are_those_that_the_function_takes(stage):
    function = getattr(importlib.import_module(f"stages.{stage}"), stage)
    taken = [key for key, _ in cli.keys(function).values()]
    assert sorted(PIPELINE[stage].get("params", [])) == sorted(taken)


def test_every_stage_has_a_script_of_its_name():
    assert list(PIPELINE) == STAGES
    assert {path.stem for path in (ROOT / "stages").glob("[a-z]*.py")} >= set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    others = {f"stages/{other}.py" for other in STAGES if other != stage}
    assert not others & imported_files(ROOT / "stages" / f"{stage}.py")


@pytest.mark.parametrize("stage", ["download", "preprocess", "compare"])
def test_stages_without_networks_do_not_import_torch(stage):
    code = f"import sys, stages.{stage}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_only_figures_imports_matplotlib_to_draw():
    drawing = [
        path.name
        for path in (ROOT / "stages").rglob("*.py")
        if "matplotlib.figure" in path.read_text() or "pyplot" in path.read_text()
    ]
    assert drawing == ["figures.py"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_committed_params_fit_the_schemas(stage):
    function = getattr(importlib.import_module(f"stages.{stage}"), stage)
    for key, schema in cli.keys(function).values():
        params.read(key, schema, ROOT / "params.yaml")


@pytest.mark.parametrize("stage", STAGES)
def test_help_names_every_param(stage):
    run = subprocess.run(
        [sys.executable, "-m", f"stages.{stage}", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    section = yaml.safe_load((ROOT / "params.yaml").read_text()).get(stage, {})
    assert all(f"{stage}.{key}" in run.stdout for key in section)
