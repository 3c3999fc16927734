"""Real data at length: a package of Debian's, damaged pictures, and very many of them."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.download import download
from taller.common.terminal import UserError
from taller.datasets import dataset, pictures

ROOT = Path(__file__).parents[2]


def test_fashion_mnist_is_to_be_had(tmp_path):
    try:
        download("FashionMNIST", tmp_path, tmp_path / "cache")
    except UserError as error:
        pytest.skip(f"NOT TESTED: {error}")
    training, test = dataset.read_idx("FashionMNIST", tmp_path / "FashionMNIST/raw")
    assert training.per_class.tolist() == [6000] * 10 and test.names[9] == "Ankle boot"


def test_damaged_files_never_end_in_another_error(tmp_path):
    file, random = tmp_path / "a", np.random.default_rng(0)
    colours = Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    for form in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "ICO", "JPEG2000", "TGA", "PCX"):
        colours.save(complete := io.BytesIO(), form)
        data = np.frombuffer(complete.getvalue(), np.uint8)
        for _ in range(100):
            damaged = data.copy()
            damaged[random.integers(0, min(len(damaged), 200), 3)] = random.integers(0, 256, 3)
            file.write_bytes(damaged.tobytes())
            try:
                assert pictures.pixels(file, 8, 3).shape == (3, 8, 8)
            except UserError as error:
                assert "\n" not in str(error) and ": expected " in str(error)


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


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "progressive"])
def photographs(request, tmp_path_factory) -> Path:
    """600 files of 12 megapixels, or 60 that must be decoded in full, different at their ends."""
    raw, file = tmp_path_factory.mktemp("photographs"), io.BytesIO()
    small = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    large = Image.fromarray(small).resize((4000, 3000))
    large.save(file, "JPEG", quality=80, progressive=request.param)
    for place in range(60 if request.param else 600):
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
    # As levels they are 223 MB, decoded in full 21 GB; one in full is 36 MB.
    assert grown < 150
