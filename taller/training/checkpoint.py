"""What a fit has reached: saved after each epoch, to go on from there, and shown by DVC.

Checkpoints are outside DVC's outputs, which DVC deletes before it runs a stage, under a key of all
that decides what they hold: after a change of params, data or code nothing of before is used. When
the stage has written its outputs, its checkpoints are removed.

What fits do right now DVC shows and never hashes: DVCLive writes a table for each number of a fit,
with a line for each epoch. The files last while a stage trains: later, beside results of other
params, of another branch or from the run cache, they would be wrong numbers. What has ended is in
the stage's outputs.
"""

import atexit
import functools
import gc
import hashlib
import io
import json
import os
import pickle
import platform
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from taller.common import files, numerics
from taller.common.terminal import UserError

if TYPE_CHECKING:
    from dvclive import Live

FOLDER = Path(".cache/checkpoints")
ROOT = Path(__file__).parents[2]
# The code that decides what a fit gives.
CODE = [
    ROOT / name
    for name in (
        "stages", "taller/common", "taller/datasets", "taller/evaluation", "taller/networks",
        "taller/pretraining", "taller/training",
    )
]  # fmt: skip
# What PyTorch raises for a file that it did not write.
UNREADABLE = (
    pickle.UnpicklingError, EOFError, RuntimeError, LookupError, TypeError, ValueError,
    AttributeError,
)  # fmt: skip
LIVE = Path("dvclive")  # dvc.yaml lists its plots and its metrics
NOW = "metrics/live.json"


def environment() -> dict[str, str]:
    """What decides the bits that this process computes: code, libraries and numerics."""
    pinned = numerics.is_pinned() and numerics.has_avx2()
    return {
        "code": digest(CODE),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "PyTorch": torch.__version__,
        "NumPy": np.__version__,
        "numerics": "portable" if pinned else f"native on {numerics.processor()}",
        "PyTorch's kernels": torch.backends.cpu.get_cpu_capability(),
        **{name: os.environ.get(name, "") for name in (*numerics.PINNED, *numerics.UNSET)},
    }


def digest(paths: Iterable[Path]) -> str:
    """A digest of names and contents of files, and of all files in folders: 32 hex digits."""
    lines = (f"{name} {sha}\n".encode() for path in paths for name, sha in _contents(path))
    return hashlib.sha256(b"".join(lines)).hexdigest()[:32]


def _contents(path: Path) -> Iterator[tuple[str, str]]:
    for one in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if one.is_file() and "__pycache__" not in one.parts:
            yield one.relative_to(path.parent).as_posix(), files.sha256(one)


@dataclass(frozen=True)
class FitCheckpoint:
    """The file of one fit: a checksum, and what `torch.save` makes of the rest."""

    path: Path
    label: str  # whose fit it is, for the line that says that it goes on
    epochs: int  # that it will have
    unit: str = "epoch"  # what they are called in that line

    def load(self) -> dict | None:
        """What was saved after the last finished epoch, or None; it prints which of them."""
        try:
            file = self.path.read_bytes()
            checksum, content = file[:32], file[32:]
            if hashlib.sha256(content).digest() != checksum:
                raise ValueError("another checksum")
            reached = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except (OSError, *UNREADABLE):
            print(f"{self.path}: expected a checkpoint, found another file; ignored", flush=True)
            return None
        done = len(reached["history"])
        print(f"{self.label}: goes on after {self.unit} {done} of {self.epochs}", flush=True)
        return reached

    def save(self, reached: dict) -> None:
        """Save tensors, numbers and words in dicts and lists, in place of what was before.

        Its list ``history`` has an entry for each epoch.
        """
        content = io.BytesIO()
        torch.save(reached, content)
        with files.atomic_write(self.path) as file:
            file.write(hashlib.sha256(content.getbuffer()).digest())
            file.write(content.getbuffer())


@dataclass(frozen=True)
class Checkpoints:
    """Those of one stage, in a folder for any key, under the key of now."""

    folder: Path
    key: str

    def of_fit(self, name: str, label: str, epochs: int, unit: str = "epoch") -> FitCheckpoint:
        """That of one fit, whose `name` no other fit of the stage has."""
        return FitCheckpoint(self.folder / self.key / f"{name}.pt", label, epochs, unit)

    def remove(self) -> None:
        """Remove them all: the stage has written its outputs."""
        shutil.rmtree(self.folder, ignore_errors=True)


def of_stage(stage: str, inputs: Iterable[Path], **settings: object) -> Checkpoints:
    """The checkpoints of a stage, or of its section.

    Parameters
    ----------
    inputs : iterable of Path
        Files and folders that it trains on and from.
    **settings
        What else decides the fits: params, those shared with other stages too.
    """
    text = json.dumps([environment(), settings, digest(inputs)], sort_keys=True, default=str)
    return Checkpoints(FOLDER / stage, hashlib.sha256(text.encode()).hexdigest()[:32])


def log_live(fit: str, rows: list[dict[str, float]]) -> None:
    """Add epochs of a fit, rows of `engine.Fit.history`, to what DVC shows of this folder.

    A folder that is no clone, as that of a cell of the study, has nowhere to show them.
    """
    if not (LIVE / "plots").is_dir():
        return
    logger = _logger(LIVE.absolute())
    for row in rows:
        logger.step = row["epoch"]
        for name, value in row.items():
            if name != "epoch":
                logger.log_metric(f"{fit}/{name}", value)
    files.write_json(LIVE / NOW, {"live": {"fit": fit, **rows[-1]}})


@functools.cache
def _logger(folder: Path) -> "Live":
    from scmrepo.exceptions import SCMError

    from dvclive import Live  # with DVC, a second of this process, while others train

    atexit.register(end_live, folder)
    try:
        return Live(str(folder), dvcyaml=None, save_dvc_exp=False)
    except SCMError as error:
        remedy = "run git add --all && git commit --message start"
        raise UserError(f".git: expected a commit, found: {error}; {remedy}") from None


def end_live(folder: Path) -> None:
    """Remove what `log_live` wrote; a stage does when it ends, however, but for ``kill -9``."""
    shutil.rmtree(folder / "plots/metrics", ignore_errors=True)
    (folder / NOW).unlink(missing_ok=True)
    _logger.cache_clear()
    gc.collect()  # the repository that DVCLive opened complains where Python is already gone
