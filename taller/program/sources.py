"""The project's source files that a process has loaded."""

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("taller", "stages")


def loaded() -> Iterator[tuple[str, Path]]:
    """Of each its name in the repository, and where it is; by name."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    for path in sorted({Path(file).absolute() for file in files if file}):
        if any(path.is_relative_to(ROOT / folder) for folder in FOLDERS):
            yield path.relative_to(ROOT).as_posix(), path


def everything() -> Iterator[tuple[str, Path]]:
    """All that it could load, as `loaded` tells it."""
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path
