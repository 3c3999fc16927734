"""Branches, merges and experiments, as DVC's users have them, on the small project."""

import json
import os
import shutil
import subprocess
from io import StringIO

import pandas as pd
import pytest
from small_project import OTHER, Project

from taller.models.catalogue import MODELS
from taller.program.errors import Problem
from tools import experiments

pytestmark = pytest.mark.usefixtures("restored")
CONFLICT = ("<<<<<<< ", ">>>>>>> ")


def test_dvc_writes_one_line_where_one_thing_changes(project):
    """Stages whose paths hang on a param cannot be frozen, by DVC: all but those of a matrix."""
    project.dvc("exp", "run", "--queue", "--name", "line", "-S", "finetune.learning_rate=0.002")
    revision = project.run("git", "rev-parse", "refs/exps/celery/stash").strip()
    assert numstat(project, "main", revision) == {"params.yaml": (1, 1)}
    project.dvc("queue", "remove", "--all")


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


def test_an_experiment_is_run_here(project):
    project.dvc("exp", "run", "--quiet", "--name", "here", "-S", OTHER)
    table = pd.read_csv(StringIO(project.dvc("exp", "show", "--csv"))).set_index("Experiment")
    assert table.loc["here", "kfold_train.simple_nn.epochs"] == 2
    assert table["kfold_train.simple_nn.epochs"].iloc[1] == 1
    accuracy = table["resnet18.cv.accuracy.mean"]
    assert accuracy["here"] == accuracy.iloc[1]  # nothing of it has changed


def test_the_study_tells_a_failed_experiment_and_goes_on_from_there(project, monkeypatch, capsys):
    monkeypatch.chdir(project.folder)
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    plan = {"good": {"kfold_train.simple_nn.epochs": 2}, "bad": {"finetune.trainable": "[nope]"}}
    with pytest.raises(Problem, match="see dvc queue logs bad"):
        experiments.run(plan)
    found = experiments.states()
    assert (found["good"], found["bad"]) == ("success", "failed")

    experiments.run(plan | {"bad": {"preprocess.folds": 3}})
    assert "study: 1 of 2 experiments are there" in capsys.readouterr().out
    assert {name: experiments.states()[name] for name in plan} == dict.fromkeys(plan, "success")
