"""What happens where DVCLive cannot work; tests/slow/test_live.py has it as DVC shows it."""

import subprocess
import sys
from pathlib import Path

import pytest

from taller.common.terminal import UserError
from taller.training import checkpoint


def test_a_repository_without_a_commit_is_one_line(workdir):
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, check=True)
    rows = [{"epoch": 1, "train_loss": 0.5}]
    checkpoint.log_live("cnn/fold 1", rows)  # no folder, nothing to do
    Path("dvclive/plots").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^\.git: expected a commit, found: .*; run git add "):
        checkpoint.log_live("cnn/fold 1", rows)
