"""The class: its notebook runs, and both languages give one course."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAPERS = ("docs/clase.md", "docs/lesson.md"), ("README.es.md", "README.md")
# In a process of its own, as a reader starts it: what each cell leaves is there for the next.
RUN = """
import json, sys
cells, names = json.load(open("docs/clase.ipynb", encoding="utf-8"))["cells"], {}
for cell in cells:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
axes = names["figura"].axes
print(json.dumps({
    "interval": names["intervalo"], "posterior": names["posterior"],
    "verdict": names["posterior"].verdict, "with_margins": names["conclusiones"],
    "lines": [len(one.containers) for one in axes],
}))
"""


def test_the_notebook_comes_to_what_compare_wrote():
    details = json.loads(read("resultados/detalle.json"))
    if yaml.safe_load(read("params.yaml")) != yaml.safe_load(read("presets/mnist.yaml")):
        pytest.skip("the results are of other params: the notebook was NOT tested")
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=ROOT, env={**os.environ, "MPLBACKEND": "agg"},
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert not done.returncode, done.stderr
    found, pair = json.loads(done.stdout.splitlines()[-1]), details["pairs"]["cnn_letters-cnn"]
    # The scores of the folds are rounded to six decimals, and what comes of them is as near.
    assert found["interval"] == pytest.approx([*details["models"]["cnn"]["cv"].values()], abs=1e-5)
    assert found["posterior"] == pytest.approx([*pair["posterior"].values()], abs=1e-5)
    assert found["verdict"] == pair["verdict"]
    # What the class says of p: it stays as it is, while the margin turns the verdict.
    assert [found["with_margins"][place] for place in (0, -1)] == ["better", "equal"]
    assert found["lines"] == [len(details["curves"]), len(details["gains"])]


@pytest.mark.parametrize(("spanish", "english"), PAPERS)
def test_both_languages_give_the_same_commands(spanish, english):
    one, other = read(spanish), read(english)
    assert commands(one) == commands(other)
    assert f"]({Path(english).name})" in one.partition("\n")[0]
    assert f"]({Path(spanish).name})" in other.partition("\n")[0]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str) -> list[str]:
    """What calls a program, without comments: indented lines, and words in a sentence or table."""
    programs = "make|dvc|python3?|pip|git|grep|mkdir|cp|rm|\\."
    called = rf"^    ((?:{programs}) .+)$|`((?:make|dvc|python) [^`]+)`"
    found = re.findall(called, text, re.MULTILINE)
    return [re.sub(r" +# .*", "", line or words) for line, words in found]
