"""Projects to run DVC in: a clone of this one, and one of the same graph that does nothing."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


class Project:
    """A folder with its own Git and DVC.

    Attributes
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, **environment: str) -> float:
        """Run a command there: its seconds."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        start = time.perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, "PATH": path, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout.strip()[-500:]}")
        return time.perf_counter() - start

    def replace(self, name: str, before: str, after: str) -> None:
        """Replace what must be there in a file, everywhere."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        if before not in text:
            raise RuntimeError(f"{name}: expected {before!r}, found no such text")
        path.write_text(text.replace(before, after), encoding="utf-8")


def clone(folder: Path, *, cache: bool) -> Project:
    """The last commit of this project; with `cache`, all that its DVC has, and checked out."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    project = Project(folder)
    if cache:
        # Links, which cost nothing: what DVC has in its cache it never changes.
        shutil.copytree((ROOT / ".dvc/cache").resolve(), folder / ".dvc/cache", copy_function=_link)
        project.run("dvc", "checkout", "--quiet", "--force")
    else:
        (folder / "dvc.lock").unlink()
        raw, files = folder / "data/MNIST/raw", (ROOT / "data/MNIST/files").glob("*-ubyte")
        for file in files:  # or the time of a download would be measured
            shutil.copy(file, raw)
    return project


def idle(folder: Path) -> Project:
    """The same stages, dependencies, outputs and params; they only write a line into each output.

    The line is another for other params.
    """
    command = ["git", "ls-files", "--", "*.py", "*.yaml", "*.npy", ".dvc", ".dvcignore"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    wanted = [*listed.stdout.split(), "resultados/ajuste.csv", "resultados/estudio.csv"]
    for name in wanted:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for stage in pipeline["stages"].values():
        outs = [one for part in ("outs", "metrics") for one in stage.get(part, [])]
        names = [one if isinstance(one, str) else next(iter(one)) for one in outs]
        # A folder has no suffix.
        files = [name if Path(name).suffix else f"{name}/file" for name in names]
        folders = sorted({str(Path(name).parent) for name in files})
        stage["cmd"] = f"mkdir -p {' '.join(folders)}; cksum params.yaml | tee {' '.join(files)}"
    (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    project = Project(folder)
    project.run("git", "init", "--quiet")
    return project


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copy2(source, target)
