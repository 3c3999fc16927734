"""The pipeline as its users run it: DVC as a subprocess, all seven stages, a small real subset."""

import json
import os
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from taller.models import store
from taller.program.errors import Problem
from tools import study

ROOT = Path(__file__).parents[1]
ALL = ["download", "preprocess", "kfold_train", "pretrain", "finetune", "evaluate", "compare"]
# README.md promises these lines, and what happens to the last column's files is up to the bytes.
RERUN_AFTER_EDIT = {
    "params.yaml: seed": {"preprocess", "kfold_train", "pretrain", "finetune"},
    "params.yaml: threads": {"pretrain", "finetune", "evaluate"},
    "params.yaml: device": {"kfold_train", "pretrain", "finetune", "evaluate"},
    "params.yaml: download.timeout": {"download"},
    "params.yaml: preprocess.subset": {"preprocess"},
    "params.yaml: kfold_train.epochs": {"kfold_train"},
    "params.yaml: pretrain.source": {"download", "pretrain"},
    "params.yaml: pretrain.images": {"pretrain"},
    "params.yaml: finetune.epochs": {"finetune"},
    "stages/compare.py": {"compare"},
    "stages/evaluate.py": {"evaluate"},
    "stages/common/params.py": set(ALL),
    "stages/common/figures.py": {"preprocess", "compare"},
    "stages/common/statistics.py": {"compare"},
    "stages/common/report.py": {"compare"},
    "stages/common/comparison.py": {"compare"},
    "stages/common/tables.py": {"compare"},
    "stages/common/confidence.py": {"evaluate"},
    "stages/common/spanish.py": {"preprocess", "compare"},
    "stages/common/simple_nn.py": {"kfold_train", "evaluate"},
    "stages/common/resnet18.py": {"pretrain", "finetune", "evaluate"},
    "stages/common/glyphs.py": {"pretrain"},
    "stages/common/training.py": {"kfold_train", "pretrain", "finetune", "evaluate"},
    "stages/common/metrics.py": {"kfold_train", "finetune", "evaluate"},
    "stages/common/activations.py": {"finetune"},
    "stages/common/idx.py": {"download", "preprocess"},
}
OTHER_VALUES = {
    "seed": 43, "threads": 3, "device": "auto", "download.timeout": 11, "preprocess.subset": 400,
    "kfold_train.epochs": 3, "pretrain.source": "none", "pretrain.images": 1100,
    "finetune.epochs": 4,
}  # fmt: skip


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
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}"
        return run.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run("dvc", *arguments)

    def repro(self) -> set[str]:
        """Run `dvc repro`; which stages ran."""
        output = self.dvc("repro")
        return {stage for stage in ALL if f"Running stage '{stage}'" in output}

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
            if any(name.startswith(("stages/", "params.yaml")) for name in files)
        }

    def set(self, **values: object) -> None:
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        for key, value in values.items():
            *section, name = key.split(".")
            (content[section[0]] if section else content)[name] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def json(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory, mnist_raw) -> Project:
    """All stages run once, on 300 images and 2 folds, and committed on the branch main."""
    project = Project(tmp_path_factory.mktemp("project"))
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in files:
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith("tests/"):
            (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, project.folder / name)
    shutil.copytree(mnist_raw, project.folder / "data/MNIST/raw", dirs_exist_ok=True)
    project.set(
        **{
            "preprocess.subset": 300, "preprocess.folds": 2, "kfold_train.epochs": 2,
            "pretrain.images": 1000, "finetune.epochs": 2,
        }
    )  # fmt: skip
    project.run("git", "init", "--quiet", "--initial-branch", "main")
    assert project.repro() == set(ALL)
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
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values():
        for out in [*stage["outs"], *stage.get("metrics", [])]:
            name = out if isinstance(out, str) else next(iter(out))
            assert (project.folder / name).exists(), name


def test_nothing_to_do_is_nothing_done(project):
    assert project.repro() == set()


def test_the_table_has_the_workshops_columns_and_the_means_of_the_folds(project):
    table = pd.read_csv(project.folder / "resultados/comparacion_metrics.csv")
    assert list(table)[:4] == ["Modelo", "Accuracy", "Precision", "Recall"]
    assert list(table["Modelo"]) == ["SimpleNN", "ResNet18 (fine-tuning)"]
    for row, key in enumerate(("simple_nn", "resnet18")):
        scores = pd.read_csv(project.folder / f"resultados/{key}/scores.csv")
        assert list(scores["fold"]) == [1, 2]
        for column in ("Accuracy", "Precision", "Recall"):
            assert table[column][row] == pytest.approx(scores[column.lower()].mean(), abs=5.1e-5)


def test_metrics_follow_from_the_stages_files(project):
    metrics = project.json("resultados/metrics.json")
    for key in ("simple_nn", "resnet18"):
        scores = pd.read_csv(project.folder / f"resultados/{key}/scores.csv")
        assert metrics[key]["cv"]["f1"]["mean"] == pytest.approx(scores["f1"].mean(), abs=5.1e-5)
        assert metrics[key]["cv"]["f1"]["std"] == pytest.approx(
            np.std(scores["f1"], ddof=1), abs=5.1e-5
        )
        predictions = np.load(project.folder / f"resultados/{key}/test_predictions.npz")
        hits = predictions["log_probabilities"].argmax(1) == predictions["labels"]
        assert metrics[key]["test"]["accuracy"] == pytest.approx(hits.mean(), abs=5.1e-5)
        np.testing.assert_allclose(np.exp(predictions["log_probabilities"]).sum(1), 1, rtol=1e-5)


def test_the_winner_by_cross_validation_is_the_final_model(project):
    metrics = project.json("resultados/metrics.json")
    means = {key: metrics[key]["cv"]["accuracy"]["mean"] for key in ("simple_nn", "resnet18")}
    winner = max(means, key=means.get)
    assert metrics["comparison"]["winner"] == winner
    models = project.folder / "modelos"
    assert (models / "modelo_final.pth").read_bytes() == (models / f"{winner}.pth").read_bytes()


@pytest.mark.parametrize("name", ["simple_nn", "resnet18_base", "resnet18", "modelo_final"])
def test_models_load_as_weights_only(project, name):
    saved = torch.load(project.folder / f"modelos/{name}.pth", weights_only=True)
    assert {"architecture", "arguments", "state_dict", "scaling"} == saved.keys()
    store.load(project.folder / f"modelos/{name}.pth")


def test_the_same_inputs_give_the_same_bytes(project):
    before = (project.folder / "dvc.lock").read_text()
    project.dvc("repro", "--force", "--no-run-cache", "--quiet")
    assert (project.folder / "dvc.lock").read_text() == before
    assert project.run("git", "status", "--porcelain") == ""


@pytest.mark.parametrize("edit", RERUN_AFTER_EDIT)
def test_an_edit_changes_just_these_stages(project, edit):
    name, _, key = edit.partition(": ")
    if key:
        project.set(**{key: OTHER_VALUES[key]})
    else:
        with open(project.folder / name, "a") as file:
            file.write("\n# edited\n")
    assert project.changed() == RERUN_AFTER_EDIT[edit]


def test_other_params_rerun_what_follows_from_them_and_no_more(project):
    project.set(**{"kfold_train.epochs": 1})
    assert project.repro() == {"kfold_train", "evaluate", "compare"}


def test_an_edit_without_effect_stops_where_the_bytes_are_the_same(project):
    with open(project.folder / "stages/common/idx.py", "a") as file:
        file.write("\n# edited\n")
    assert project.repro() == {"download", "preprocess"}


def test_fewer_folds_leave_no_trace_of_the_others(project):
    project.set(**{"preprocess.folds": 3})
    project.repro()
    project.set(**{"preprocess.folds": 2})
    project.repro()
    for key in ("simple_nn", "resnet18"):
        for name in ("scores.csv", "history.csv"):
            assert set(pd.read_csv(project.folder / f"resultados/{key}/{name}")["fold"]) == {1, 2}
    rows = json.loads((project.folder / "resultados/plots/folds.json").read_text())
    assert {row["fold"] for row in rows} == {1, 2}


def test_metrics_and_plots_of_two_branches(project):
    project.run("git", "checkout", "--quiet", "-B", "other")
    project.set(**{"kfold_train.epochs": 1})
    project.repro()
    project.run("git", "commit", "--quiet", "--all", "--message", "other")

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
    assert "simple_nn.cv.precision.mean" in table
    assert "comparison.winner" in table or max(map(len, table.splitlines())) <= 80
    assert not any(name.startswith("resnet18.") for name in difference)
    for command in (["plots", "show", "--json"], ["plots", "diff", "main", "--json"]):
        plots = json.loads(clone.dvc(*command))
        assert "errors" not in plots or not plots["errors"]
        assert {"perdida", "confusion_simple_nn", "confusion_resnet18", "folds"} <= plots[
            "data"
        ].keys()
        assert any(name.endswith("curva_loss.png") for name in plots["data"])


def test_experiments_run_here_and_queued(project):
    project.dvc("exp", "run", "--quiet", "--name", "here", "-S", "kfold_train.epochs=1")
    project.run("git", "checkout", "--quiet", "--force", "main")
    project.dvc("exp", "run", "--queue", "--name", "queued", "-S", "kfold_train.epochs=3")
    project.dvc("exp", "run", "--run-all")
    table = pd.read_csv(StringIO(project.dvc("exp", "show", "--csv"))).set_index("Experiment")
    assert list(table.loc[["here", "queued"], "kfold_train.epochs"]) == [1, 3]
    scores = table["simple_nn.cv.accuracy.mean"]
    assert scores["here"] < scores["queued"]
    assert table.loc["here", "resnet18.cv.accuracy.mean"] == pytest.approx(
        table.loc["queued", "resnet18.cv.accuracy.mean"], abs=0
    )


def test_the_study_tells_a_failed_experiment_and_goes_on_from_there(project, monkeypatch, capsys):
    monkeypatch.chdir(project.folder)
    for name, value in project.environment().items():
        monkeypatch.setenv(name, value)
    plan = {"good": {"kfold_train.epochs": 1}, "bad": {"finetune.trainable": "[nope]"}}
    with pytest.raises(Problem, match="see dvc queue logs bad"):
        study.run(plan)
    assert {name: study.states()[name] for name in plan} == {"good": "success", "bad": "failed"}

    study.run(plan | {"bad": {"finetune.epochs": 1}})
    assert "study: 1 of 2 experiments are there" in capsys.readouterr().out
    assert {name: study.states()[name] for name in plan} == dict.fromkeys(plan, "success")


def test_the_final_model_is_an_artifact(project):
    artifact = yaml.safe_load((ROOT / "dvc.yaml").read_text())["artifacts"]["modelo_final"]
    assert (project.folder / artifact["path"]).exists()
    assert artifact["type"] == "model"
