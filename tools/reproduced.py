"""Run the committed pipeline from nothing, and hold what came out against the committed dvc.lock.

In a clone of its own, which is thrown away: what is here stays as it is. Prints the line that
REPRODUCED.md gets for this machine, or names the first stage that differs, and exits with 1.
Where no equal bits are promised (arm64, no AVX2, or other params: --set device=cuda) the metrics
are compared instead, within 0.002.
With --here nothing is run: it compares what is in this folder, right after a `dvc repro`.
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
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import yaml
from dvc.utils.hydra import apply_overrides

from taller.program import portable
from taller.program.errors import Problem
from tools import code_deps

ROOT = Path(__file__).parents[1]
TABLE = "REPRODUCED.md"
RAW, COPIES = "data/MNIST/raw", "data/MNIST/files"
WITHIN = 0.002  # of an accuracy


@dataclass(frozen=True)
class Outcome:
    """What a run left: the text of dvc.lock, and what metrics.json says."""

    lock: str
    metrics: dict


def committed(root: Path = ROOT) -> Outcome:
    """What Git has of it.

    Raises
    ------
    Problem
        Outside of Git, or where none is committed.
    """
    texts = []
    for name in ("dvc.lock", "resultados/metrics.json"):
        command = ["git", "show", f"HEAD:{name}"]
        run = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8")
        if run.returncode:
            raise Problem(f"{name}: expected a committed one, found: {run.stderr.strip()}")
        texts.append(run.stdout)
    return Outcome(texts[0], json.loads(texts[1]))


def left(root: Path) -> Outcome:
    """What a run left in a folder."""
    metrics = (root / "resultados/metrics.json").read_text(encoding="utf-8")
    return Outcome((root / "dvc.lock").read_text(encoding="utf-8"), json.loads(metrics))


def run_anew(overrides: list[str], root: Path = ROOT) -> Outcome:
    """Run all of what is committed, with some params changed, in a clone without a cache."""
    with tempfile.TemporaryDirectory(prefix="taller-") as place:
        clone = Path(place) / "clone"
        subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
        if (root / COPIES).is_dir():  # as a user would put them in place; they are checked
            shutil.copytree(root / COPIES, clone / RAW, dirs_exist_ok=True)
        if overrides:
            apply_overrides(clone / "params.yaml", overrides)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        run = subprocess.run(
            ["dvc", "repro", "--force", "--no-run-cache"],
            cwd=clone,
            env={**os.environ, "PATH": path},
        )
        if run.returncode:
            raise Problem(
                f"dvc repro: expected it to run through, found exit code {run.returncode}"
            )
        return left(clone)


def first_difference(one: str, other: str, order: list[str]) -> str | None:
    """The first stage, and its first output, in which two texts of dvc.lock differ.

    Parameters
    ----------
    order : list of str
        The stages' names, as they depend on each other.
    """
    first, second = (yaml.safe_load(text)["stages"] for text in (one, other))
    for stage in sorted({*first, *second}, key=lambda name: order.index(name.partition("@")[0])):
        if first.get(stage) == second.get(stage):
            continue
        outs = [
            {out["path"]: out["md5"] for out in stages.get(stage, {}).get("outs", [])}
            for stages in (first, second)
        ]
        differing = sorted(name for name, _ in outs[0].items() ^ outs[1].items())
        return f"{stage} ({differing[0]})" if differing else f"{stage} (what it depends on)"
    return None


def digest(lock: str) -> str:
    """The first 16 hexadecimal digits of a dvc.lock's SHA-256."""
    return hashlib.sha256(lock.encode("utf-8")).hexdigest()[:16]


def line(lock: str) -> str:
    """This machine's line of the table."""
    return (
        f"| {portable.processor()} | {platform.system()}, Python {_python()} | `{digest(lock)}` |"
    )


def reproducers(lock: str, table: Path) -> list[str]:
    """The processors that the table has for a dvc.lock."""
    lines = table.read_text(encoding="utf-8").splitlines()
    rows = [row.split("|") for row in lines if row.startswith("|") and "`" in row]
    return [cells[1].strip() for cells in rows if cells[-2].strip() == f"`{digest(lock)}`"]


def compare_bytes(found: str, expected: str, root: Path = ROOT) -> str:
    """What to tell of the dvc.lock of a run whose bits should be the committed ones.

    Raises
    ------
    Problem
        Where they differ, naming the first stage that does and the processors.
    """
    if found == expected:
        told = f"dvc.lock: the committed bytes, on {portable.processor()}"
        if line(found) in (root / TABLE).read_text(encoding="utf-8"):
            return f"{told}, which {TABLE} has"
        return f"{told}; the line for {TABLE}:\n{line(found)}"
    where = first_difference(expected, found, list(code_deps.stages(root)))
    others = " and ".join(reproducers(expected, root / TABLE)) or "an unknown processor"
    raise Problem(
        f"dvc.lock: expected the committed one ({digest(expected)}, from {others}), found "
        f"{digest(found)} on {portable.processor()}: it begins to differ at {where}"
    )


def compare_metrics(found: dict, expected: dict) -> str:
    """What to tell of the accuracies of a run whose bits may differ from the committed ones.

    Raises
    ------
    Problem
        Naming the first one that differs by more than `WITHIN`.
    """
    one, other = (pd.json_normalize(metrics).iloc[0] for metrics in (found, expected))
    names = [name for name in other.index if name.endswith(("accuracy.mean", "test.accuracy"))]
    for name in names:
        if not abs(one[name] - other[name]) <= WITHIN:
            raise Problem(
                f"{name}: expected {other[name]}, at most {WITHIN} away, found {one[name]} on "
                f"{portable.processor()}"
            )
    furthest = max(abs(one[name] - other[name]) for name in names)
    return (
        f"metrics.json: the committed accuracies, at most {furthest:.4f} away, on "
        f"{portable.processor()}; equal bits are promised for the committed params on x86-64 "
        "with AVX2 alone"
    )


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.reproduced", description=__doc__)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--here", action="store_true", help="run nothing, compare what is here")
    how.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="params to change")
    asked = parser.parse_args()
    try:
        expected = committed()
        found = left(ROOT) if asked.here else run_anew(asked.set)
        if portable.is_x86() and portable.has_avx2() and not asked.set:
            print(compare_bytes(found.lock, expected.lock))
        else:
            print(compare_metrics(found.metrics, expected.metrics))
        if torch.cuda.is_available() and not (asked.here or asked.set):
            found = run_anew(["device=cuda"])
            print(f"device=cuda: {compare_metrics(found.metrics, expected.metrics)}")
    except Problem as problem:
        sys.exit(f"reproduced: {problem}")


if __name__ == "__main__":
    main()
