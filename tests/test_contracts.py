"""What dvc.yaml and params.yaml declare, held against what the code does and what DVC writes."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from taller.program import cli, params
from taller.program.errors import Problem
from tools import code_deps

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = list(PIPELINE)
FLOORS = {
    "stages": 4, "report": 3, "training": 3, "scores": 2, "models": 2, "data": 2, "program": 1,
}  # fmt: skip


def test_declared_code_is_the_import_closure():
    assert code_deps.code_deps(ROOT, check=True) == []


def small_project(folder: Path, deps: str) -> Path:
    """A pipeline of one stage whose script imports, in a function, a module that imports one."""
    files = {
        "dvc.yaml": "stages:\n  one:\n    cmd: python -m stages.one\n"
        f"    deps:\n{deps}    outs:\n    - b\n",
        "stages/one.py": "import os\n\n\ndef one():\n    from lib.deep import first\n",
        "stages/other.py": "",
        "lib/deep/first.py": "import lib.second as alias\n",
        "lib/second.py": "from lib.deep.third import thing\n",
        "lib/deep/third.py": "from lib.deep import third\n",
        "lib/unused.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


CLOSURE = ["lib/deep/first.py", "lib/deep/third.py", "lib/second.py", "stages/one.py"]


def test_code_is_written_between_the_marker_and_the_end_of_the_list(tmp_path):
    folder = small_project(tmp_path, f"    - a\n    {code_deps.MARKER}\n    - lib/unused.py\n")
    assert [line.split(": ")[1] for line in code_deps.code_deps(folder, check=True)] == ["one"]
    code_deps.code_deps(folder)
    stage = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["one"]
    assert stage == {"cmd": "python -m stages.one", "deps": ["a", *CLOSURE], "outs": ["b"]}
    assert code_deps.code_deps(folder, check=True) == []


def test_a_stage_without_the_marker_is_named(tmp_path):
    with pytest.raises(Problem, match=r"one: expected the line '# code"):
        code_deps.code_deps(small_project(tmp_path, "    - a\n"))


def test_an_import_that_the_closure_cannot_follow_is_refused(tmp_path):
    folder = small_project(tmp_path, f"    {code_deps.MARKER}\n")
    (folder / "lib/second.py").write_text("from . import unused\n", encoding="utf-8")
    with pytest.raises(Problem, match=r"lib/second.py:1: expected imports by full name"):
        code_deps.code_deps(folder)


def test_no_module_is_imported_by_a_text():
    code = [*ROOT.glob("stages/*.py"), *ROOT.glob("taller/**/*.py")]
    hidden = ("import_module", "__import__")
    assert not [f.name for f in code if any(w in f.read_text(encoding="utf-8") for w in hidden)]


def test_there_is_nothing_in_packages():
    """What `import` runs on the way to a module."""
    packages = [*ROOT.glob("stages/**/__init__.py"), *ROOT.glob("taller/**/__init__.py")]
    assert not [path for path in packages if path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("stage", STAGES)
def test_rooms_use_only_the_floors_below_or_their_own(stage):
    for name in PIPELINE[stage]["deps"]:
        if name.endswith(".py"):
            imported = code_deps._candidates(ROOT / name, name)
            reached = {room(n) for n in imported if (ROOT / n).is_file()} - {room(name)}
            higher = [r for r in reached if FLOORS[r] >= FLOORS[room(name)]]
            same_floor = {"scores", "models", "data"}
            assert [r for r in higher if not {r, room(name)} <= same_floor] == [], name


def room(name: str) -> str:
    """The folder under taller/, or stages."""
    parts = name.split("/")
    return parts[1] if parts[0] == "taller" else parts[0]


@pytest.mark.parametrize("name", ["dvc.yaml", "params.yaml"])
def test_dvc_writes_back_the_same_bytes(tmp_path, name):
    copy = Path(shutil.copy(ROOT / name, tmp_path))
    with modify_yaml(copy):
        pass
    assert copy.read_bytes() == (ROOT / name).read_bytes()


@pytest.mark.parametrize(
    "override",
    ["seed=43", "preprocess.subset=5000", "kfold_train.epochs=3", "finetune.stem=random"],
)
def test_setting_a_param_changes_its_line_only(tmp_path, override):
    copy = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    before = copy.read_text(encoding="utf-8").splitlines()
    apply_overrides(copy, [override])
    after = copy.read_text(encoding="utf-8").splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    key, value = override.rpartition(".")[2].split("=")
    assert [line.split("#")[0].strip() for line in changed] == [f"{key}: {value}"]


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_would_write_the_stage_in_this_order(stage):
    for kind in ("params", "deps", "outs"):
        names = [n if isinstance(n, str) else next(iter(n)) for n in PIPELINE[stage].get(kind, [])]
        assert names == sorted(names), kind


@pytest.mark.parametrize("stage", [s for s in STAGES if s not in ("download", "compare")])
def test_the_run_cache_serves_the_stage(stage):
    """One plain output that is not cached, or kept, switches it off for the whole stage."""
    assert all(isinstance(out, str) for out in PIPELINE[stage]["outs"])


def test_what_metrics_and_plots_read_is_in_git():
    declared = [*PIPELINE["compare"]["outs"], *PIPELINE["compare"]["metrics"]]
    plain = {name for out in declared if isinstance(out, dict) for name in out}
    for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]:
        files = [plot] if isinstance(plot, str) else [f for p in plot.values() for f in p["y"]]
        assert plain >= set(files)
    assert all(
        out == {name: {"cache": False}} for out in declared if isinstance(out, dict) for name in out
    )


@pytest.mark.parametrize("stage", STAGES)
def test_declared_params_are_those_that_the_function_takes(stage):
    function = getattr(importlib.import_module(f"stages.{stage}"), stage)
    taken = [key for key, _ in cli.keys(function).values()]
    assert sorted(PIPELINE[stage].get("params", [])) == sorted(taken)


def test_every_stage_has_a_script_of_its_name():
    assert {path.stem for path in ROOT.glob("stages/*.py")} == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    others = {f"stages/{other}.py" for other in STAGES if other != stage}
    assert not others & set(code_deps.closure(ROOT / f"stages/{stage}.py", ROOT))


def test_stages_without_networks_do_not_import_torch():
    light = "stages.download, stages.preprocess, stages.compare"
    code = f"import sys, {light}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("stage", STAGES)
def test_the_committed_params_fit_the_schemas(stage):
    function = getattr(importlib.import_module(f"stages.{stage}"), stage)
    for key, schema in cli.keys(function).values():
        params.read(key, schema, ROOT / "params.yaml")


@pytest.mark.parametrize("stage", STAGES)
def test_help_names_every_param(stage, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [stage, "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main(getattr(importlib.import_module(f"stages.{stage}"), stage))
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    section = params.load(ROOT / "params.yaml").get(stage, {})
    assert all(f"{stage}.{key}" in shown for key in section)


def test_git_merges_results_as_whole_files():
    """Half of one result and half of another is no result, and DVC stops at the markers."""
    names = ["dvc.lock", "resultados/metrics.json", "resultados/plots/folds.json"]
    command = ["git", "check-attr", "merge", *names]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert found.stdout.splitlines() == [f"{name}: merge: unset" for name in names]
