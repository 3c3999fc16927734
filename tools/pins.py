"""Write the pins of the libraries that can change a stage's numbers, for DVC to follow as params.

They come from constraints.txt and go to environment.yaml, and the libraries that a stage's code
imports, with what those build on, to its `params` in dvc.yaml, behind the marker: a new torch
reruns what computes with it, a new pytest nothing.
With --check nothing is written: exit 1, and a line for what differs.
"""

import ast
import re
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement

from taller.program.errors import Problem
from tools import code_deps

ROOT = Path(__file__).parents[1]
MARKER = "# pins: written by python -m tools.pins"
# By what they are imported as. Others (joblib, pydantic, tqdm) carry numbers but compute none.
DECIDING = {
    "PIL": "pillow",
    "matplotlib": "matplotlib",  # its fonts, too, of which letters are drawn
    "numpy": "numpy",
    "pandas": "pandas",
    "scipy": "scipy",
    "seaborn": "seaborn",
    "sklearn": "scikit-learn",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
}

LOADED = {"scikit-learn": {"pandas"}}  # where it is installed, without a word in the metadata


def pinned(root: Path = ROOT) -> dict[str, str]:
    """The pins of the deciding libraries: name to version, or to each version and its marker."""
    found: dict[str, list[str]] = {}
    for pin in _requirements(root):
        told = str(pin.specifier).removeprefix("==")
        told += f" where {pin.marker}" if pin.marker else ""
        found.setdefault(pin.name, []).append(told)
    return {name: ", ".join(versions) for name, versions in sorted(found.items())}


def different(root: Path = ROOT) -> list[str]:
    """A line for each deciding library that is installed in another version than the pinned."""
    found = []
    for pin in _requirements(root):
        if pin.marker is None or pin.marker.evaluate():
            installed = version(pin.name)
            if not pin.specifier.contains(installed, prereleases=True):
                found.append(
                    f"constraints.txt: {pin.name}: expected {pin.specifier}, found {installed}"
                )
    return found


def _requirements(root: Path) -> Iterator[Requirement]:
    """The lines of constraints.txt that pin a deciding library."""
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            if pin.name in DECIDING.values():
                yield pin


def libraries(files: list[Path], root: Path = ROOT) -> list[str]:
    """The deciding libraries that the files import, and those that these build on."""
    waiting = set()
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        tops = {name.partition(".")[0] for name in code_deps.imported(tree, file.name)}
        waiting |= {DECIDING[top] for top in tops & DECIDING.keys()}
    found: set[str] = set()
    while waiting:
        found.add(name := waiting.pop())
        needs = [Requirement(line) for line in requires(name) or []]
        names = {
            need.name.lower() for need in needs if not (need.marker and "extra" in str(need.marker))
        }
        names |= LOADED.get(name, set())
        waiting |= (names & set(DECIDING.values())) - found
    return sorted(found)


def rewritten(text: str, stage: str, names: list[str]) -> str:
    """`text` of a dvc.yaml with the pins that a stage follows behind the marker in its params.

    Raises
    ------
    Problem
        Where the stage has no marker.
    """
    pattern = re.compile(
        rf"^(  {re.escape(stage)}:\n(?:    .*\n)*?    {re.escape(MARKER)}\n)"
        r"(?:    - environment\.yaml:\n(?:      - .*\n)*)?",
        re.MULTILINE,
    )
    lines = "    - environment.yaml:\n" + "".join(f"      - {name}\n" for name in names)
    text, places = pattern.subn(lambda match: match[1] + lines, text)
    if places != 1:
        raise Problem(f"dvc.yaml: {stage}: expected the line '{MARKER}' in its params")
    return text


def pins(root: Path = ROOT, check: bool = False) -> list[str]:
    """Bring environment.yaml, and the pins in dvc.yaml, up to date.

    Returns
    -------
    list of str
        With `check`, a line for each file that differs; nothing is written then.
    """
    pipeline, environment = root / "dvc.yaml", root / "environment.yaml"
    text = pipeline.read_text(encoding="utf-8")
    for stage, networks in code_deps.stages(root).items():
        code = code_deps.code(stage, networks, root)
        code += [code_deps.NETWORK.replace("${item.network}", network) for network in networks]
        files = [root / name for name in code if name.endswith(".py") and "$" not in name]
        text = rewritten(text, stage, libraries(files, root))
    lines = ["# What can change a stage's numbers: written by make deps out of constraints.txt."]
    lines += [f"{name}: {told}" for name, told in pinned(root).items()]
    found = []
    for file, wanted in ((pipeline, text), (environment, "\n".join([*lines, ""]))):
        if not file.exists() or file.read_text(encoding="utf-8") != wanted:
            found.append(f"{file.name}: expected the pins of constraints.txt, found others")
            if not check:
                file.write_text(wanted, encoding="utf-8")
    return found if check else []


if __name__ == "__main__":
    code_deps.program("pins", __doc__, pins)
