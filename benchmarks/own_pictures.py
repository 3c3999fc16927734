"""What pictures of your own cost in time and memory, by how many there are.

Cuts pictures of 224 to 300 pixels out of photographs, and runs the stages on them at 224 pixels,
in a folder of their own, with little to train: one epoch, which reads all images in random order.
Of all the processes of a stage, what is told is the peak of

- the memory that it needs: anonymous memory, and files in memory that its processes share;
- that, and what of mapped files was in memory as well. The system takes this back at any time.

    python -m benchmarks.own_pictures 1000 2000 5000 10000 20000

Only Linux tells this. 20,000 pictures take 10 GB on the disk of the folder for temporary files.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from benchmarks import memory
from tools import example_pictures

ROOT = Path(__file__).parents[1]
PIXELS, CLASSES = 224, 4
PAUSE = 0.05  # seconds between two looks at the memory
STAGES = (
    "preprocess", "kfold_train simple_nn", "kfold_train cnn", "finetune", "evaluate"
)  # fmt: skip
SHORT = {"epochs": 1, "min_steps": 0}
PARAMS = {
    "dataset": "pictures",
    "preprocess": {"image_size": PIXELS, "folds": 2},
    "kfold_train": {
        "simple_nn": {"hidden": [8], **SHORT},
        "cnn": {"channels": [4, 5], "units": 8, **SHORT},
    },
    "pretrain": {"source": "none"},
    "finetune": {"image_size": 32, **SHORT},
}
NO_IMAGENET = {
    "requested": False, "available": False, "network": None, "file": None, "sha256": None,
    "origin": None,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """What one stage took.

    Attributes
    ----------
    pictures : int
    stage : str
    seconds : float
    needed, resident : float
        Peaks over all of its processes, in MB (10^6 bytes): the memory that it needs, and that
        with what of mapped files was in memory.
    """

    pictures: int
    stage: str
    seconds: float
    needed: float
    resident: float


def measure(counts: Sequence[int], stages: Sequence[str] = STAGES) -> Iterator[Row]:
    """Run stages on so many pictures, for each of the counts in ascending order.

    Parameters
    ----------
    stages : sequence of str
        Each needs what those before it in `STAGES` write.
    """
    with tempfile.TemporaryDirectory(prefix="own_pictures-") as place:
        folder, made = Path(place), 0
        prepare(folder)
        for count in sorted(counts):
            make(folder / "data/pictures/files", made, count)
            made = count
            for stage in stages:
                yield Row(count, stage, *watched(folder, stage))


def prepare(folder: Path) -> None:
    """Write the params, and the network that fine-tuning starts from."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump(merged(params, PARAMS)), encoding="utf-8")
    (folder / "data/pretrained").mkdir(parents=True)
    told = folder / "data/pretrained/pretrained.json"
    told.write_text(json.dumps({"imagenet": NO_IMAGENET}), encoding="utf-8")
    watched(folder, "pretrain")


def merged(params: dict, changes: dict) -> dict:
    """The params with some of them changed, at any depth."""
    found = {
        key: merged(params[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }
    return params | found


def make(folder: Path, start: int, end: int) -> None:
    """Add the pictures `start` to `end` - 1, each another cut; the same ones every time."""
    photographs = example_pictures.backgrounds()
    for number in range(start, end):
        random = np.random.default_rng(number)
        photograph = photographs[number % len(photographs)]
        size = random.integers(PIXELS, 301, 2)
        left, top = random.integers(0, np.array(photograph.size) - size)
        cut = photograph.crop((left, top, left + size[0], top + size[1]))
        path = folder / f"class{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # The comment, so that no two have the same bytes.
        cut.save(path, quality=85, comment=str(number))


def watched(folder: Path, stage: str) -> tuple[float, float, float]:
    """Run a stage there: seconds, MB that it needs at most, and MB with mapped files."""
    start, needed, resident = time.perf_counter(), 0.0, 0.0
    with tempfile.TemporaryFile("w+") as said:
        program = subprocess.Popen(
            [sys.executable, "-m", *f"stages.{stage}".split()], cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=said, stderr=said,
        )  # fmt: skip
        while program.poll() is None:
            now = [used(one.pid) for one in memory.family(program.pid)]
            needed = max(needed, sum(one[0] for one in now))
            resident = max(resident, sum(one[1] for one in now))
            time.sleep(PAUSE)
        seconds = time.perf_counter() - start
        if program.returncode:
            said.seek(0)
            sys.exit(said.read())
    return seconds, needed, resident


def used(process: int) -> tuple[float, float]:
    """MB that a process needs, and MB with mapped files; what several share, in equal parts."""
    try:
        told = memory.told(process, "smaps_rollup")
    except OSError:  # it has ended
        return 0.0, 0.0
    if not told:  # it is ending
        return 0.0, 0.0
    return (told["Pss_Anon"] + told["Pss_Shmem"]) / 1e6, told["Pss"] / 1e6


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]]
    if not counts:
        sys.exit(__doc__)
    print("pictures  stage                  seconds  needed, MB  with mapped files, MB")
    for row in measure(counts):
        print(
            f"{row.pictures:8}  {row.stage:21} {row.seconds:8.1f} {row.needed:11.0f} "
            f"{row.resident:22.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
