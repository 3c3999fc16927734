"""The code that dvc.yaml lists for a stage is what its script imports, of whatever depth."""

from pathlib import Path

import pytest
import yaml

from taller.program.errors import Problem
from tools import code_deps

ROOT = Path(__file__).parents[1]
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def test_declared_code_is_the_import_closure():
    assert code_deps.code_deps(ROOT, check=True) == []


def test_no_module_is_imported_by_a_text_but_the_networks_of_a_matrix():
    code = [*ROOT.glob("stages/*.py"), *ROOT.glob("taller/**/*.py")]
    hidden = ("import_module", "__import__")
    found = [f.name for f in code if any(w in f.read_text(encoding="utf-8") for w in hidden)]
    assert found == ["kfold_train.py"]


def small_project(folder: Path, deps: str, matrix: str = "", more: dict | None = None) -> Path:
    """A pipeline of one stage whose script imports, in a function, a module that imports one."""
    files = {
        "dvc.yaml": f"stages:\n  one:\n{matrix}    cmd: python -m stages.one\n"
        f"    deps:\n{deps}    outs:\n    - b\n",
        "stages/one.py": "import os\n\n\ndef one():\n    from lib.deep import first\n",
        "stages/other.py": "",
        "lib/deep/first.py": "import lib.second as alias\n",
        "lib/second.py": "from lib.deep.third import thing\n",
        "lib/deep/third.py": "from lib.deep import third\n",
        "lib/unused.py": "",
    }
    for name, text in (files | (more or {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def written(folder: Path) -> dict:
    """The stage, once its code is up to date."""
    code_deps.code_deps(folder)
    assert code_deps.code_deps(folder, check=True) == []
    return yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["one"]


MARKED = f"    - a\n    {code_deps.MARKER}\n"
CLOSURE = ["lib/deep/first.py", "lib/deep/third.py", "lib/second.py", "stages/one.py"]


def test_code_is_written_between_the_marker_and_the_end_of_the_list(tmp_path):
    folder = small_project(tmp_path, f"{MARKED}    - lib/unused.py\n")
    assert [line.split(": ")[1] for line in code_deps.code_deps(folder, check=True)] == ["one"]
    assert written(folder) == {
        "cmd": "python -m stages.one", "deps": ["a", *CLOSURE], "outs": ["b"],
    }  # fmt: skip


def test_a_stage_without_the_marker_is_named(tmp_path):
    with pytest.raises(Problem, match=r"one: expected the line '# code"):
        code_deps.code_deps(small_project(tmp_path, "    - a\n"))


def test_an_import_that_the_closure_cannot_follow_is_refused(tmp_path):
    folder = small_project(tmp_path, MARKED, more={"lib/second.py": "from . import unused\n"})
    with pytest.raises(Problem, match=r"lib/second.py:1: expected imports by full name"):
        code_deps.code_deps(folder)


def test_a_data_file_that_a_module_names_is_listed_where_it_stands_beside_it(tmp_path):
    more = {
        "lib/second.py": 'from pathlib import Path\nTABLE = Path(__file__).with_name("table.csv")\n'
        'OTHERS = "absent.csv", "deep/far.csv", "unused.py", "a table.csv"\n',
        "lib/table.csv": "1,2\n", "lib/unnamed.csv": "", "lib/deep/far.csv": "",
        "stages/table.csv": "",
    }  # fmt: skip
    listed = written(small_project(tmp_path, MARKED, more=more))["deps"]
    assert listed == sorted(["a", *({*CLOSURE} - {"lib/deep/third.py"}), "lib/table.csv"])
    assert "taller/data/mnist_writers.npy" in PIPELINE["preprocess"]["deps"]


MATRIX = "    matrix:\n      network:\n      - small\n      - large\n"
NETWORKS = {
    "taller/models/small.py": "import lib.second\n",
    "taller/models/large.py": "import os\n",
}


def test_a_matrix_lists_its_networks_by_the_items_name(tmp_path):
    folder = small_project(tmp_path, MARKED, MATRIX, NETWORKS)
    assert code_deps.stages(folder) == {"one": ["small", "large"]}
    assert written(folder)["deps"] == ["a", *CLOSURE, "taller/models/${item.network}.py"]
    assert code_deps.stages(small_project(tmp_path, MARKED)) == {"one": []}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            "import lib.unused\n",
            r"large\.py: .* that stages/one\.py or all networks have too, found lib/unused\.py",
        ),
        ("from lib import (", r"large\.py:1: expected Python"),
        (None, r"large\.py: expected the script of a stage, found nothing"),
    ],
)
def test_a_network_that_imports_what_its_stage_does_not_is_refused(tmp_path, network, message):
    folder = small_project(tmp_path, MARKED, MATRIX, NETWORKS)
    file = folder / "taller/models/large.py"
    if network is None:
        file.unlink()
    else:
        file.write_text(network, encoding="utf-8")
    with pytest.raises(Problem, match=message):
        code_deps.code_deps(folder)
