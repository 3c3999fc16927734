"""A small copy of the project, with its own Git and DVC, for tests that run DVC as its users do."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partialmethod
from pathlib import Path

import numpy as np
import yaml
from dvc.utils import hydra
from PIL import Image

from taller.datasets import dataset

ROOT = Path(__file__).parents[1]
# The smallest that trains everything.
SMALL = [
    "dataset=digits", "threads=1", "preprocess.folds=2", "preprocess.image_size=28",
    "~finetune.cnn_letters", "~pretrain.cnn", "compare.pairs=[cnn-simple_nn,resnet18-cnn]",
    "curve.sections=[kfold_train.cnn]", "curve.sizes=[50]",
    # Letters are learnt from 8,000 on, which takes half a minute.
    "pretrain.resnet18.source=none",
]  # fmt: skip
for section in ("kfold_train.simple_nn", "kfold_train.cnn", "finetune.resnet18"):
    SMALL += [f"{section}.epochs=1", f"{section}.min_steps=0"]
STAGES = [
    "download@MNIST", "preprocess", "kfold_train@simple_nn", "kfold_train@cnn",
    "pretrain@resnet18", "finetune@resnet18", "curve@kfold_train.cnn", "evaluate", "compare",
]  # fmt: skip
EDITED = ("stages/", "taller/", "params.yaml")  # what a person edits, of what DVC calls changed
LINE = re.compile(r"^(?:Running stage|Stage) '([^']+)'(?::| is (cached))", re.MULTILINE)


class Project:
    """A folder with Git and DVC, and the commands that are run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def environment(self) -> dict[str, str]:
        """What commands get: this Python first, someone for Git, one process for folds."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        author = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
        author |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in author.items()}
        return {**os.environ, **author, "PATH": path, "LOKY_MAX_CPU_COUNT": "1"}

    def start(self, *command: str, **options) -> subprocess.Popen:
        """Start a command whose output, of both streams, is text."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, encoding="utf-8",
            # Ctrl-C stops what DVC starts, also where our parent ignores it.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options,
        )  # fmt: skip

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command that ends with `code`, and return what it printed."""
        process = self.start(*command)
        text = process.communicate()[0]
        assert process.returncode == code, f"{' '.join(command)}\n{text}"
        return text

    dvc = partialmethod(run, "dvc")
    git = partialmethod(run, "git")

    def repro(self, *arguments: str) -> dict[str, str]:
        """Run `dvc repro`: the stages that it did not skip, and whether each ran or was cached."""
        return dict(stages_of(self.dvc("repro", *arguments)))

    def edited(self) -> set[str]:
        """The stages that DVC calls changed themselves, before what follows from them."""
        status = json.loads(self.dvc("status", "--json")).items()
        changes = ((stage, one) for stage, all_of_it in status for one in all_of_it)
        files = ((stage, one["changed deps"]) for stage, one in changes if "changed deps" in one)
        # A dep that the stage before will write again is a consequence.
        return {stage for stage, names in files if any(name.startswith(EDITED) for name in names)}

    def set(self, *overrides: str) -> None:
        """Change params as `dvc exp run -S` does."""
        hydra.apply_overrides(file := self.folder / "params.yaml", list(overrides))
        os.utime(file, (time.time() + 2,) * 2)  # git sees no other number of the same second

    def commit(self, message: str = "results") -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def lock(self) -> dict[str, dict]:
        text = (self.folder / "dvc.lock").read_text(encoding="utf-8")
        return yaml.load(text, yaml.CSafeLoader)["stages"]

    def json(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


def stages_of(text: str) -> list[tuple[str, str]]:
    """The stages in what DVC printed, in order, each ``ran`` or ``cached``."""
    return [(stage, cached or "ran") for stage, cached in LINE.findall(text)]


def copy(folder: Path, raw: Path) -> Project:
    """Copy this working tree without its results, with small params and a folder of pictures.

    The pictures are MNIST's, from the folder `raw`, 20 of each class for training and 5 for
    testing, under `dvc add`: all 10,000 test images take longer than all else does here. Nothing
    has run or is in git.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for side, data, each in zip(
        ("train", "test"), dataset.read_idx("MNIST", raw), (20, 5), strict=True
    ):
        for label in range(10):
            pictures = folder / "data/digits/raw" / side / str(label)
            pictures.mkdir(parents=True)
            for number, row in enumerate(np.flatnonzero(data.labels == label)[:each]):
                Image.fromarray(data.images[row, 0]).save(pictures / f"{number}.png")
    shutil.copytree(raw, folder / "data/MNIST/raw")
    shutil.copy(ROOT / "presets/mnist.yaml", folder / "params.yaml")  # whatever `make use` wrote
    project = Project(folder)
    project.set(*SMALL)
    project.git("init", "--quiet", "--initial-branch", "main")
    project.dvc("add", "--quiet", "data/digits/raw")
    return project
