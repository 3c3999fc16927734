"""A bad param of each stage through DVC: told in one line, and nothing of before is lost."""

import os
import subprocess

import pytest

BAD = {
    "download": ("download.timeout", "0"),
    "preprocess": ("preprocess.folds", "1"),
    "kfold_train": ("kfold_train.cnn.epochs", "0"),
    "pretrain": ("pretrain.images", "1"),
    "finetune": ("finetune.trainable", "[layer4]"),
    "evaluate": ("device", "tpu"),
    "compare": ("compare.rope", "2"),
}


@pytest.mark.parametrize("stage", BAD)
def test_outputs_of_before_are_still_there(project, restored, stage):
    key, value = BAD[stage]
    outputs = {
        path: path.read_bytes()
        for folder in ("resultados", "modelos", "data/processed")
        for path in (project.folder / folder).rglob("*")
        if path.is_file()
    }
    project.set(f"{key}={value}")
    failed = subprocess.run(
        ["dvc", "repro", "--single-item", *(targets(project, stage))], cwd=project.folder,
        env=os.environ | project.environment(), capture_output=True, encoding="utf-8",
    )  # fmt: skip
    said = failed.stdout + failed.stderr
    assert failed.returncode != 0 and "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith(f"{stage}: ")]
    assert f"params.yaml: {key}" in line and "expected" in line and "found" in line

    project.run("git", "checkout", "--quiet", "--", "params.yaml", "resultados")
    project.dvc("checkout", "--quiet", "--force")
    assert {path: path.read_bytes() for path in outputs} == outputs
    assert project.repro() == {}


def targets(project, stage: str) -> list[str]:
    return ["kfold_train@cnn"] if stage == "kfold_train" else [stage]
