"""The pipeline as a whole: `dvc repro` with nothing to do, and stages on pictures of your own."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import yaml
from PIL import Image
from sklearn.datasets import load_sample_images

from taller.common.terminal import UserError

ROOT = Path(__file__).parents[1]
PIXELS, CLASSES = 224, 4
STAGES = ("preprocess", "kfold_train cnn")


def nothing_to_do() -> Iterator[dict]:
    """`dvc repro` here, and of as many stages that each write a line from the one before."""
    if dvc(ROOT, "status", "--quiet", check=False):
        raise UserError("dvc status: expected nothing to do, found changes; run dvc repro")
    count = len(yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"])
    stages = {"0": {"cmd": "echo > 0", "outs": ["0"]}}
    for number in range(1, count):
        last, new = str(number - 1), str(number)
        stages[new] = {"cmd": f"cp {last} {new}", "deps": [last], "outs": [new]}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        dvc(folder, "init", "--quiet")
        dvc(folder, "repro", "--quiet")
        for row, where in (("", ROOT), ("of empty stages", folder)):
            start = time.perf_counter()
            dvc(where, "repro", "--quiet")
            yield {"row": row, "seconds": time.perf_counter() - start}


def dvc(folder: Path, *arguments: str, check: bool = True) -> int:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, check=check, stdout=subprocess.DEVNULL).returncode


def pictures(counts: list[int]) -> Iterator[dict]:
    """Read so many pictures at 224 pixels and train on them: seconds and memory, by stage."""
    with tempfile.TemporaryDirectory() as place:
        folder, made = Path(place), 0
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["dataset"] = "pictures"
        params["preprocess"] |= {"image_size": PIXELS, "folds": 2}
        params["kfold_train"]["cnn"] |= {"epochs": 1, "min_steps": 0}  # reads all, at random
        (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        for count in counts:
            add_pictures(folder / "data/pictures/raw", made, count)
            made = count
            for stage in STAGES:
                yield {"row": stage, "x": count, "images": count} | watch(folder, stage)


def add_pictures(folder: Path, start: int, end: int) -> None:
    """Add the pictures `start` to `end` - 1: cuts of photographs, the same ones every time."""
    photographs = [Image.fromarray(one) for one in load_sample_images().images]
    for number in range(start, end):
        random = np.random.default_rng(number)
        photograph = photographs[number % len(photographs)]
        size = random.integers(PIXELS, 301, 2)
        left, top = random.integers(0, np.array(photograph.size) - size)
        cut = photograph.crop((left, top, left + size[0], top + size[1]))
        path = folder / f"class{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cut.save(path, quality=85, comment=str(number))  # so that no two have the same bytes


def watch(folder: Path, stage: str) -> dict[str, float]:
    """Run a stage there: its seconds, and the memory of all its processes."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *f"stages.{stage}".split()], cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    peak = peak_memory(process, pause=0.05)
    if process.returncode:
        raise UserError(f"python -m stages.{stage}: failed on {folder}")
    return {"seconds": time.perf_counter() - start, "memory_mb": peak}


def peak_memory(process: subprocess.Popen, pause: float = 0.5) -> float:
    """Wait for a process, and look every `pause` seconds at its memory, which Linux tells.

    MB (10^6 bytes) at most, of it and all that it starts: anonymous memory, and files in memory
    alone, what several share counted once.
    """
    most = 0.0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            one = psutil.Process(process.pid)
            most = max(most, sum(map(_memory, [one, *one.children(recursive=True)])))
        time.sleep(pause)
    return most


def _memory(process: psutil.Process) -> float:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:  # it has ended, or this is not Linux
        return 0.0
    return sum(map(int, re.findall(r"Pss_(?:Anon|Shmem): +(\d+) kB", text))) * 1024 / 1e6
