"""Very many large pictures, and hardly any memory."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


# Prints by how many megabytes memory grew at most, without the pages of files, which the system
# takes back at any time.
READ = """
import re, sys, threading, time
from pathlib import Path
import stages.preprocess
from taller.datasets import dataset, folder

def memory():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]) // 1024

def watch():
    while True:
        highest[0] = max(highest[0], memory())
        time.sleep(0.02)

dataset.LIMIT, before, highest = 32 * 2**20, memory(), [0]
threading.Thread(target=watch, daemon=True).start()
chosen = stages.preprocess.Params(
    folds=2, repeats=1, subset=None, groups="auto", image_size=352, fit="crop", channels="auto",
    test_share=0.2, conflicts="stop",
)
training, test, facts = folder.read(Path(sys.argv[1]), chosen, seed=0)
print(len(training), len(test), *facts["largest"], highest[0] - before)
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """60 files of 12 megapixels that must be decoded in full, different at their ends."""
    raw, file = tmp_path_factory.mktemp("photographs"), io.BytesIO()
    small = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    large = Image.fromarray(small).resize((4000, 3000))
    large.save(file, "JPEG", quality=80, progressive=True)
    for place in range(60):
        path = raw / "abc"[place % 3] / f"{place}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.getvalue() + place.to_bytes(2, "big"))
    return raw


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc: memory is NOT tested")
def test_memory_does_not_grow_with_the_pictures(photographs, tmp_path):
    command = [sys.executable, "-c", READ, photographs]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    out = subprocess.check_output(command, cwd=tmp_path, env=environment, encoding="utf-8")
    training, test, *largest, grown = (int(word) for word in out.split()[-5:])
    assert training + test == len([*photographs.rglob("*.jpg")]) and largest == [4000, 3000]
    # Decoded in full they are 2 GB; one is 36 MB.
    assert grown < 150
