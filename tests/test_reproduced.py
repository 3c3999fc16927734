"""What is told of a run of the whole pipeline: equal bytes, or where they begin to differ."""

import copy
from pathlib import Path

import pytest
import yaml

from taller.program import portable
from taller.program.errors import Problem
from tools import code_deps, reproduced

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "dvc.lock").read_text(encoding="utf-8")
ORDER = list(code_deps.stages(ROOT))


def changed(*places: tuple[str, str]) -> str:
    """The committed dvc.lock, with the hash of outputs of stages replaced, and what follows."""
    lock = yaml.safe_load(LOCK)
    for stage, path in places:
        (out,) = (out for out in lock["stages"][stage]["outs"] if out["path"] == path)
        out["md5"] = "0" * 32
        for other in lock["stages"].values():
            for dep in other.get("deps", []):
                if dep["path"] == path:
                    dep["md5"] = "0" * 32
    return yaml.safe_dump(lock)


@pytest.fixture
def root(tmp_path):
    """A folder whose table has one machine for the committed dvc.lock, and one for another."""
    rows = f"| A chip | Linux | `{reproduced.digest(LOCK)}` |\n| Old | Linux | `0123` |\n"
    head = (ROOT / "REPRODUCED.md").read_text(encoding="utf-8").partition("| AMD")[0]
    (tmp_path / "REPRODUCED.md").write_text(head + rows, encoding="utf-8")
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    return tmp_path


def test_the_first_stage_that_differs_is_named_with_its_output():
    assert reproduced.first_difference(LOCK, LOCK, ORDER) is None
    found = changed(
        ("evaluate", "resultados/cnn/test_metrics.json"), ("pretrain", "resultados/pretrain.json")
    )
    assert reproduced.first_difference(LOCK, found, ORDER) == "pretrain (resultados/pretrain.json)"
    found = changed(("kfold_train@cnn", "modelos/cnn.pth"))
    assert reproduced.first_difference(LOCK, found, ORDER) == "kfold_train@cnn (modelos/cnn.pth)"


def test_a_stage_that_is_missing_or_has_other_inputs_is_named():
    lock = yaml.safe_load(LOCK)
    del lock["stages"]["compare"]
    assert reproduced.first_difference(LOCK, yaml.safe_dump(lock), ORDER).startswith("compare (")
    lock = yaml.safe_load(LOCK)
    lock["stages"]["finetune"]["deps"][0]["md5"] = "0"
    found = reproduced.first_difference(LOCK, yaml.safe_dump(lock), ORDER)
    assert found == "finetune (what it depends on)"


def test_equal_bytes_give_the_line_to_add_until_it_is_there(root):
    told = reproduced.compare_bytes(LOCK, LOCK, root)
    line = told.splitlines()[-1]
    assert portable.processor() in line and reproduced.digest(LOCK) in line
    table = root / "REPRODUCED.md"
    table.write_text(f"{table.read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
    assert reproduced.compare_bytes(LOCK, LOCK, root).endswith("which REPRODUCED.md has")
    assert reproduced.reproducers(LOCK, table) == ["A chip", portable.processor()]


def test_other_bytes_name_the_stage_and_both_processors(root):
    with pytest.raises(Problem) as caught:
        reproduced.compare_bytes(changed(("kfold_train@cnn", "modelos/cnn.pth")), LOCK, root)
    told = str(caught.value)
    assert all(part in told for part in ("A chip", portable.processor(), "kfold_train@cnn"))
    assert "Old" not in told


def test_metrics_may_differ_a_little():
    expected = reproduced.committed().metrics
    found = copy.deepcopy(expected)
    found["cnn"]["test"]["accuracy"] += 0.0019
    found["comparison"]["p_value"] = 1.0
    assert "0.0019 away" in reproduced.compare_metrics(found, expected)
    for wrong in (expected["cnn"]["test"]["accuracy"] - 0.0021, float("nan")):
        found["cnn"]["test"]["accuracy"] = wrong
        with pytest.raises(Problem, match=r"cnn\.test\.accuracy: expected"):
            reproduced.compare_metrics(found, expected)
