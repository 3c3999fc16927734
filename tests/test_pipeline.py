"""The pipeline as its users run it: DVC as a subprocess, all stages, a small real subset."""

import json
import os
import shutil
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from dvc.utils import hydra

from taller.models import architectures, store
from taller.models.catalogue import MODELS
from taller.program.errors import Problem
from tools import code_deps, experiments

ROOT = Path(__file__).parents[1]
ALL = code_deps.stages(ROOT)
KEYS = [entry.key for entry in MODELS]
# The smallest that trains everything. One thread each: two projects are made at the same time.
SMALL = {
    "threads": 1, "preprocess.subset": 300, "preprocess.folds": 2, "kfold_train.epochs": 1,
    "pretrain.images": 1000, "finetune.epochs": 1,
}  # fmt: skip
OTHER = "kfold_train.epochs=2"
# One of each kind; that lists of code are the imports, test_contracts.py proves without DVC.
RERUN_AFTER_EDIT = {
    "params.yaml: threads=3": {"pretrain", "finetune", "evaluate"},
    "params.yaml: pretrain.source=none": {"download", "pretrain"},
    "taller/models/simple_nn.py": None,
}
CONFLICT = ("<<<<<<< ", ">>>>>>> ")


class Project:
    """A copy of the repository with its own Git and DVC, and small params."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """What DVC and Git need beside what is there."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
        identity |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in identity.items()}
        return {**identity, "PATH": path}

    def run(self, *command: str) -> str:
        run = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **self.environment()},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            # What DVC's queue starts is stopped by Ctrl-C, also where our parent ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}"
        return run.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)

    def repro(self, *arguments: str) -> dict[str, str]:
        """Run `dvc repro`; the stages that it did not skip, and whether each ran or was cached."""
        lines = self.dvc("repro", *arguments).splitlines()
        ran = {stage: "ran" for stage in ALL if f"Running stage '{stage}':" in lines}
        cached = {
            s: "cached"
            for s in ALL
            if f"Stage '{s}' is cached - skipping run, checking out outputs" in lines
        }
        return ran | cached

    def changed(self) -> set[str]:
        """The stages that DVC says are changed themselves, before what follows from them."""
        status = json.loads(self.dvc("status", "--json"))
        return {
            stage
            for stage, changes in status.items()
            for change in changes
            if isinstance(change, dict)
            for files in [change.get("changed deps", {})]
            # A dependency that the stage before will write again is a consequence, not an edit.
            if any(name.startswith(("stages/", "taller/", "params.yaml")) for name in files)
        }

    def set(self, *overrides: str) -> None:
        """Change params as `dvc exp run -S` does."""
        hydra.apply_overrides(self.folder / "params.yaml", list(overrides))

    def branch(self, name: str, *overrides: str) -> None:
        """From main on: other params, their results, and a commit."""
        self.run("git", "checkout", "--quiet", "-B", name, "main")
        self.set(*overrides)
        self.repro()
        self.run("git", "commit", "--quiet", "--all", "--message", name)

    def json(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def copy(folder: Path, raw: Path) -> Project:
    """This working tree, without results to go by, and with small params."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    for name in listed.stdout.split():
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shutil.copytree(raw, folder / "data/MNIST/raw", dirs_exist_ok=True)
    project = Project(folder)
    project.set(*(f"{key}={value}" for key, value in SMALL.items()))
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory, mnist_raw) -> Project:
    """All stages run once, on the branch main."""
    project = copy(tmp_path_factory.mktemp("project"), mnist_raw)
    assert project.repro() == dict.fromkeys(ALL, "ran")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "first")
    return project


@pytest.fixture(autouse=True)
def restored(project):
    """Every test begins with what is committed."""
    yield
    reproduced = project.run("git", "diff", "--name-only", "main", "--", "dvc.lock")
    project.run("git", "checkout", "--quiet", "--force", "main")
    if reproduced:
        project.dvc("checkout", "--quiet", "--force")


def test_every_declared_file_is_there(project):
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values():
        for out in [*stage["outs"], *stage.get("metrics", [])]:
            name = out if isinstance(out, str) else next(iter(out))
            assert (project.folder / name).exists(), name


def test_nothing_to_do_is_nothing_done(project):
    assert project.repro() == {}


def test_the_same_inputs_give_the_same_bytes_and_are_not_computed_twice(
    project,
):
    project.set("preprocess.folds=3")
    changed = ["preprocess", "kfold_train", "finetune"]
    assert project.repro() == dict.fromkeys([*changed, "compare"], "ran")
    # Computed anew after three folds, of which nothing is left ...
    project.set("preprocess.folds=2")
    assert project.repro("--force", "--no-run-cache") == dict.fromkeys(ALL, "ran")
    assert project.run("git", "status", "--porcelain") == ""
    for key in KEYS:
        records = pd.read_csv(project.folder / f"resultados/{key}/scores.csv")
        assert set(records["fold"]) == {1, 2}
    # ... and from then on remembered, in both directions.
    for folds in (3, 2):
        project.set(f"preprocess.folds={folds}")
        again = project.repro()
        assert again.pop("compare") == "ran"
        assert set(changed) <= set(again) and set(again.values()) == {"cached"}
    assert project.run("git", "status", "--porcelain") == ""


def test_the_table_has_the_workshops_columns_and_the_means_of_the_folds(project):
    table = pd.read_csv(project.folder / "resultados/comparacion_metrics.csv")
    assert list(table)[:4] == ["Modelo", "Accuracy", "Precision", "Recall"]
    assert list(table["Modelo"]) == [entry.name for entry in MODELS]
    for row, key in enumerate(KEYS):
        for column in ("Accuracy", "Precision", "Recall"):
            mean = scores(project, key, column.lower()).mean()
            assert table[column][row] == pytest.approx(mean, abs=5.1e-5)


def test_metrics_follow_from_the_stages_files(project):
    metrics = project.json("resultados/metrics.json")
    for key in KEYS:
        accuracy = scores(project, key, "accuracy")
        found = metrics[key]["cv"]["accuracy"]
        assert found["mean"] == pytest.approx(accuracy.mean(), abs=5.1e-5)
        assert found["std"] == pytest.approx(np.std(accuracy, ddof=1), abs=5.1e-5)
        predictions = np.load(project.folder / f"resultados/{key}/test_predictions.npz")
        hits = predictions["log_probabilities"].argmax(1) == predictions["labels"]
        assert metrics[key]["test"]["accuracy"] == pytest.approx(hits.mean(), abs=5.1e-5)
        np.testing.assert_allclose(np.exp(predictions["log_probabilities"]).sum(1), 1, rtol=1e-5)


def scores(project: Project, key: str, metric: str) -> np.ndarray:
    """A metric of each fold."""
    records = pd.read_csv(project.folder / f"resultados/{key}/scores.csv")
    return records.query("metric == @metric")["value"].to_numpy()


def test_metrics_are_few(project):
    numbers = pd.json_normalize(project.json("resultados/metrics.json"))
    assert numbers.shape[1] <= 15


def test_the_winner_by_cross_validation_is_the_final_model(project):
    metrics = project.json("resultados/metrics.json")
    means = {key: metrics[key]["cv"]["accuracy"]["mean"] for key in KEYS}
    winner = max(means, key=means.get)
    assert metrics["comparison"]["winner"] == winner
    models = project.folder / "modelos"
    assert (models / "modelo_final.pth").read_bytes() == (models / f"{winner}.pth").read_bytes()


@pytest.mark.parametrize("name", [*KEYS, "resnet18_base", "modelo_final"])
def test_models_load_as_weights_only(project, name):
    saved = torch.load(project.folder / f"modelos/{name}.pth", weights_only=True)
    assert {"architecture", "arguments", "names", "state_dict", "scaling"} == saved.keys()
    if name in KEYS:
        store.load(project.folder / f"modelos/{name}.pth", architectures.ALL)


@pytest.mark.parametrize("edit", RERUN_AFTER_EDIT)
def test_an_edit_changes_just_these_stages(project, edit):
    name, _, override = edit.partition(": ")
    expected = RERUN_AFTER_EDIT[edit]
    if override:
        project.set(override)
    else:
        append(project.folder / name, "# edited")
        expected = {s for s in ALL if name in code_deps.closure(ROOT / f"stages/{s}.py", ROOT)}
        assert "kfold_train" in expected and "finetune" not in expected
    assert project.changed() == expected


def append(file: Path, line: str) -> None:
    with open(file, "a", encoding="utf-8") as opened:
        opened.write(f"\n{line}\n")


def test_a_new_section_of_params_changes_no_stage_and_each_still_runs(project):
    append(project.folder / "params.yaml", "nueva:\n  clave: 1")
    assert project.changed() == set()
    assert project.repro("--single-item", "--force", "preprocess") == {"preprocess": "ran"}


def test_an_edit_without_effect_stops_where_the_bytes_are_the_same(project):
    append(project.folder / "taller/data/idx.py", "# edited")
    assert project.repro() == dict.fromkeys(["download", "preprocess"], "ran")


def test_dvc_writes_one_line_where_one_thing_changes(project):
    """In params.yaml for an experiment, in dvc.yaml for a stage that is frozen."""
    project.dvc("exp", "run", "--queue", "--name", "line", "-S", "finetune.learning_rate=0.002")
    revision = project.run("git", "rev-parse", "refs/exps/celery/stash").strip()
    assert numstat(project, "main", revision) == {"params.yaml": (1, 1)}
    project.dvc("queue", "remove", "--all")
    project.dvc("freeze", "finetune")
    assert numstat(project, "main") == {"dvc.yaml": (1, 0)}
    project.dvc("unfreeze", "finetune")
    assert numstat(project, "main") == {}


def numstat(project: Project, *revisions: str) -> dict[str, tuple[int, int]]:
    """Lines that were added and taken away, by file."""
    lines = project.run("git", "diff", "--numstat", *revisions, "--", "*.yaml").splitlines()
    return {name: (int(new), int(old)) for new, old, name in map(str.split, lines)}


def test_two_branches_with_other_params_merge_without_conflict_markers(project):
    project.branch("folds", "preprocess.folds=3")
    project.branch("epochs", OTHER)
    merge = subprocess.run(
        ["git", "merge", "folds"], cwd=project.folder, env=os.environ | project.environment(),
        stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    assert merge.returncode == 1 and "CONFLICT" in merge.stdout
    # Git mends what a person writes; the results are whole files, of this branch, and made anew.
    conflicts = set(project.run("git", "diff", "--name-only", "--diff-filter=U").split())
    assert all(name == "dvc.lock" or name.startswith("resultados/") for name in conflicts)
    assert project.repro()["compare"] == "ran"
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--no-edit")
    for name in project.run("git", "ls-files", "*.yaml", "*.lock", "resultados").split():
        lines = (project.folder / name).read_bytes().decode("utf-8", "replace").splitlines()
        assert not [line for line in lines if line.startswith(CONFLICT)], name
    both = project.json("resultados/plots/perdida.json")
    assert {row["epoca"] for row in both if row["modelo"] == MODELS[0].name} == {1, 2}
    assert {row["fold"] for row in project.json("resultados/plots/folds.json")} == {1, 2, 3}
    assert project.dvc("status").strip() == "Data and pipelines are up to date."


def test_metrics_and_plots_of_two_branches(project):
    project.branch("other", OTHER)

    # In a clone without the cache: what is compared lives in Git.
    clone = Project(project.folder.parent / "clone")
    shutil.rmtree(clone.folder, ignore_errors=True)
    project.run("git", "clone", "--quiet", str(project.folder), str(clone.folder))
    clone.run("git", "branch", "main", "origin/main")
    difference = json.loads(clone.dvc("metrics", "diff", "main", "--json"))[
        "resultados/metrics.json"
    ]
    assert difference["simple_nn.cv.accuracy.mean"]["diff"] != 0
    table = clone.dvc("metrics", "diff", "main", "other")
    assert "comparison.winner" in table or max(map(len, table.splitlines())) <= 80
    assert not any(name.startswith("resnet18.") for name in difference)
    for command in (["plots", "show", "--json"], ["plots", "diff", "main", "--json"]):
        plots = json.loads(clone.dvc(*command))
        assert "errors" not in plots or not plots["errors"]
        assert {"tabla", "perdida", "confusion", "folds"} <= plots["data"].keys()
        assert any(name.endswith("errores.png") for name in plots["data"])


def test_experiments_run_here_and_queued(project):
    project.dvc("exp", "run", "--quiet", "--name", "here", "-S", OTHER)
    project.run("git", "checkout", "--quiet", "--force", "main")
    project.dvc("exp", "run", "--queue", "--name", "queued", "-S", "preprocess.folds=3")
    project.dvc("exp", "run", "--run-all")
    table = pd.read_csv(StringIO(project.dvc("exp", "show", "--csv"))).set_index("Experiment")
    assert list(table.loc[["here", "queued"], "kfold_train.epochs"]) == [2, 1]
    assert list(table.loc[["here", "queued"], "preprocess.folds"]) == [2, 3]
    accuracy = table["resnet18.cv.accuracy.mean"]
    assert accuracy["here"] == table["resnet18.cv.accuracy.mean"].iloc[0] != accuracy["queued"]


def test_the_study_tells_a_failed_experiment_and_goes_on_from_there(project, monkeypatch, capsys):
    monkeypatch.chdir(project.folder)
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    plan = {"good": {"kfold_train.epochs": 2}, "bad": {"finetune.trainable": "[nope]"}}
    with pytest.raises(Problem, match="see dvc queue logs bad"):
        experiments.run(plan)
    found = experiments.states()
    assert (found["good"], found["bad"]) == ("success", "failed")

    experiments.run(plan | {"bad": {"preprocess.folds": 3}})
    assert "study: 1 of 2 experiments are there" in capsys.readouterr().out
    assert {name: experiments.states()[name] for name in plan} == dict.fromkeys(plan, "success")


def test_the_final_model_is_an_artifact(project):
    artifact = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"][
        "modelo_final"
    ]
    assert (project.folder / artifact["path"]).exists()
    assert artifact["type"] == "model"
