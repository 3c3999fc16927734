"""Edits that make input bad, and what every stage must do with it, run for real."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from taller.data import idx

SECONDS = 300  # for what takes two or three: nothing may wait for ever
PARAMS, RAW, COPIES, DATA, MODELS, RESULTS = (
    "params.yaml", "data/MNIST/raw/", "data/MNIST/files/", "data/processed/", "modelos/",
    "resultados/",
)  # fmt: skip
Edit = Callable[[Path], object]


# What is done to a file.
def missing(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def unreadable(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    path.chmod(0)


def holding(data: bytes) -> Edit:
    return lambda path: path.write_bytes(data)


def halved(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def text(before: str, after: str) -> Edit:
    """Replace the first match of a pattern."""

    def edit(path: Path) -> None:
        old = path.read_text(encoding="utf-8")
        new = re.sub(before, after, old, count=1, flags=re.MULTILINE)
        assert new != old, f"no {before} in {path}"
        path.write_text(new, encoding="utf-8")

    return edit


def tree(change: Callable) -> Edit:
    """Change what a JSON file holds, in place."""

    def edit(path: Path) -> None:
        held = json.loads(path.read_text(encoding="utf-8"))
        change(held)
        path.write_text(json.dumps(held), encoding="utf-8")

    return edit


def arrays(**changes: Callable | None) -> Edit:
    """Change arrays of an .npz, or drop those of None."""

    def edit(path: Path) -> None:
        with np.load(path) as found:
            held = dict(found)
        for name, change in changes.items():
            array = held.pop(name)
            if change:
                held[name] = change(array)
        np.savez(path, **held)

    return edit


def array(change: Callable) -> Edit:
    return lambda path: np.save(path, change(np.load(path)))


def raw(change: Callable) -> Edit:
    return lambda path: idx.write(path, change(idx.read(path)))


def model(change: Callable) -> Edit:
    """Change what a model file holds, in place."""

    def edit(path: Path) -> None:
        held = torch.load(path, weights_only=True)
        change(held)
        torch.save(held, path)

    return edit


def like(other: str) -> Edit:
    """Put another file of the same folder in its place."""
    return lambda path: path.write_bytes((path.parent / other).read_bytes())


def put(place: tuple, value: object) -> Callable:
    """Change one value of a tree."""

    def change(held) -> None:
        for part in place[:-1]:
            held = held[part]
        held[place[-1]] = value

    return change


def drop(*place) -> Callable:
    def change(held) -> None:
        for part in place[:-1]:
            held = held[part]
        del held[place[-1]]

    return change


def first(value: int) -> Callable:
    """An array whose first element is another one."""

    def change(found: np.ndarray) -> np.ndarray:
        found = found.copy()
        found.flat[0] = value
        return found

    return change


def weights(name: str, change: Callable) -> Edit:
    return model(lambda held: held["state_dict"].update({name: change(held["state_dict"][name])}))


def spoilt(tensor: torch.Tensor) -> torch.Tensor:
    tensor.view(-1)[0] = float("nan")
    return tensor


def state(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file and when it was written, but for what Git, DVC and Python keep for themselves."""
    own = {".git", ".dvc", "__pycache__", ".cache"}
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not own & {*path.relative_to(folder).parts}:
            told = path.stat()
            found[path.relative_to(folder).as_posix()] = told.st_ino, told.st_size, told.st_mtime_ns
    return found


@contextmanager
def edited(path: Path, edit: Edit) -> Iterator[None]:
    """The file is another one inside, and the same again afterwards."""
    before = path.read_bytes()
    try:
        edit(path)
        yield
    finally:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(before)


def run(folder: Path, program: str) -> subprocess.CompletedProcess:
    name, *items = program.split()
    module = name if "." in name else f"stages.{name}"
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "LOKY_MAX_CPU_COUNT": "1"}
    return subprocess.run(
        [sys.executable, "-m", module, *items], cwd=folder, env=environment, capture_output=True,
        encoding="utf-8", timeout=SECONDS,
    )  # fmt: skip


def check(folder: Path, program: str, name: str, edit: Edit, told: str) -> None:
    """Run a stage on an edited file: it must tell of it in one line, and write nothing."""
    with edited(folder / name, edit):
        before = state(folder)
        ended = run(folder, program)
        assert state(folder) == before
    assert ended.returncode == 1, ended.stdout + ended.stderr
    (line,) = ended.stderr.splitlines()
    assert "Traceback" not in ended.stdout + line
    assert line.startswith(f"{program.split()[0].removeprefix('tools.')}: ")
    assert re.search(told, line), line
    assert Path(name).name in line or f"{Path(name).parent}: " in line
    # An unknown key is what was found.
    told_all = "expected" in line and ("found" in line or "expected one of" in line)
    assert told_all or " with: dvc repro" in line


def each(cases: dict[tuple[str, str], dict[str, tuple[Edit, str]]]) -> pytest.MarkDecorator:
    """A test for each case: the program and the file, what is done to it, what must be told."""
    listed = [
        pytest.param(*place, *case, id=f"{place[0]}-{name}")
        for place, named in cases.items()
        for name, case in named.items()
    ]
    return pytest.mark.parametrize(("program", "name", "edit", "told"), listed)
