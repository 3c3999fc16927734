"""Run the committed pipeline from nothing, and compare its dvc.lock with the committed one.

In a clone of its own, which is deleted afterwards. Prints the line that REPRODUCED.md gets for this
processor, or names the first stage and output that differ, and exits with 1. Where no equal bits
are promised (arm64, no AVX2, other params) it compares accuracies instead, within 0.002.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from dvc.utils.hydra import apply_overrides

from taller.common import numerics, stage
from taller.common.terminal import UserError

ROOT = Path(__file__).parents[1]
LOCK, METRICS = "dvc.lock", "resultados/metrics.json"
TOLERANCE = 0.002  # of an accuracy, where bits may differ


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.reproduced", description=__doc__)
    parser.add_argument("--here", action="store_true", help="compare what is here, run nothing")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="other params")
    asked = parser.parse_args()
    with stage.one_line("reproduced"):
        expected = read_committed(LOCK), read_committed(METRICS)
        actual = read(ROOT) if asked.here else run_from_nothing(asked.set)
        if numerics.is_x86() and numerics.has_avx2() and not asked.set:
            print(
                compare_locks(actual[0], expected[0], (ROOT / "REPRODUCED.md").read_text("utf-8"))
            )
        else:
            print(compare_metrics(*map(json.loads, (actual[1], expected[1]))))


def read_committed(name: str) -> str:
    """The text of a file in git's HEAD; a `UserError` where it has none."""
    command = ["git", "show", f"HEAD:{name}"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    if shown.returncode:
        raise UserError(f"{name}: expected a committed one, found: {shown.stderr.strip()}")
    return shown.stdout


def read(folder: Path) -> tuple[str, str]:
    """The texts of dvc.lock and metrics.json in a folder."""
    return (folder / LOCK).read_text("utf-8"), (folder / METRICS).read_text("utf-8")


def run_from_nothing(overrides: list[str]) -> tuple[str, str]:
    """What `dvc repro` writes in a clone without a cache, with some params changed."""
    with tempfile.TemporaryDirectory(prefix="taller-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        for raw in ROOT.glob("data/*/raw"):  # as a user puts files in place; they are checked
            shutil.copytree(raw, clone / raw.relative_to(ROOT))
        (clone / LOCK).unlink()
        if overrides:
            apply_overrides(clone / "params.yaml", overrides)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = ["dvc", "repro", "--no-run-cache"]  # which several projects may share
        run = subprocess.run(command, cwd=clone, env={**os.environ, "PATH": path})
        if run.returncode:
            raise UserError("dvc repro: expected it to end well, found an error, above")
        return read(clone)


def compare_locks(actual: str, expected: str, table: str) -> str:
    """What to say of two equal texts of dvc.lock; a `UserError` names where they differ."""
    processor, digest = numerics.processor(), hashlib.sha256(actual.encode()).hexdigest()[:16]
    if where := first_difference(actual, expected):
        raise UserError(
            f"dvc.lock: expected the committed one, found another on {processor}: it begins to "
            f"differ at {where}"
        )
    python = ".".join(platform.python_version_tuple()[:2])
    line = f"| {processor} | {platform.system()}, Python {python} | `{digest}` |"
    known = ", which REPRODUCED.md has" if line in table else f"; for REPRODUCED.md:\n{line}"
    return f"dvc.lock: the committed one, on {processor}{known}"


def first_difference(actual: str, expected: str) -> str | None:
    """The first stage, in the order in which they ran, and its first output that differ."""
    ours, theirs = (yaml.safe_load(text)["stages"] for text in (actual, expected))
    for name in [*theirs, *(name for name in ours if name not in theirs)]:
        if ours.get(name) != theirs.get(name):
            outs = [
                {out["path"]: out["md5"] for out in stages.get(name, {}).get("outs", [])}
                for stages in (ours, theirs)
            ]
            paths = sorted(path for path, _ in outs[0].items() ^ outs[1].items())
            return f"{name} ({paths[0] if paths else 'what it depends on'})"
    return None


def compare_metrics(actual: dict, expected: dict) -> str:
    """What to say of accuracies that are close; a `UserError` names one that is not."""
    furthest = 0.0
    for name, metric in ((name, metric) for name in expected for metric in ("cv", "test")):
        if metric in expected[name]:  # others are of a pair of models
            mine, right = actual[name][metric], expected[name][metric]
            if not abs(mine - right) <= TOLERANCE:
                where = f"{name}.{metric} on {numerics.processor()}"
                raise UserError(f"{where}: expected {right} ± {TOLERANCE}, found {mine}")
            furthest = max(furthest, abs(mine - right))
    return f"metrics.json: the committed accuracies, at most {furthest:.4f} away"


if __name__ == "__main__":
    main()
