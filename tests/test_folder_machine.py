"""Many pictures at once: memory, cores, and what remains of a read that is ended by force."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from fixtures import ROOT, interruptible
from PIL import Image

PICTURES = 72

# Prints how it went, and by how many megabytes its peak grew over what its imports take. It is not
# what getrusage tells: that begins with the peak of whoever started the process.
READ = """
import re, sys
from pathlib import Path
from taller.data import own

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

if __name__ == "__main__":
    before = peak()
    found = own.read(Path(sys.argv[1]), side=64, channels=None, test_share=0.2, seed=0)
    print(len(found.training), len(found.test), found.facts["largest"], peak() - before)
"""

# The same, that says where it is; and no faster than a signal comes, on whatever machine.
SLOW = """
import itertools, sys, time
from pathlib import Path
from taller.data import own, pictures

if __name__ == "__main__":
    read, count = pictures.read, itertools.count()

    def slow(*arguments):
        if next(count) == 10:
            print("begun", flush=True)
        time.sleep(0.05)
        return read(*arguments)

    pictures.read = slow
    own.read(Path(sys.argv[1]), side=64, channels=None, test_share=0.2, seed=0)
    print("ended")
"""


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Pictures of 12 megapixels, that differ in a few bytes behind their ends."""
    raw = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    small = random.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    whole = raw / "whole.jpg"
    Image.fromarray(small).resize((4000, 3000)).save(whole, quality=80)
    data = whole.read_bytes()
    whole.unlink()
    for place in range(PICTURES):
        folder = raw / f"class{place % 3}"
        folder.mkdir(exist_ok=True)
        (folder / f"{place}.jpg").write_bytes(data + place.to_bytes(2, "big"))
    yield raw
    shutil.rmtree(raw)


def sums(raw) -> dict:
    return {
        file: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in raw.rglob("*")
        if file.is_file()
    }


def start(program: str, raw, workers: int) -> subprocess.Popen:
    environment = os.environ | {"LOKY_MAX_CPU_COUNT": str(workers)}
    return subprocess.Popen(
        [sys.executable, "-c", program, raw], cwd=ROOT, env=environment, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=interruptible,
    )  # fmt: skip


def of_group(group: int) -> list[str]:
    """Processes that run in a session's group, whoever their parent is by now."""
    found = subprocess.run(
        ["ps", "-eo", "pgid=,stat=,pid="], stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    rows = [row.split() for row in found.stdout.splitlines()]
    return [row[2] for row in rows if row[0] == str(group) and not row[1].startswith("Z")]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc: memory is NOT tested")
def test_big_photographs_take_little_memory(photographs):
    run = start(READ, photographs, 4)
    out, err = run.communicate(timeout=120)
    assert not err
    *counts, grown = out.splitlines()[-1].split()
    assert " ".join(counts) == "58 14 [4000, 3000]"
    # Two of them in full, on two cores, would be 96, and all of them 2600.
    assert int(grown) < 60


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_end_by_force_leaves_the_originals_and_no_process(photographs, how):
    before = sums(photographs)
    run = start(SLOW, photographs, 2)
    assert run.stdout.readline() == "begun\n"
    assert of_group(run.pid) == [str(run.pid)]  # it is in the midst of it
    asked = time.monotonic()
    run.send_signal(how)
    out, err = run.communicate(timeout=30)
    assert time.monotonic() - asked < 20  # seconds, on a machine that has other work too
    assert run.returncode == -how and not out  # so it has not gone on to its end
    assert err == "" if how == signal.SIGKILL else err.endswith("KeyboardInterrupt\n")
    assert of_group(run.pid) == []
    assert sums(photographs) == before
