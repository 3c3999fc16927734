"""Bad values stop a stage with one line: the key, what was expected, what was found."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.download import Params as Download
from stages.finetune import Params as Finetune
from stages.kfold_train import Params as KfoldTrain
from stages.preprocess import Params as Preprocess
from stages.pretrain import Params as Pretrain
from taller.program import params
from taller.program.errors import Problem

ROOT = Path(__file__).parents[1]
GOOD = yaml.load((ROOT / "params.yaml").read_text(), params._Yaml12Loader)
SCHEMAS = {
    "download": Download,
    "preprocess": Preprocess,
    "kfold_train": KfoldTrain,
    "pretrain": Pretrain,
    "finetune": Finetune,
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
    ("download.mnist_mirrors", "one", "valid list"),
    ("download.timeout", 0, "greater than or equal to 1"),
    ("preprocess.folds", 1, "greater than or equal to 2"),
    ("preprocess.folds", True, "valid integer"),
    ("preprocess.subset", 99, "greater than or equal to 100"),
    ("preprocess.subset", 60001, "less than or equal to 60000"),
    ("kfold_train.hidden", [], "at least 1 item"),
    ("kfold_train.hidden", [0], "greater than or equal to 1"),
    ("kfold_train.dropout", 1, "less than 1"),
    ("kfold_train.learning_rate", "fast", "valid number"),
    ("kfold_train.learning_rate", 0, "greater than 0"),
    ("kfold_train.weight_decay", -0.1, "greater than or equal to 0"),
    ("kfold_train.schedule", "cosine", "'constant' or 'one_cycle'"),
    ("kfold_train.batch_size", 1, "greater than or equal to 2"),
    ("kfold_train.epochs", 0, "greater than or equal to 1"),
    ("kfold_train.epochs", None, "valid integer"),
    ("pretrain.source", "mnist", "'auto', 'imagenet', 'glyphs' or 'none'"),
    ("pretrain.images", 10, "greater than or equal to 1000"),
    ("finetune.trainable", ["fcc"], "all, or a list of conv1, bn1, layer1"),
    ("finetune.trainable", [], "all, or a list of conv1, bn1, layer1"),
    ("finetune.stem", "rgb", "'sum_rgb' or 'random'"),
    ("finetune.image_size", 30, "28, 32, 64 or 224"),
    ("finetune.body_lr_factor", 0, "greater than 0"),
]


def write(folder: Path, key: str, value: object) -> Path:
    """params.yaml with one value changed."""
    changed = {name: dict(part) if isinstance(part, dict) else part for name, part in GOOD.items()}
    *section, name = key.split(".")
    (changed[section[0]] if section else changed)[name] = value
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(changed))
    return path


@pytest.mark.parametrize(("key", "value", "expected"), BAD)
def test_a_bad_value_is_named(tmp_path, key, value, expected):
    path = write(tmp_path, key, value)
    section = key.split(".")[0]
    with pytest.raises(Problem) as caught:
        params.read(section, SCHEMAS[section], path)
    message = str(caught.value)
    assert "\n" not in message
    assert key in message
    assert expected in message
    assert repr(value if value != [0] else 0) in message


@pytest.mark.parametrize("section", [name for name in GOOD if isinstance(GOOD[name], dict)])
def test_an_unknown_key_is_refused_and_the_known_are_listed(tmp_path, section):
    path = write(tmp_path, f"{section}.typo", 1)
    with pytest.raises(Problem, match=rf"{section}.typo: unknown key, expected one of \w+"):
        params.read(section, SCHEMAS[section], path)


def test_a_misspelt_key_is_named_rather_than_the_one_it_leaves_missing(tmp_path):
    path = write(tmp_path, "kfold_train.epoch", 3)
    path.write_text(path.read_text().replace("  dropout: 0.2\n", "", 1))
    with pytest.raises(Problem, match=r"kfold_train\.epoch: unknown key, .* \(and 1 more\)"):
        params.read("kfold_train", KfoldTrain, path)


@pytest.mark.parametrize("section", [name for name in GOOD if isinstance(GOOD[name], dict)])
def test_a_missing_key_is_named(tmp_path, section):
    first = next(iter(GOOD[section]))
    path = tmp_path / "params.yaml"
    path.write_text(
        yaml.safe_dump({section: {k: v for k, v in GOOD[section].items() if k != first}})
    )
    with pytest.raises(Problem, match=rf"{section}.{first}: expected a value, found nothing"):
        params.read(section, SCHEMAS[section], path)


def test_numbers_are_read_as_dvc_reads_them(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("kfold_train: {a: 1e-3, b: 2E+1, c: .5e1, d: 1e5x}\n")
    assert params.load(path)["kfold_train"] == {"a": 1e-3, "b": 20.0, "c": 5.0, "d": "1e5x"}


@pytest.mark.parametrize("content", [b"a: [", b"- 1", b"seed: \xff"])
def test_a_broken_file_is_one_line(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(Problem) as caught:
        params.load(path)
    assert "\n" not in str(caught.value)


def test_a_stage_stops_before_it_works_with_one_line(tmp_path):
    write(tmp_path, "preprocess.folds", 1)
    run = subprocess.run(
        [sys.executable, "-m", "stages.preprocess"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        "preprocess: params.yaml: preprocess.folds: expected greater than or equal to 2, found 1"
    ]


@pytest.mark.parametrize(
    ("key", "value"), [("finetune.trainable", ["fcc"]), ("kfold_trian", {}), ("seed", -1)]
)
def test_all_stages_are_checked_before_the_first(tmp_path, key, value):
    write(tmp_path, key, value)
    run = subprocess.run(
        [sys.executable, "-m", "tools.check_params"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 1
    assert len(run.stderr.splitlines()) == 1
    assert key in run.stderr and "expected" in run.stderr
