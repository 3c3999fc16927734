"""Your own pictures: one param, and the whole pipeline follows; the pictures stay as they are."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_project import ALL, Project, copy

from tools import example_pictures

SMALL = [
    "dataset=cosas", "preprocess.subset=null", "preprocess.image_size=32", "finetune.image_size=32",
    "kfold_train.simple_nn.epochs=2", "kfold_train.cnn.epochs=2",
]  # fmt: skip


def photographed(raw: Path) -> dict[str, tuple]:
    """Everything that is known of the originals: bytes, times, modes and which files they are."""
    found = {}
    for path in sorted(raw.rglob("*")):
        told = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(raw))] = (content, told.st_mtime_ns, told.st_mode, told.st_ino)
    return found


@pytest.fixture(scope="module")
def own(tmp_path_factory, mnist_raw) -> Project:
    """A copy of the project on 120 pictures of things, a few of each."""
    folder = tmp_path_factory.mktemp("own") / "project"
    project = copy(folder, mnist_raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example_pictures, "THINGS", 5)
        patch.setattr(example_pictures, "SHOTS", 4)
        example_pictures.make(folder / "data/cosas/raw")
    project.set(*SMALL)
    project.before = photographed(folder / "data/cosas/raw")
    assert project.repro() == dict.fromkeys(ALL, "ran")
    return project


def test_the_pipeline_follows_one_param(own):
    facts = own.json("resultados/datos.json")
    assert facts["dataset"] == "cosas"
    assert facts["names"] == sorted(example_pictures.KINDS)
    assert facts["shape"] == [3, 32, 32]
    assert facts["train_images"] + facts["test_images"] == 6 * 5 * 4
    assert facts["groups"]["shared"] == 0 and facts["groups"]["kept_together"]
    assert facts["groups"]["train"] + facts["groups"]["test"] == 30
    assert own.repro() == {}


def test_the_report_speaks_of_these_pictures(own):
    told = (own.folder / "resultados/informe.md").read_text(encoding="utf-8")
    assert told.startswith("# Entrenamiento desde cero y fine-tuning en cosas\n")
    assert "(casa, llave, pez, reloj, taza y árbol)" in told
    for word in ("dígito", "escritor", "QMNIST", "LeCun"):
        assert word not in told
    assert not re.search(r"nan|None|inf\b", told)


def test_a_picture_is_predicted_by_the_name_of_its_class(own):
    pictures = sorted((own.folder / "data/cosas/raw/pez").rglob("*.jpg"))[:2]
    lines = own.run(sys.executable, "-m", "tools.predict", *map(str, pictures)).splitlines()
    kinds = "|".join(example_pictures.KINDS)
    for picture, line in zip(pictures, lines, strict=True):
        told = rf"({kinds}) \d+\.\d %, ({kinds}) \d+\.\d %(  \(unsure\))?"
        assert re.fullmatch(f"{re.escape(str(picture))}: {told}", line)


def test_a_clone_pulls_the_pictures_and_computes_nothing(own, tmp_path):
    own.run("git", "add", "--all")
    own.run("git", "commit", "--quiet", "--message", "own")
    own.dvc("remote", "add", "--local", "--force", "shared", str(tmp_path / "remote"))
    own.dvc("push", "--remote", "shared")
    clone = Project(tmp_path / "clone")
    own.run("git", "clone", "--quiet", str(own.folder), str(clone.folder))
    shutil.copy(own.folder / ".dvc/config.local", clone.folder / ".dvc/config.local")
    clone.dvc("pull", "--remote", "shared")
    assert clone.repro() == {"download": "ran"}  # which fills the folder of the originals
    assert clone.repro() == {}
    raw = "data/cosas/raw"
    found = {name: told[0] for name, told in photographed(clone.folder / raw).items()}
    assert found == {name: told[0] for name, told in own.before.items()}


def test_pictures_stay_as_they_are_whatever_happens(own):
    """After all stages; killed in the middle of them; with another data set, and back again."""
    raw = own.folder / "data/cosas/raw"
    assert photographed(raw) == own.before
    drawn = random.Random(7)
    for _ in range(3):
        program = subprocess.Popen(
            ["dvc", "repro", "--force", "preprocess"], cwd=own.folder, start_new_session=True,
            env=os.environ | own.environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(drawn.uniform(1, 6))
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        assert photographed(raw) == own.before
        # Which DVC may have been writing, and not have come to evaluate: gc would take its outputs.
        own.run("git", "checkout", "--quiet", "dvc.lock")
    own.set("dataset=MNIST", "preprocess.subset=300")
    own.repro("preprocess")
    assert photographed(raw) == own.before
    own.set(*SMALL)
    own.repro("preprocess")
    assert photographed(raw) == own.before


def test_what_dvc_checks_out_are_copies_alone(own):
    """It removes what it versioned and no stage declares any more, without a word."""
    raw, copies = (own.folder / "data/cosas" / name for name in ("raw", "files"))
    own.set("dataset=MNIST")
    own.dvc("checkout", "--force", "--allow-missing")
    own.dvc("gc", "--workspace", "--force")
    assert not copies.exists()
    assert photographed(raw) == own.before
    own.set(*SMALL)
    own.run("git", "checkout", "--quiet", "dvc.lock")
    assert "download" in own.repro("preprocess")
    assert photographed(raw) == own.before
    found = {name: told[0] for name, told in photographed(copies).items()}
    assert found.pop("SHA256SUMS")
    assert found == {name: told[0] for name, told in own.before.items()}


def test_a_new_picture_runs_what_depends_on_it_and_a_bad_one_stops_it(own):
    raw = own.folder / "data/cosas/raw"
    extra = raw / "pez/pez-01/99.jpg"
    original = next(iter(sorted((raw / "pez/pez-02").iterdir())))
    extra.write_bytes(original.read_bytes()[:-200])  # cut short
    run = subprocess.run(
        ["dvc", "repro", "preprocess"], cwd=own.folder, env=os.environ | own.environment(),
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert (
        run.returncode and "preprocess: pez/pez-01/99.jpg: expected a whole picture" in run.stderr
    )
    assert "Traceback" not in run.stderr
    extra.unlink()
    assert own.repro("preprocess").keys() <= {"download", "preprocess"}


def test_another_version_of_the_pictures_is_asked_about_and_not_chosen(own):
    """After a checkout DVC's copies are those of then, and the originals those of now."""
    raw, copies = (own.folder / "data/cosas" / name for name in ("raw", "files"))
    own.run("git", "add", "--all")
    own.run("git", "commit", "--quiet", "--allow-empty", "--message", "then")
    extra = raw / "pez/pez-01/98.jpg"
    shutil.copy(next(iter(sorted((raw / "pez/pez-02").iterdir()))), extra)
    extra.write_bytes(extra.read_bytes() + b"no copy")
    assert own.repro("preprocess") == {"download": "ran", "preprocess": "ran"}
    own.run("git", "commit", "--quiet", "--all", "--message", "now")
    own.run("git", "checkout", "--quiet", "HEAD~1")
    own.dvc("checkout", "--force")
    run = subprocess.run(
        ["dvc", "repro", "preprocess"], cwd=own.folder, env=os.environ | own.environment(),
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert run.returncode and "found others (pez/pez-01/98.jpg), as DVC brings" in run.stderr
    assert extra.exists() and not (copies / "pez/pez-01/98.jpg").exists()
    raw.rename(raw.with_name("now"))
    assert own.repro("preprocess") == {"download": "ran"}
    assert not extra.exists() and (raw.with_name("now") / "pez/pez-01/98.jpg").exists()
