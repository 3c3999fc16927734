"""Pickles that would run code never do, whatever file they stand in place of."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from bad_input import DATA, MODELS, PARAMS, RAW, SECONDS

from taller.data import shared
from taller.data.idx_sets import MNIST


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


# Calls a stage's program once for each of its files, with each hostile content in its place.
DRIVER = """
import importlib, sys
from pathlib import Path
from taller.program import cli
stage, item, hostile, *names = sys.argv[1:]
sys.argv = [stage, *([item] if item else [])]
program = getattr(importlib.import_module(f"stages.{stage}"), stage)
for name in names:
    path = Path(name)
    before = path.read_bytes()
    for content in sorted(Path(hostile).iterdir()):
        path.write_bytes(content.read_bytes())
        try:
            cli.main(program)
        except SystemExit as ended:
            refused = isinstance(ended.code, str)
        else:
            refused = False
        finally:
            path.write_bytes(before)
        print("RESULT", name, content.name, "refused" if refused else "taken", flush=True)
"""


def stages_and_files(folder: Path) -> dict[str, list[str]]:
    """What each stage reads, but for code, as dvc.yaml declares it; and params.yaml."""
    stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = {}
    for name, stage in stages.items():
        deps = [
            dep.replace("${pretrain.network}", "resnet18").replace("${dataset}", MNIST.name)
            for dep in stage.get("deps", [])
        ]
        listed = [folder / dep for dep in deps if not dep.endswith((".py", ".npy"))]
        listed += [folder / DATA / "folds.npy"] if name in ("kfold_train", "finetune") else []
        listed += [folder / RAW / part for part in MNIST.sha256] * (name == "download")
        files = [
            part.relative_to(folder).as_posix()
            for dep in listed
            for part in (sorted(dep.rglob("*")) if dep.is_dir() else [dep])
            # Nobody but `download` reads the list of checksums, and it takes it for text.
            if part.is_file() and not part.name.startswith(".") and part.name != shared.SUMS
        ]
        found[name] = [PARAMS, *files]
    return found


@pytest.mark.parametrize(
    "stage",
    ["download", "preprocess", "kfold_train", "pretrain", "finetune", "evaluate", "compare"],
)
def test_hostile_pickles_never_run_whatever_they_stand_in_place_of(project, tmp_path, stage):
    good, created, hostile = project.folder, tmp_path / "created", tmp_path / "hostile"
    hostile.mkdir()
    one = Hostile(created)
    (hostile / "pickle").write_bytes(pickle.dumps(one))
    np.savez(hostile / "arrays.npz", images=np.array([one], dtype=object), labels=np.zeros(1))
    np.save(hostile / "array.npy", np.array([one], dtype=object))
    torch.save({"architecture": "CNN", "state_dict": one}, hostile / "model.pth")
    torch.save(one, hostile / "old.pth", _use_new_zipfile_serialization=False)
    pickle.loads((hostile / "pickle").read_bytes())
    assert created.exists()  # it would
    created.unlink()

    # Files that are copied, never read, do no harm either.
    copied = {f"{MODELS}{name}.pth" for name in ("simple_nn", "cnn", "resnet18")}
    files = [
        name for name in stages_and_files(good)[stage] if stage != "compare" or name not in copied
    ]
    assert len(files) > 1
    item = "cnn" if stage == "kfold_train" else ""
    ended = subprocess.run(
        [sys.executable, "-c", DRIVER, stage, item, str(hostile), *files], cwd=good,
        capture_output=True, encoding="utf-8", timeout=2 * SECONDS,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert not created.exists()
    told = [line.split()[1:] for line in ended.stdout.splitlines() if line.startswith("RESULT")]
    assert len(told) == len(files) * 5
    assert [line for line in told if line[-1] != "refused"] == []
