"""Branches, merges, experiments, remotes and two DVCs at once, on the small project."""

import json
import re
import shlex
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer
from project import Project

CNN, SIMPLE_NN = "kfold_train.cnn.epochs=2", "kfold_train.simple_nn.epochs=2"
UP_TO_DATE = "Data and pipelines are up to date."


@pytest.fixture(scope="module", autouse=True)
def branches(copied) -> None:
    """Two branches with other params each, and their results."""
    for name, override in {"cnn": CNN, "simple_nn": SIMPLE_NN}.items():
        copied.git("checkout", "--quiet", "-b", name, "main")
        copied.set(override)
        copied.repro()
        copied.commit(name)
    copied.git("checkout", "--quiet", "main")
    copied.dvc("checkout", "--quiet")


def width(text: str) -> int:
    return max(len(line.rstrip()) for line in text.splitlines())


def test_a_merge_keeps_files_that_are_made_and_runs_what_no_branch_has(project):
    project.git("checkout", "--quiet", "-b", "merged", "cnn")
    project.dvc("checkout", "--quiet")
    assert "CONFLICT" in project.git("merge", "simple_nn", code=1)
    # Git mends what a person writes; what is made is of one side, without markers.
    conflicts = project.git("diff", "--name-only", "--diff-filter=U").split()
    made = {"dvc.lock", "modelos/ficha.md"}
    assert all(name in made or name.startswith("resultados/") for name in conflicts)
    assert project.repro() == {
        "kfold_train@simple_nn": "cached", "evaluate": "ran", "compare": "ran",
    }  # fmt: skip
    project.commit("merged")
    project.git("grep", "--text", "<<<<<<<", "HEAD", code=1)
    loss = project.json("resultados/plots/perdida.json")
    assert {row["epoca"] for row in loss} >= {1, 2}
    assert project.dvc("status").strip() == UP_TO_DATE


def test_metrics_and_plots_of_branches_in_a_clone_without_data(project, tmp_path):
    clone = Project(tmp_path / "clone")
    project.git("clone", "--quiet", ".", str(clone.folder))
    clone.git("branch", "cnn", "origin/cnn")
    text = clone.dvc("metrics", "diff", "main", "cnn")
    assert "cnn.cv" in text and "resnet18.cv" not in text and width(text) <= 80
    page = clone.run("python", "-m", "tools.changes", "cnn")
    scores, params = page.split("### Params")
    rows = [line.strip("| ").split(" | ") for line in scores.splitlines() if line.startswith("| ")]
    differ = {row[0] for row in rows[2:] if float(row[3])}
    assert "cnn, cross-validated accuracy" in differ
    assert "simple_nn, cross-validated accuracy" not in differ
    assert re.search(r"kfold_train\.cnn\.epochs *\| 2 *\| 1 ", params)
    for command in (["plots", "show", "--json"], ["plots", "diff", "cnn", "--json"]):
        plots = json.loads(clone.dvc(*command))
        assert not plots.get("errors")
        assert {"tabla", "perdida", "confusion", "folds"} <= plots["data"].keys()


def test_an_experiment_that_differs_in_one_section_fits_160_columns(project):
    project.dvc("exp", "run", "--temp", "--name", "two", "-S", CNN)
    makefile = (project.folder / "Makefile").read_text(encoding="utf-8")
    text = project.dvc(*shlex.split(re.search(r"dvc (exp show .*)", makefile)[1]))  # make exps
    assert width(text) <= 160
    head = text.splitlines()[1]
    assert "kfold_train.cnn.epochs" in head and "cnn.cv" in head and "simple_nn.cv" not in head
    assert "two" in text


@pytest.fixture
def s3(monkeypatch, tmp_path) -> Iterator[str]:
    """The address of an S3 server with the empty bucket ``taller``."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (tmp_path / "aws").touch()  # in place of the user's own settings
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "aws"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="taller")
    yield url
    server.stop()


def test_a_clone_pulls_pictures_and_results_and_runs_nothing(project, tmp_path, s3):
    project.git("checkout", "--quiet", "-b", "shared", "main")
    project.dvc("remote", "add", "--default", "shared", "s3://taller/store")
    project.dvc("remote", "modify", "shared", "endpointurl", s3)
    project.commit("a remote")
    project.dvc("push", "--quiet")
    clone = Project(tmp_path / "clone")
    project.git("clone", "--quiet", ".", str(clone.folder))
    assert not [*clone.folder.glob("modelos/**/*.pth"), *clone.folder.glob("data/*/raw")]
    clone.dvc("pull", "--quiet")
    assert len([*clone.folder.glob("data/digits/raw/*/*/*.png")]) == 250
    assert clone.repro() == {}
    assert clone.git("status", "--porcelain") == ""


def test_a_second_dvc_waits_or_says_who_is_there_and_harms_nobody(project):
    project.git("checkout", "--quiet", "-b", "both", "main")
    project.set("compare.rope=0.01")
    command = ["dvc", "--wait-for-lock", "repro"]  # make repro
    first, second = project.start(*command), project.start(*command)
    texts = [process.communicate()[0] for process in (first, second)]
    others = [f"(PID {second.pid})", f"(PID {first.pid})"]
    for process, text, other in zip((first, second), texts, others, strict=True):
        # DVC waits for its lock, but not for what the other one is about to write.
        assert process.returncode == 0 or other in text, text
    assert 0 in (first.returncode, second.returncode)
    assert project.repro() == {}
    assert project.dvc("status").strip() == UP_TO_DATE
