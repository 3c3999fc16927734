"""params.yaml: read as DVC reads it, held against schemas; what is wrong is one line."""

import re
from pathlib import Path
from typing import Literal

import pytest
import yaml
from dvc.utils.serialize import load_yaml
from pydantic import Field

from taller.common import params
from taller.common.params import Section
from taller.common.terminal import UserError


class Params(Section):
    folds: int = Field(ge=2, le=50)
    channels: Literal["auto", 1, 3]
    rate: float = Field(gt=0)
    network: params.NetworkName = "some"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write params.yaml into the current folder: text, or a section called preprocess."""
    monkeypatch.chdir(tmp_path)

    def into(text: str = "", **section) -> None:
        text = text or yaml.safe_dump({"preprocess": section})
        Path("params.yaml").write_text(text, encoding="utf-8")

    return into


def line(key: str, schema) -> str:
    with pytest.raises(UserError) as caught:
        params.read(key, schema)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_numbers_are_those_that_dvc_reads(write):
    write("a: 1e-3\nb: 2E+1\nc: .5e+1\nd: 42\ne: 0.1\nf:\ng: MNIST\nh: -3\ni: true\nj: '1e-3'\n")
    assert params.load() == load_yaml("params.yaml")
    assert params.load()["a"] == 0.001 and params.load()["j"] == "1e-3"


def test_a_key_that_stands_twice_is_refused(write):
    write("a: {b: 1}\nc:\n  d: 2\n  e: 3\n  d: 4\n")
    assert re.fullmatch(r"params\.yaml: expected YAML, found: .*d twice.*line 5.*", line("c", int))


GOOD = {"folds": 5, "channels": "auto", "rate": 0.1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"folds": 1}, "folds: expected greater than or equal to 2, found 1"),
        ({"folds": True}, "folds: expected a valid integer, found True"),
        ({"channels": 2}, "channels: expected 'auto', 1 or 3, found 2"),
        # A misspelt key comes before the one that it leaves missing.
        ({"fold": 3}, "fold: unknown key, expected one of folds, channels, rate, network"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(write, changes, expected):
    write(**GOOD | changes)
    assert line("preprocess", Params) == f"params.yaml: preprocess.{expected}"
    write(**{key: value for key, value in GOOD.items() if key != "folds"})
    assert line("preprocess", Params).endswith("folds: expected a value, found nothing")
    assert line("compare", Params) == "params.yaml: compare: expected a value, found nothing"


def test_a_network_is_a_file(write, monkeypatch, tmp_path):
    monkeypatch.setattr(params, "NETWORKS", tmp_path / "networks")
    params.NETWORKS.mkdir()
    (params.NETWORKS / "cnn.py").touch()
    write(**GOOD, network="cnn")
    assert params.read("preprocess", Params).network == "cnn"
    write(**GOOD, network="../cnn")
    assert line("preprocess", Params).endswith(
        "network: expected a file of taller/networks (cnn), found '../cnn'"
    )


@pytest.mark.parametrize("name", ["train", "../x", "", "x" * 51])
def test_a_name_of_a_data_set_stays_in_its_folder(write, name):
    write(yaml.safe_dump({"dataset": name}))
    assert line("dataset", params.DatasetName).startswith("params.yaml: dataset: expected ")


@pytest.mark.parametrize("text", ["a: [", "- 1", None])
def test_a_broken_file_or_none_is_one_line(write, text):
    if text:
        write(text)
    assert line("a", int).startswith("params.yaml: expected ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kfold_train: {a: {}}\nfinetune: {a: {}}", "finetune.a: expected a name that"),
        ("kfold_train: {A: {}}\nfinetune: {}", "kfold_train.A.*: expected"),
        ("kfold_train:\nfinetune: {}", "kfold_train: expected"),
    ],
)
def test_names_that_would_not_do_are_refused(write, text, expected):
    write(text)
    with pytest.raises(UserError, match=expected):
        params.contestants()
