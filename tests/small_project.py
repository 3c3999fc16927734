"""A small copy of the project, with its own Git and DVC, for tests that run DVC as its users do."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc.utils import hydra
from filelock import FileLock

from taller.models.catalogue import MODELS
from tools import code_deps

ROOT = Path(__file__).parents[1]
# As DVC names them: one of a matrix has its item's name.
ALL = {
    f"{stage}@{item}" if item else stage: stage
    for stage, items in code_deps.stages(ROOT).items()
    for item in items or [""]
}
KEYS = [entry.key for entry in MODELS]
# The smallest that trains everything.
SMALL = {
    "threads": 1, "preprocess.subset": 300, "preprocess.folds": 2,
    "kfold_train.simple_nn.epochs": 1, "kfold_train.cnn.epochs": 1,
    # Letters are learnt from 8,000 on, which takes half a minute: tests/test_pretrain.py does.
    "pretrain.source": "none", "finetune.epochs": 1,
    "kfold_train.simple_nn.min_steps": 0, "kfold_train.cnn.min_steps": 0, "finetune.min_steps": 0,
}  # fmt: skip
# What a user edits, of what DVC tells as a changed dependency.
EDITED = ("stages/", "taller/", "params.yaml", "environment.yaml")
OTHER = "kfold_train.simple_nn.epochs=2"


class Project:
    """A copy of the repository with its own Git and DVC, and small params."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self) -> dict[str, str]:
        """What DVC and Git need beside what is there."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        identity = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
        identity |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in identity.items()}
        # One process: starting others takes longer than training does here.
        return {**identity, "PATH": path, "LOKY_MAX_CPU_COUNT": "1"}

    def run(self, *command: str, **environment: str) -> str:
        run = subprocess.run(
            command, cwd=self.folder, env=os.environ | self.environment() | environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            # What DVC's queue starts is stopped by Ctrl-C, also where our parent ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}"
        return run.stdout

    def dvc(self, *arguments: str, **environment: str) -> str:
        return self.run("dvc", *arguments, **environment)

    def repro(self, *arguments: str, **environment: str) -> dict[str, str]:
        """Run `dvc repro`; the stages that it did not skip, and whether each ran or was cached."""
        lines = self.dvc("repro", *arguments, **environment).splitlines()
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
            if any(name.startswith(EDITED) for name in files)
        }

    def set(self, *overrides: str, file: str = "params.yaml") -> None:
        """Change params as `dvc exp run -S` does."""
        hydra.apply_overrides(self.folder / file, list(overrides))

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
    """All stages run once, on the branch main; made once for all processes that test."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    template = shared / "project"
    with FileLock(shared / "project.lock"):
        if not (template / "done").exists():
            first = copy(template, mnist_raw)
            assert first.repro() == dict.fromkeys(ALL, "ran")
            first.run("git", "add", "--all")
            first.run("git", "commit", "--quiet", "--message", "first")
            (template / "done").touch()
    folder = tmp_path_factory.mktemp("pipeline") / "project"
    shutil.copytree(template, folder, symlinks=True)
    (folder / "done").unlink()
    return Project(folder)


@pytest.fixture
def restored(project) -> Iterator[None]:
    """The test begins with what is committed on main, and so does the next one."""
    yield
    reproduced = project.run("git", "diff", "--name-only", "main", "--", "dvc.lock")
    project.run("git", "checkout", "--quiet", "--force", "main")
    if reproduced:
        project.dvc("checkout", "--quiet", "--force")
