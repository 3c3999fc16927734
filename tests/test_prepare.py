"""What is said before the first stage: one line for the first param that cannot be meant."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from taller.common.terminal import UserError
from tools import prepare

BAD = {
    "+sed=1": "sed: expected one of dataset, seed,",
    "compare.language=fr": "compare.language: expected 'es' or 'en', found 'fr'",
    "seed=null": "seed: ",
    "+kfold_train.resnet18={network: cnn}": "finetune.resnet18: expected a name that kfold_train",
    "finetune.resnet18.start=modelos/base/vgg": "finetune.resnet18.start: .*, found modelos",
    "finetune.resnet18.start=data/resnet18/raw": "finetune.resnet18.start: .* download gets",
    "~pretrain.resnet18": "finetune.resnet18.start: expected what pretrain makes",
    "curve.sections=[cnn]": "curve.sections.0: ",
    "download=[]": "download: expected MNIST in it",
    "dataset=KMNIST": "download: expected KMNIST in it",
    "download=[MNIST,CIFAR]": "CIFAR.*: expected one of MNIST, FashionMNIST",
    "dataset=cosas": "dataset: expected .* under `dvc add data/cosas/raw`; found no such folder",
}


def test_the_committed_params_are_good(workdir):
    prepare.check_params()


@pytest.mark.parametrize("override", BAD)
def test_a_param_that_cannot_be_meant_is_named(workdir, override):
    apply_overrides(Path("params.yaml"), [override])
    with pytest.raises(UserError, match=BAD[override]):
        prepare.check_params()


@pytest.mark.parametrize("command", [["true"], ["git", "init", "--quiet"]])
def test_the_project_out_of_a_zip_gets_the_remedy(workdir, monkeypatch, command):
    subprocess.run(command, check=True)
    monkeypatch.setattr(sys, "argv", ["prepare"])
    with pytest.raises(SystemExit) as caught:
        prepare.main()
    assert re.fullmatch(
        r"prepare: \.git: expected .*; run git init && git add .*", caught.value.code
    )


def test_a_folder_of_pictures_is_under_dvc(workdir):
    apply_overrides(Path("params.yaml"), ["dataset=cosas", "download=[]"])
    raw = Path("data/cosas/raw")
    raw.mkdir(parents=True)
    with pytest.raises(UserError, match="under `dvc add data/cosas/raw`; found the folder alone"):
        prepare.check_params()
    raw.with_suffix(".dvc").touch()
    prepare.check_params()
    raw.rmdir()
    with pytest.raises(UserError, match=r"expected the pictures of .*raw\.dvc; run dvc pull"):
        prepare.check_params()


def test_dvc_lock_forgets_the_stages_of_removed_sections(workdir):
    names = ["download@MNIST", "preprocess", "kfold_train@cnn", "finetune@resnet18", "compare"]
    stages = {name: {"cmd": "python", "outs": [{"path": name, "md5": "1"}]} for name in names}
    lock, text = Path("dvc.lock"), yaml.safe_dump({"schema": "2.0", "stages": stages})
    lock.write_text(text, encoding="utf-8")
    prepare.forget_removed_stages()
    assert lock.read_text(encoding="utf-8") == text
    apply_overrides(Path("params.yaml"), ["~kfold_train.cnn"])
    prepare.forget_removed_stages()
    del stages["kfold_train@cnn"]
    assert yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"] == stages
