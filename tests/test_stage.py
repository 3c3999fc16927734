"""A stage as a program: its help, and an end in one line whatever goes wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taller.common import stage
from taller.common.terminal import UserError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("params.yaml: seed: expected x"), "p: params.yaml: seed: expected x"),
        (FileNotFoundError(2, "No such file", "a/b"), "p: a/b: expected this file, found: No such"),
        (OSError(28, "No space left", "a"), "p: a: expected space on the disk, found: No space"),
        (MemoryError("9 GB"), "p: expected enough memory, found too little: 9 GB"),
        (UserError("a: wrong\nb: wrong"), "p: a: wrong\np: b: wrong"),
    ],
)
def test_what_a_user_can_mend_is_a_line(error, line):
    with pytest.raises(SystemExit) as caught, stage.one_line("p"):
        raise error
    assert caught.value.code.startswith(line)


def test_a_mistake_of_ours_is_a_traceback():
    with pytest.raises(ZeroDivisionError), stage.one_line("p"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("arguments", "code", "out", "error"),
    [
        ("download nothing", 1, "numerics: ", "download: nothing: expected one of MNIST, Fashi"),
        ("download", 2, "", "usage: python -m stages.download [-h] NAME"),
        ("download --help", 0, "usage: python -m stages.download [-h] NAME\n\nGet one item", ""),
        ("preprocess", 1, "numerics: ", "preprocess: data/nothing/raw: expected a folder of pict"),
    ],
)
def test_the_real_stages(tmp_path, arguments, code, out, error):
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    changed = params.replace("dataset: MNIST", "dataset: nothing")
    (tmp_path / "params.yaml").write_text(changed, encoding="utf-8")
    name, *rest = arguments.split()
    run = subprocess.run(
        [sys.executable, "-m", f"stages.{name}", *rest], capture_output=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, encoding="utf-8",
    )  # fmt: skip
    assert run.returncode == code and run.stdout.startswith(out)
    assert run.stderr.startswith(error) and (code != 1 or run.stderr.count("\n") == 1)


def test_matplotlibs_backend_is_ours_whatever_a_notebook_sets():
    notebook = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    run = subprocess.run(
        [sys.executable, "-c", "import tools.example_pictures, matplotlib.pyplot as p; p.figure()"],
        capture_output=True, cwd=ROOT, env=os.environ | notebook, encoding="utf-8",
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
