"""The small project, on which all stages have run once; a browser."""

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from project import STAGES, Project, copy

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def template(tmp_path_factory, mnist_raw) -> Path:
    """The folder that `project` is a copy of: made once for all processes that test."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / "project.lock"):
        if not (shared / "project-done").exists():
            project = copy(shared / "project", mnist_raw)
            project.commit("first")
            assert project.repro() == dict.fromkeys(STAGES, "ran")
            project.commit()
            (shared / "project-done").touch()
    return shared / "project"


@pytest.fixture(scope="module")
def copied(template, tmp_path_factory) -> Project:
    """A copy of the template for the tests of one file."""
    folder = tmp_path_factory.mktemp("pipeline") / "project"
    shutil.copytree(template, folder, symlinks=True)
    return Project(folder)


@pytest.fixture
def project(copied) -> Iterator[Project]:
    """The small project as main has it; what the test changes is undone afterwards."""
    yield copied
    copied.git("checkout", "--quiet", "--force", "main")
    copied.git("reset", "--quiet", "--hard")
    copied.git("clean", "--quiet", "--force", "-d")
    copied.dvc("checkout", "--quiet", "--force")


@pytest.fixture(scope="session")
def browser() -> str:
    """The program of a browser."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not program:
        message = f"NO BROWSER ({', '.join(BROWSERS)}): no page was seen drawn"
        warnings.warn(message, stacklevel=1)  # pytest prints it even where it hides skips
        pytest.skip(message)
    return program
