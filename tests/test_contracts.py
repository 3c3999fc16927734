"""What dvc.yaml and params.yaml declare, held against what the code does and what DVC writes."""

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml

from taller.models import catalogue
from taller.program import cli, params
from tools import code_deps

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = list(PIPELINE)
# Each run of a stage: its name, and the item of its matrix where it has one.
RUNS = [
    pytest.param(stage, item, id=f"{stage}@{item}" if item else stage)
    for stage, items in code_deps.stages(ROOT).items()
    for item in items or [None]
]
FLOORS = {
    "stages": 4, "report": 3, "training": 3, "scores": 2, "models": 2, "data": 2, "program": 1,
}  # fmt: skip


def test_there_is_nothing_in_packages():
    """What `import` runs on the way to a module."""
    assert not [
        path for path in ROOT.glob("taller/**/__init__.py") if path.read_text(encoding="utf-8")
    ]


def test_what_computes_is_pinned_before_anything_of_it_is_imported():
    pinning = (ROOT / "stages/__init__.py").read_text(encoding="utf-8")
    assert (ROOT / "tools/__init__.py").read_text(encoding="utf-8") == pinning
    code = (
        "import sys, stages; from taller.program import portable; "
        "sys.exit(not portable.is_pinned() or bool({*sys.modules} & {*portable.DECIDED_BY}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def declared(stage: str, item: str | None, kind: str) -> list[str]:
    """The names that a run of a stage declares in dvc.yaml as its params, deps or outs."""
    listed = PIPELINE[stage].get(kind, [])
    names = [name if isinstance(name, str) else next(iter(name)) for name in listed]
    if kind == "params":
        names.remove("environment.yaml")  # the pins
    return [name.replace("${item.network}", str(item)) for name in names]


def function(stage: str) -> Callable:
    return getattr(importlib.import_module(f"stages.{stage}"), stage)


@pytest.mark.parametrize(("stage", "item"), RUNS)
def test_rooms_use_only_the_floors_below_or_their_own(stage, item):
    for name in declared(stage, item, "deps"):
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
    [
        "seed=43",
        "preprocess.subset=5000",
        "kfold_train.cnn.epochs=3",
        "compare.rope=0.01",
        "finetune.stem=random",
    ],
)
def test_setting_a_param_changes_its_line_only(tmp_path, override):
    copy = Path(shutil.copy(ROOT / "params.yaml", tmp_path))
    before = copy.read_text(encoding="utf-8").splitlines()
    apply_overrides(copy, [override])
    after = copy.read_text(encoding="utf-8").splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    key, _, value = override.partition("=")
    assert [line.split("#")[0].strip() for line in changed] == [f"{key.split('.')[-1]}: {value}"]


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_would_write_the_stage_in_this_order(stage):
    for kind in ("params", "deps", "outs"):
        names = declared(stage, "${item.network}", kind)
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
        # The study's picture is drawn outside of the stages.
        assert plain | {"resultados/estudio.png"} >= set(files)
    assert all(
        out == {name: {"cache": False}} for out in declared if isinstance(out, dict) for name in out
    )


@pytest.mark.parametrize(("stage", "item"), RUNS)
def test_declared_params_are_those_that_the_function_takes(stage, item):
    taken = [key for key, _ in cli.keys(function(stage), item).values()]
    # `numerics` decides how every stage computes, before its function is there.
    assert sorted(declared(stage, item, "params")) == sorted(["numerics", *taken])


@pytest.mark.parametrize(("stage", "item"), RUNS)
def test_a_stage_has_an_item_on_its_command_line_where_its_matrix_has(stage, item):
    command = PIPELINE[stage]["cmd"].replace("${item.network}", str(item))
    assert command == f"python -m stages.{stage}" + (f" {item}" if item else "")
    assert cli.has_items(function(stage)) == bool(item)


def test_a_network_that_is_compared_and_not_pretrained_is_trained_from_scratch():
    trained = [item for run in RUNS if (item := run.values[1])]
    assert trained == [entry.key for entry in catalogue.MODELS if not entry.pretrained]


def test_every_stage_has_a_script_of_its_name():
    assert {path.stem for path in ROOT.glob("stages/[!_]*.py")} == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_stages_do_not_import_each_other(stage):
    others = {f"stages/{other}.py" for other in STAGES if other != stage}
    assert not others & set(code_deps.closure(ROOT / f"stages/{stage}.py", ROOT))


def test_stages_without_networks_do_not_import_torch():
    light = "stages.download, stages.preprocess, stages.compare"
    code = f"import sys, {light}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(("stage", "item"), RUNS)
def test_the_committed_params_fit_the_schemas(stage, item):
    for key, schema in cli.keys(function(stage), item).values():
        params.read(key, schema, ROOT / "params.yaml")


@pytest.mark.parametrize("stage", [stage for stage in STAGES if "matrix" not in PIPELINE[stage]])
def test_help_names_every_param(stage, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [stage, "--help"])
    with pytest.raises(SystemExit) as ended:
        cli.main(function(stage))
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
