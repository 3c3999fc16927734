"""Files that vanish by themselves, and what workers are handed and leave."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from taller.program.unnamed import unnamed
from taller.training import workers

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(params=["in memory", "on disk", "in memory, named", "on disk, named"])
def place(request, tmp_path, monkeypatch) -> Path | None:
    """Where the file is to be, also on a system where every file has a name."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    if "named" in request.param:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif not hasattr(os, "memfd_create"):
        pytest.skip("this system knows no files without a name")
    return tmp_path if "disk" in request.param else None


def append(path: str, line: bytes) -> None:
    with open(path, "ab") as file:
        file.write(line)


def test_another_process_can_open_it_and_nothing_stays(place, tmp_path):
    with unnamed(place) as path:
        append(path, b"one")
        other = SPAWN.Process(target=append, args=(path, b", two"))
        other.start()
        other.join()
        assert Path(path).read_bytes() == b"one, two"
    assert not os.path.exists(path) and not list(tmp_path.iterdir())


def test_it_ends_with_an_error_too(place, tmp_path):
    with pytest.raises(ZeroDivisionError), unnamed(place) as path:
        raise ZeroDivisionError
    assert not os.path.exists(path) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(3, 4), (5,), (0, 2)])
def test_a_shared_array_is_the_same_array(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with workers.shared(array) as found:
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert np.array_equal(found, array)
        with workers.shared(found) as again:
            assert again is found
    assert np.array_equal(found, array)  # as long as somebody has it


def test_what_processes_that_are_gone_left_is_swept_and_nothing_else(tmp_path, monkeypatch):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1).stdout
    gone = int(gone)
    left = [f"sem.loky-{gone}-abc", f"joblib_memmapping_folder_{gone}_a_b"]
    others = [
        f"sem.loky-{os.getpid()}-abc", f"joblib_memmapping_folder_{os.getpid()}_a", "sem.mp-abc",
        f"sem.{gone}", f"sem.loky-{gone}", f"torch_{gone}_1",
    ]  # fmt: skip
    for name in (*left, *others):
        if "folder" in name:
            (tmp_path / name / "inside").mkdir(parents=True)
        else:
            (tmp_path / name).touch()
    monkeypatch.setattr(workers, "SHARED", tmp_path)
    workers.sweep()
    assert {path.name for path in tmp_path.iterdir()} == set(others)
