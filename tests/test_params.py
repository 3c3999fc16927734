"""Bad values stop a stage with one line: the key, what was expected, what was found."""

import copy
import operator
import subprocess
import sys
from functools import reduce
from pathlib import Path

import pytest
import yaml

from stages import kfold_train
from stages.compare import Params as Compare
from stages.download import Params as Download
from stages.finetune import Params as Finetune
from stages.preprocess import Params as Preprocess
from stages.pretrain import Params as Pretrain
from taller.program import params
from taller.program.errors import Problem
from tools import check_params

ROOT = Path(__file__).parents[1]
GOOD = params.load(ROOT / "params.yaml")
SCHEMAS = {
    "download": Download,
    "preprocess": Preprocess,
    "kfold_train.simple_nn": kfold_train.section("simple_nn"),
    "kfold_train.cnn": kfold_train.section("cnn"),
    "pretrain": Pretrain,
    "finetune": Finetune,
    "compare": Compare,
    "seed": params.Seed,
    "threads": params.Threads,
    "device": params.Device,
}
BAD = [
    ("seed", -1, "greater than or equal to 0"),
    ("seed", 1.5, "valid integer"),
    ("seed", True, "valid integer"),
    ("seed", "42", "valid integer"),
    ("threads", 2.0, "valid integer"),
    ("threads", 0, "greater than or equal to 1"),
    ("device", "gpu", "'auto', 'cpu' or 'cuda'"),
    ("download.mirrors", "one", "MirrorsOf"),
    ("download.timeout", 0, "greater than or equal to 1"),
    ("preprocess.folds", 1, "greater than or equal to 2"),
    ("preprocess.folds", True, "valid integer"),
    ("preprocess.subset", 99, "greater than or equal to 100"),
    ("preprocess.repeats", 0, "greater than or equal to 1"),
    ("preprocess.repeats", 21, "less than or equal to 20"),
    ("preprocess.groups", True, "'auto' or 'none'"),
    ("kfold_train.simple_nn.hidden", [], "at least 1 item"),
    ("kfold_train.simple_nn.hidden", [0], "greater than or equal to 1"),
    ("kfold_train.simple_nn.hidden", [1] * 9, "at most 8 items"),
    ("kfold_train.simple_nn.dropout", 1, "less than 1"),
    ("kfold_train.cnn.channels", [], "at least 1 item"),
    ("kfold_train.cnn.channels", [0], "greater than or equal to 1"),
    ("kfold_train.cnn.channels", [1] * 5, "at most 4 items"),
    ("kfold_train.cnn.units", 0, "greater than or equal to 1"),
    ("kfold_train.cnn.dropout", 1, "less than 1"),
    ("kfold_train.cnn.learning_rate", "fast", "valid number"),
    ("kfold_train.cnn.learning_rate", 0, "greater than 0"),
    ("kfold_train.simple_nn.weight_decay", -0.1, "greater than or equal to 0"),
    ("kfold_train.simple_nn.schedule", "cosine", "'constant' or 'one_cycle'"),
    ("kfold_train.cnn.batch_size", 1, "greater than or equal to 2"),
    ("kfold_train.cnn.epochs", 0, "greater than or equal to 1"),
    ("kfold_train.cnn.epochs", None, "valid integer"),
    ("pretrain.source", "mnist", "'auto', 'imagenet', 'glyphs' or 'none'"),
    ("pretrain.images", 7999, "greater than or equal to 8000"),
    ("finetune.trainable", ["fcc"], "all, or a list with fc and any of conv1, bn1, layer1"),
    ("finetune.trainable", [], "all, or a list with fc and any of conv1, bn1, layer1"),
    ("finetune.trainable", ["layer4"], "all, or a list with fc and any of conv1"),
    ("finetune.stem", "rgb", "'sum_rgb' or 'random'"),
    ("finetune.image_size", 15, "auto, or an integer from 16 to 512"),
    ("finetune.image_size", "big", "auto, or an integer from 16 to 512"),
    ("finetune.image_size", 28.0, "auto, or an integer from 16 to 512"),
    ("pretrain.network", "resnet50", "'resnet18' or 'efficientnet_lite0'"),
    ("finetune.body_lr_factor", 0, "greater than 0"),
    ("compare.rope", -0.001, "greater than or equal to 0"),
    ("compare.rope", 1, "less than 1"),
]


def at(values: dict, key: str) -> object:
    """What stands at a dotted place."""
    return reduce(operator.getitem, key.split("."), values)


def write(folder: Path, changes: dict[str, object], without: tuple[str, ...] = ()) -> Path:
    """params.yaml with some values changed, and some gone."""
    changed = copy.deepcopy(GOOD)
    for key in (*changes, *without):
        section, _, name = key.rpartition(".")
        inner = at(changed, section) if section else changed
        if key in without:
            del inner[name]
        else:
            inner[name] = changes[key]
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    return path


SECTIONS = [key for key in SCHEMAS if isinstance(at(GOOD, key), dict)]


@pytest.mark.parametrize(("key", "value", "expected"), BAD)
def test_a_bad_value_is_named(tmp_path, key, value, expected):
    path = write(tmp_path, {key: value})
    section = key if key in SCHEMAS else key.rpartition(".")[0]
    with pytest.raises(Problem) as caught:
        params.read(section, SCHEMAS[section], path)
    message = str(caught.value)
    assert "\n" not in message
    assert key in message
    assert expected in message
    assert repr(value if value != [0] else 0) in message


@pytest.mark.parametrize("section", SECTIONS)
def test_an_unknown_key_is_refused_and_the_known_are_listed(tmp_path, section):
    path = write(tmp_path, {f"{section}.typo": 1})
    with pytest.raises(Problem, match=rf"{section}.typo: unknown key, expected one of \w+"):
        params.read(section, SCHEMAS[section], path)


def test_a_misspelt_key_is_named_rather_than_the_one_it_leaves_missing(tmp_path):
    section = "kfold_train.simple_nn"
    path = write(tmp_path, {f"{section}.epoch": 3}, without=(f"{section}.epochs",))
    with pytest.raises(Problem, match=rf"{section}\.epoch: unknown key, .* \(and 1 more\)"):
        params.read(section, SCHEMAS[section], path)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_missing_key_is_named(tmp_path, section):
    first = next(iter(at(GOOD, section)))
    path = write(tmp_path, {}, without=(f"{section}.{first}",))
    with pytest.raises(Problem, match=rf"{section}.{first}: expected a value, found nothing"):
        params.read(section, SCHEMAS[section], path)


def test_numbers_are_read_as_dvc_reads_them(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("kfold_train: {a: 1e-3, b: 2E+1, c: .5e+1, d: e5x}\n")
    assert params.load(path)["kfold_train"] == {"a": 1e-3, "b": 20.0, "c": 5.0, "d": "e5x"}


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"seed: \xff"])
def test_a_broken_file_is_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(Problem) as caught:
        params.load(path)
    assert "\n" not in str(caught.value)


def test_a_stage_stops_before_it_works_with_one_line(tmp_path):
    write(tmp_path, {"preprocess.folds": 1})
    run = subprocess.run(
        [sys.executable, "-m", "stages.preprocess"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        "preprocess: params.yaml: preprocess.folds: expected greater than or equal to 2, found 1"
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("finetune.trainable", ["fcc"]), ("kfold_trian", {}), ("seed", -1), ("compare.rope", 2),
        ("kfold_train.typo", {"epochs": 3}), ("kfold_train.epochs", 3),
        ("kfold_train.cnn.hidden", [3]), ("kfold_train.cnn", None), ("preprocess.repeats", 0),
    ],
)  # fmt: skip
def test_all_stages_are_checked_before_the_first(tmp_path, monkeypatch, key, value):
    write(tmp_path, {key: value})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        check_params.main()
    message = caught.value.code
    assert message.startswith("check_params: params.yaml: ") and "\n" not in message
    assert key in message


def test_a_network_that_no_stage_trains_is_refused_and_the_known_are_listed(tmp_path, monkeypatch):
    write(tmp_path, {"kfold_train.typo": {}})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match=r"kfold_train\.typo: expected one of simple_nn, cnn$"):
        check_params.check_params()


@pytest.mark.parametrize("key", ["kfold_train", "kfold_train.cnn", "compare"])
def test_a_section_that_is_not_there_is_named(tmp_path, monkeypatch, key):
    write(tmp_path, {}, without=(key,))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match=rf"params\.yaml: {key}\S*: expected a value, found nothing"):
        check_params.check_params()


def test_good_params_pass_as_a_program():
    run = subprocess.run(
        [sys.executable, "-m", "tools.check_params"],
        cwd=ROOT, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
