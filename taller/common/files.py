"""Files that stages hand to each other: complete or not there at all; JSON, and checksums."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from taller.common.terminal import UserError, printable


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write into, which becomes `path` when the block ends.

    At no moment `path` holds a part of it, also after ``kill -9`` or a power cut: that leaves
    ``.NAME.part``, which the next write takes over. A link (DVC's, into its cache) is replaced, not
    followed. An `OSError` has the name `path`.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        name = os.fspath(path) if error.filename in (None, os.fspath(part)) else error.filename
        raise OSError(error.errno, error.strerror, name) from None
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8, as `atomic_write` does."""
    with atomic_write(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: object) -> None:
    """Write JSON with six significant digits: more is noise."""
    text = json.dumps(_rounded(value), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """Parse a JSON file; a `UserError` names one that is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: expected JSON, found: {printable(str(error))}") from None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
