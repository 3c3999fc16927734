"""Write the code that each stage depends on into dvc.yaml: its script, and all that it imports.

DVC follows no imports, so dvc.yaml lists the files; this finds them and writes them behind the
marker in the stage's `deps`, up to the end of the list: DVC sorts it, and code comes last. A stage
with a matrix of networks imports each of them by name: taller/models/${item.network}.py.
With --check nothing is written: exit 1, and a line for each stage whose list differs.
"""

import argparse
import ast
import difflib
import re
import sys
from collections.abc import Callable
from pathlib import Path

from dvc.utils.serialize import load_yaml

from taller.program.errors import Problem

ROOT = Path(__file__).parents[1]
MARKER = "# code: written by python -m tools.code_deps"


# What a stage with a matrix of networks imports by name, as dvc.yaml writes it.
NETWORK = "taller/models/${item.network}.py"


def stages(root: Path = ROOT) -> dict[str, list[str]]:
    """The names of the stages, in the order of dvc.yaml, where alone they are typed.

    Returns
    -------
    dict
        For each stage the networks of its matrix; none for a stage without one.
    """
    listed = load_yaml(str(root / "dvc.yaml"))["stages"]
    return {name: stage.get("matrix", {}).get("network", []) for name, stage in listed.items()}


def code(stage: str, networks: list[str], root: Path = ROOT) -> list[str]:
    """What dvc.yaml lists of the code of a stage: its own, and what all its networks import.

    Raises
    ------
    Problem
        At a network that imports what neither the stage nor all the others do.
    """
    found = {*closure(root / f"stages/{stage}.py", root)}
    if not networks:
        return sorted(found)
    names = [NETWORK.replace("${item.network}", network) for network in networks]
    own = {name: {*closure(root / name, root)} - {name} for name in names}
    found |= set.intersection(*own.values())
    for name, reached in own.items():
        if more := sorted(reached - found):
            raise Problem(
                f"{name}: expected imports that stages/{stage}.py or all networks have too, "
                f"found {more[0]}"
            )
    return sorted([*found, NETWORK])


def closure(file: Path, root: Path = ROOT) -> list[str]:
    """The repository's files that decide what `file` does: itself, and what it imports or names.

    Imports are followed wherever they stand, in a function too. What is named is data: a file
    beside the module that stands in it as a string.

    Returns
    -------
    list of str
        Paths relative to `root`, sorted as DVC sorts them.

    Raises
    ------
    Problem
        At a file that is not there, or a relative import.
    """
    found, waiting = set(), [file]
    while waiting:
        current = waiting.pop()
        name = current.relative_to(root).as_posix()
        if name in found:
            continue
        found.add(name)
        if current.suffix != ".py":
            continue
        waiting += [root / path for path in _candidates(current, name) if (root / path).is_file()]
    return sorted(found)


def _candidates(file: Path, name: str) -> set[str]:
    """Where the modules that `file` imports would stand, and the packages of all of them."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{name}: expected the script of a stage, found nothing") from None
    except SyntaxError as error:
        raise Problem(f"{name}:{error.lineno}: expected Python, found {error.text!r}") from None
    named = {
        Path(name).with_name(node.value).as_posix()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and _is_beside(file, node.value)
    }
    places = {name, *(f"{module.replace('.', '/')}.py" for module in imported(tree, name))}
    packages = {parent for place in places for parent in Path(place).parents if parent.name}
    return named | places | {f"{package.as_posix()}/__init__.py" for package in packages}


def imported(tree: ast.Module, name: str) -> set[str]:
    """The modules, and what may be one, that a parsed file called `name` imports, by full name.

    Raises
    ------
    Problem
        At a relative import.
    """
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise Problem(f"{name}:{node.lineno}: expected imports by full name, found a dot")
            modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return modules


def _is_beside(file: Path, value: object) -> bool:
    """Whether a constant names a data file in the folder of `file`."""
    if not isinstance(value, str) or not re.fullmatch(r"\w+\.\w+", value):
        return False
    return not value.endswith(".py") and file.with_name(value).is_file()


def rewritten(text: str, code: dict[str, list[str]]) -> str:
    """`text` of a dvc.yaml with the `code` of each stage behind the marker in its deps.

    Raises
    ------
    Problem
        Naming a stage without the marker.
    """
    for stage, files in code.items():
        # From the stage's name on, lines that belong to it, up to the marker and its list.
        pattern = re.compile(
            rf"^(  {re.escape(stage)}:\n(?:    .*\n)*?    {re.escape(MARKER)}\n)(?:    - .*\n)*",
            re.MULTILINE,
        )
        lines = "".join(f"    - {file}\n" for file in files)
        text, places = pattern.subn(lambda match, lines=lines: match[1] + lines, text)
        if places != 1:
            raise Problem(f"dvc.yaml: {stage}: expected the line '{MARKER}' in its deps")
    return text


def code_deps(root: Path = ROOT, check: bool = False) -> list[str]:
    """Bring the code lines of dvc.yaml up to date.

    Returns
    -------
    list of str
        With `check`, a line for each stage whose list differs; nothing is written then.
    """
    pipeline = root / "dvc.yaml"
    listed = {name: code(name, networks, root) for name, networks in stages(root).items()}
    before = pipeline.read_text(encoding="utf-8")
    after = rewritten(before, listed)
    if not check:
        if after != before:
            pipeline.write_text(after, encoding="utf-8")
        return []
    found = []
    for name, files in listed.items():
        other = rewritten(before, {name: files})
        changes = list(difflib.ndiff(before.splitlines(), other.splitlines()))
        if missing := [line[8:] for line in changes if line.startswith("+ ")]:
            found.append(f"dvc.yaml: {name}: expected {', '.join(missing)}, found none")
        elif extra := [line[8:] for line in changes if line.startswith("- ")]:
            found.append(f"dvc.yaml: {name}: found {', '.join(extra)}, which it never imports")
    return found


def program(name: str, doc: str, update: Callable[..., list[str]]) -> None:
    """Run a tool that writes into dvc.yaml, or with --check tells what it would write."""
    parser = argparse.ArgumentParser(prog=f"python -m tools.{name}", description=doc)
    parser.add_argument("--check", action="store_true", help="write nothing, tell what differs")
    try:
        if found := update(check=parser.parse_args().check):
            sys.exit("\n".join(f"{line}; mend it with: make deps" for line in found))
    except Problem as problem:
        sys.exit(f"{name}: {problem}")


if __name__ == "__main__":
    program("code_deps", __doc__, code_deps)
