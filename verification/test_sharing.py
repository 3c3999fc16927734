"""Results that go from machine to machine, from branch to branch, and through accidents.

DVC and Git as their users run them, on the small project: a push and a clone, through a folder and
through a real S3 server; a clone without data; a merge; two DVCs at once, and one that is killed.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from small_project import ALL, OTHER, Project

pytestmark = pytest.mark.usefixtures("restored")
CNN = "kfold_train.cnn.epochs=2"
BUCKET = "taller"
# DVC takes its lock again after each stage, and gives up after three seconds: on a machine that is
# busy, the other one may need longer to find out that it has to go.
PATIENT = "--wait-for-lock"


@pytest.fixture
def s3(monkeypatch, tmp_path) -> Iterator[str]:
    """The address of an S3 server with an empty bucket."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (tmp_path / "aws").touch()  # in place of the user's own settings
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "aws"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


def publish(project: Project, url: str, **settings: str) -> None:
    """A branch that names a remote, and all that main's results are made of in it."""
    project.run("git", "checkout", "--quiet", "-B", "shared", "main")
    project.dvc("remote", "add", "--default", "--force", "shared", url)
    for name, value in settings.items():
        project.dvc("remote", "modify", "shared", name, value)
    project.run("git", "commit", "--quiet", "--all", "--message", "a remote")
    project.dvc("push", "--quiet")


def clone(project: Project, folder: Path) -> Project:
    """What Git alone brings to another machine."""
    project.run("git", "clone", "--quiet", "--branch", "shared", str(project.folder), str(folder))
    found = Project(folder)
    assert not (folder / ".dvc/cache").exists() and not list(folder.rglob("*.pth"))
    return found


def test_a_clone_pulls_and_runs_nothing_through_a_folder(project, tmp_path):
    publish(project, str(tmp_path / "remote"))
    pull_and_run_nothing(clone(project, tmp_path / "clone"))


def test_a_clone_pulls_and_runs_nothing_through_s3(project, tmp_path, s3):
    publish(project, f"s3://{BUCKET}/store", endpointurl=s3)
    stored = boto3.client("s3", endpoint_url=s3).list_objects_v2(Bucket=BUCKET)["Contents"]
    assert all(one["Key"].startswith("store/files/md5/") for one in stored)
    pull_and_run_nothing(clone(project, tmp_path / "clone"))


def pull_and_run_nothing(found: Project) -> None:
    found.dvc("pull", "--quiet")
    assert found.dvc("status").strip() == "Data and pipelines are up to date."
    assert found.repro() == {}
    assert found.run("git", "status", "--porcelain") == ""


def test_without_data_only_what_changed_runs_and_only_what_it_needs_comes(project, tmp_path):
    publish(project, str(tmp_path / "remote"))
    found = clone(project, tmp_path / "clone")
    options = ("--pull", "--allow-missing")
    assert found.repro(*options) == {}
    assert not list(found.folder.rglob("*.npz"))
    found.set("compare.rope=0.01")
    assert found.repro(*options) == {"compare": "ran"}
    assert found.json("resultados/detalle.json") != project.json("resultados/detalle.json")
    # Nothing that an earlier stage reads has come, and Git has no more to tell than one change.
    assert not list((found.folder / "data").rglob("*ubyte"))
    assert not list((found.folder / "data").rglob("*.np*"))
    changed = set(found.run("git", "diff", "--name-only").split())
    assert changed >= {"params.yaml", "dvc.lock"}
    assert all(name.startswith("resultados/") for name in changed - {"params.yaml", "dvc.lock"})


@pytest.fixture(scope="module")
def branches(project) -> None:
    """Branches with the results of other params each: simple_nn and cnn."""
    project.branch("simple_nn", OTHER)
    project.branch("cnn", CNN)
    project.run("git", "checkout", "--quiet", "--force", "main")
    project.dvc("checkout", "--quiet", "--force")


def test_a_merge_gives_what_a_fresh_run_of_its_params_gives(project, branches):
    project.run("git", "checkout", "--quiet", "-B", "merged", "cnn")
    project.dvc("checkout", "--quiet", "--force")
    merge = subprocess.run(
        ["git", "merge", "--quiet", "simple_nn"],
        cwd=project.folder, env=os.environ | project.environment(),
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert merge.returncode == 1  # in what is made: params.yaml needs no mending
    assert project.run("git", "diff", "--name-only", "--diff-filter=U", "*.yaml") == ""
    # Of each branch what its own params made, and the two stages that no branch has run so.
    assert project.repro() == {
        "kfold_train@simple_nn": "cached", "evaluate": "ran", "compare": "ran",
    }  # fmt: skip
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--no-edit")
    fresh = project.repro("--force", "--no-run-cache")
    assert fresh == dict.fromkeys(ALL, "ran")
    assert project.run("git", "status", "--porcelain") == ""


class Repro:
    """A `dvc repro` that goes on while the test does."""

    def __init__(self, project: Project, log: Path, *options: str) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                # Nothing is there yet: neither in the cache of runs.
                ["dvc", *options, "repro", "--no-run-cache"],
                cwd=project.folder, env=os.environ | project.environment(),
                stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def until(self, file: Path) -> None:
        """Wait until the stage that it runs has made a file."""
        end = time.monotonic() + 300
        while not (file.exists() and file.read_text()):
            assert self.process.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.05)

    def ended(self) -> int:
        return self.process.wait(timeout=600)


@pytest.fixture
def running(project) -> Path:
    """The file that a stage, CNN's training, keeps while it runs; params are such that it will."""
    project.set(CNN)
    file = project.folder / ".cache/running/kfold_train@cnn"
    file.unlink(missing_ok=True)
    return file


def assert_undisturbed(project: Project) -> None:
    """All is as it is where nothing happened: on the branch with these params."""
    assert project.repro() == {}
    assert project.run("git", "diff", "--name-only", "cnn") == ""
    assert project.dvc("status").strip() == "Data and pipelines are up to date."


def test_a_second_repro_is_told_who_is_there_and_harms_nobody(project, branches, running, tmp_path):
    first = Repro(project, tmp_path / "first", PATIENT)
    first.until(running)
    second = Repro(project, tmp_path / "second")
    assert second.ended() != 0
    assert f"(PID {first.process.pid})" in second.said() and "is busy" in second.said()
    assert "Running stage" not in second.said()
    assert first.ended() == 0, first.said()
    assert_undisturbed(project)


def test_two_repros_that_start_together_harm_nobody(project, branches, running, tmp_path):
    both = [Repro(project, tmp_path / name, PATIENT) for name in ("one", "other")]
    ended = [repro.ended() for repro in both]
    assert 0 in ended, [repro.said() for repro in both]
    for code, repro, other in zip(ended, both, reversed(both), strict=True):
        assert code == 0 or f"(PID {other.process.pid})" in repro.said(), repro.said()
    assert_undisturbed(project)


def test_after_dvc_was_killed_the_next_repro_just_works(project, branches, running, tmp_path):
    first = Repro(project, tmp_path / "first")
    first.until(running)
    stage = int(running.read_text())
    os.kill(first.process.pid, signal.SIGKILL)
    first.ended()
    second = Repro(project, tmp_path / "second")
    assert second.ended() == 0, second.said()
    # The stage that the first had started let go of the folder: it has ended, too.
    assert int(running.read_text()) != stage
    assert_undisturbed(project)
