"""The libraries that DVC follows, held against constraints.txt."""

from pathlib import Path

import pytest
import yaml

from tools import pins

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def followed(stage: str) -> list[str]:
    """The libraries whose pins a stage has among its params."""
    (names,) = [
        one["environment.yaml"] for one in PIPELINE[stage]["params"] if isinstance(one, dict)
    ]
    return names


def copy(folder: Path, **replaced: str) -> Path:
    """What the tool reads and writes, with lines of constraints.txt replaced."""
    for name in ("dvc.yaml", "constraints.txt", "environment.yaml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for name in ("stages", "taller"):
        (folder / name).symlink_to(ROOT / name)
    lines = (folder / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [replaced.get(line.split("==")[0].replace("-", "_"), line) for line in lines]
    (folder / "constraints.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_the_committed_pins_are_up_to_date():
    assert pins.pins(check=True) == []


def test_what_is_installed_is_what_is_pinned():
    assert pins.different() == []


def test_another_version_than_the_pinned_is_told(tmp_path):
    (line,) = pins.different(copy(tmp_path, pandas="pandas==1.0.0", pytest="pytest==1.0.0"))
    assert line.startswith("constraints.txt: pandas: expected ==1.0.0, found ")


@pytest.mark.parametrize("library", ["pytest", "ruff", "dvc", "tqdm"])
def test_what_changes_no_number_is_not_followed(tmp_path, library):
    folder = copy(tmp_path, **{library: f"{library}==99.0"})
    assert "==99.0" in (folder / "constraints.txt").read_text(encoding="utf-8")
    assert pins.pins(folder, check=True) == []


def test_a_new_version_changes_its_line_alone(tmp_path):
    folder = copy(tmp_path, scikit_learn="scikit-learn==99.0")
    assert pins.pins(folder, check=True) != []
    pins.pins(folder)
    assert pins.pins(folder, check=True) == []
    before, after = (
        yaml.safe_load((place / "environment.yaml").read_text(encoding="utf-8"))
        for place in (ROOT, folder)
    )
    assert {name for name in after if after[name] != before[name]} == {"scikit-learn"}
    assert (folder / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert [stage for stage in PIPELINE if "scikit-learn" in followed(stage)] == ["preprocess"]
