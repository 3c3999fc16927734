"""Outputs are written whole or not at all, and nothing stays beside them."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import on_a_small_disk

from taller.program import files

ROOT = Path(__file__).parents[1]
KINDS = {"params": [True, False], "ids": ["unnamed", "named"]}


@pytest.fixture(**KINDS)
def place(tmp_path, monkeypatch, request):
    """A folder on a file system with files without a name, or on one without."""
    if not request.param:
        monkeypatch.delattr(os, "O_TMPFILE")
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system knows no files without a name")
    return tmp_path / "new/folder"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_there_when_the_block_has_ended_and_not_before(place):
    with files.whole(place / "a") as file:
        file.write(b"first")
        assert not place.exists()
    assert (place / "a").read_bytes() == b"first" and names(place) == ["a"]
    with files.whole(place / "a") as file:
        file.write(b"2")
        assert (place / "a").read_bytes() == b"first"
    assert (place / "a").read_bytes() == b"2" and names(place) == ["a"]


def test_after_an_error_all_is_as_before(place):
    files.write_text(place / "a", "before")
    with pytest.raises(ZeroDivisionError), files.whole(place / "a") as file:
        file.write(b"after")
        raise ZeroDivisionError
    assert (place / "a").read_text() == "before" and names(place) == ["a"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_who_may_read_it_is_what_the_umask_says(place, mask):
    before = os.umask(mask)
    try:
        files.write_text(place / "a", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((place / "a").stat().st_mode) == 0o666 & ~mask


def test_a_link_into_a_cache_is_replaced_and_the_cache_stays(place, tmp_path):
    cached = tmp_path / "cached"
    cached.write_text("cached")
    cached.chmod(0o444)
    place.mkdir(parents=True)
    (place / "symbolic").symlink_to(cached)
    (place / "hard").hardlink_to(cached)
    for name in ("symbolic", "hard"):
        files.write_text(place / name, "new")
        assert not (place / name).is_symlink() and (place / name).read_text() == "new"
    assert cached.read_text() == "cached"


def test_a_folder_in_its_place_is_named_and_stays(place):
    (place / "a/inside").mkdir(parents=True)
    with pytest.raises(OSError) as caught:
        files.write_text(place / "a", "text")
    assert caught.value.filename == str(place / "a")
    assert names(place) == ["a"] and names(place / "a") == ["inside"]


def test_what_is_written_is_what_a_plain_file_would_hold(tmp_path):
    table, array = pd.DataFrame({"a": [1.5, 2], "b": ["ñ", "o"]}), np.arange(6.0).reshape(2, 3)
    writers = {
        "a.csv": lambda file: table.to_csv(file, index=False, float_format="%.4f"),
        "a.npy": lambda file: np.save(file, array),
        "a.npz": lambda file: np.savez(file, x=array, y=array[0]),
        "a.txt": lambda file: np.savetxt(file, array, fmt="%d", delimiter=","),
    }
    for name, write in writers.items():
        write(tmp_path / name)
        expected = (tmp_path / name).read_bytes()
        with files.whole(tmp_path / name) as file:
            write(file)
        assert (tmp_path / name).read_bytes() == expected, name


def test_the_bytes_of_a_model_do_not_hang_on_its_name(tmp_path):
    for name in ("a.pth", "other.pth"):
        with files.whole(tmp_path / name) as file:
            torch.save({"weight": torch.arange(5.0)}, file)
    assert (tmp_path / "a.pth").read_bytes() == (tmp_path / "other.pth").read_bytes()


ENDLESS = """
import sys
from pathlib import Path
from taller.program import files
print("at work", flush=True)
while True:
    for letter in "ab":
        files.write_text(Path(sys.argv[1]), letter * 3_000_000)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="no files without a name here")
def test_a_kill_at_any_moment_leaves_a_whole_file_or_none(tmp_path):
    for delay in (0.01, 0.03, 0.07):
        program = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, tmp_path / "a"], cwd=ROOT, stdout=subprocess.PIPE
        )
        program.stdout.readline()
        time.sleep(delay)
        program.send_signal(signal.SIGKILL)
        program.communicate()
        assert names(tmp_path) in ([], ["a"])
        for path in tmp_path.iterdir():
            assert path.read_bytes() in (b"a" * 3_000_000, b"b" * 3_000_000)


FILLING = """
import os, sys
from pathlib import Path
from taller.program import files
from taller.program.errors import Problem
if sys.argv[2] == "False" and hasattr(os, "O_TMPFILE"):
    del os.O_TMPFILE
folder = Path(sys.argv[1])
files.write_text(folder / "a", "before")
try:
    files.write_text(folder / "a", "x" * 3_000_000)
except Problem as problem:
    print(problem)
print(*sorted(path.name for path in folder.iterdir()), (folder / "a").read_text())
"""


@pytest.mark.parametrize("unnamed", KINDS["params"], ids=KINDS["ids"])
def test_a_full_disk_is_one_line_with_what_is_needed_and_free(unnamed):
    run = on_a_small_disk("1m", sys.executable, "-c", FILLING, "DISK", str(unnamed))
    problem, left = run.stdout.splitlines()
    # A page of the disk's 256 is the file that was there before.
    assert problem.endswith("/a: expected 3.000 MB free on the disk, found 1.044 MB")
    assert left == "a before"


def test_another_error_is_no_full_disk(tmp_path):
    with pytest.raises(OSError, match="Input/output") as caught, files.room(tmp_path / "a", 1):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert caught.value.filename == str(tmp_path / "a")
