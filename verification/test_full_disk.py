"""A disk that is full, for real: one line, nothing half-written, and it goes on when there is room.

The stage runs in a copy of the project on a disk of its own, which is then made larger.
"""

import shutil
import sys
from pathlib import Path

import pytest
from conftest import on_a_small_disk
from small_project import Project, copy

# The disk with so many bytes free; then with plenty, in the same mount. An empty folder stays in
# TMPDIR, which torch makes for its compiler when it is imported.
SCRIPT = """
cp -r "$1/." "$2"; cd "$2"; mkdir -p tmp; export TMPDIR=$2/tmp
used=$(df --block-size=1 --output=used . | tail -1)
mount -o remount,size=$((used + $3)) "$2" || exit 99
error=$(TMPDIR=/tmp mktemp)
python -m stages.$4 >/dev/null 2>"$error" </dev/null
echo "code $?"; cat "$error"; rm "$error"
ls -A tmp | grep -v ^torchinductor_; find modelos resultados -name '.*.part'
mount -o remount,size=1g "$2"
python -m stages.$4 >/dev/null; echo "code $?"
find modelos resultados -type f | sort | xargs sha256sum
"""
STAGES = {
    "kfold_train simple_nn": [0, 1_000_000],
    "finetune": [0, 30_000],
    "evaluate": [60_000],
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, mnist_raw) -> Path:
    """A small project whose stages have all run, up to `evaluate`."""
    folder = tmp_path_factory.mktemp("full") / "project"
    project = copy(folder, mnist_raw)
    project.set("preprocess.subset=240")
    stages = "download", "preprocess", "pretrain", "kfold_train simple_nn", "kfold_train cnn"
    for stage in (*stages, "finetune", "evaluate"):
        project.run(sys.executable, "-m", *f"stages.{stage}".split())
    shutil.rmtree(folder / "data/MNIST")
    return folder


@pytest.mark.parametrize(
    ("stage", "free"), [(stage, free) for stage, sizes in STAGES.items() for free in sizes]
)
def test_a_full_disk_is_one_line_and_the_stage_goes_on_when_there_is_room(
    prepared, tmp_path, stage, free
):
    project = Project(prepared)
    places = "find modelos resultados -type f | sort | xargs sha256sum"
    expected = project.run("sh", "-c", places)
    run = on_a_small_disk("1g", "sh", "-c", SCRIPT, "sh", str(prepared), "DISK", str(free), stage)
    first, second = run.stdout.split("code ")[1:]
    code, *told = first.splitlines()
    assert (code, len(told)) == ("1", 1), run.stdout
    assert told[0].startswith(f"{stage.split()[0]}: ")
    assert " MB free on the disk, found " in told[0]
    assert second.startswith("0\n") and second.endswith(expected), run.stdout
