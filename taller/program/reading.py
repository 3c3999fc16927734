"""Files that enter a stage: opened only where they are files, JSON held against a schema.

What has passed here, or `arrays`, `tables` and `params`, is trusted further inside.
"""

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ConfigDict, TypeAdapter, ValidationError

from taller.program.errors import Problem

KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# For schemas of JSON: no number in quotes, no key that nobody reads.
STRICT = ConfigDict(strict=True, extra="forbid")
LONGEST = 100  # letters that are told of a value


def opened(path: Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises
    ------
    Problem
        Where there is something else, such as a directory or a named pipe.
    OSError
        Where there is nothing, or it may not be read.
    """
    # Otherwise opening a named pipe waits until somebody writes into it.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    kind = stat.S_IFMT(os.fstat(number).st_mode)
    if kind != stat.S_IFREG:
        os.close(number)
        raise Problem(f"{path}: expected a file, found {KINDS.get(kind, 'something else')}")
    return os.fdopen(number, "rb")


def content(path: Path) -> bytes:
    """All bytes of a file; raises as `opened` does."""
    with opened(path) as file:
        return file.read()


def text(path: Path) -> str:
    """A text file in UTF-8; raises as `opened` does, and a `Problem` where it is none."""
    try:
        return content(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(f"{path}: expected text in UTF-8, found {error.reason}") from None


def json(path: Path, schema: Any) -> Any:
    """Parse a JSON file and hold it against a schema.

    Parameters
    ----------
    schema : type
        Whatever pydantic takes: a TypedDict gives dictionaries.

    Raises
    ------
    Problem
        Naming the file and the place in it, what was expected and what was found; and as `opened`.
    """
    try:
        return TypeAdapter(schema).validate_json(content(path), strict=True)
    except ValidationError as error:
        raise Problem(f"{path}: {explained(error)}") from None


def explained(error: ValidationError, place: str = "", known: Iterable[str] = ()) -> str:
    """One line of what pydantic found: where, what was expected, what was found.

    Parameters
    ----------
    place : str
        Dotted, of the value that was validated; empty for a whole file.
    known : iterable of str
        The keys that there may be at that place, to be listed where another one is found.
    """
    # An unknown key first: it is the likely reason why another one is missing.
    first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    # A union reports its branches by type name; the user's key is what comes before them.
    where = ".".join([*([place] if place else []), *(str(part) for part in first["loc"])])
    where = shown(where, quoted=False) + ": " if where else ""
    more = f" (and {len(others)} more)" if others else ""
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        expected = f", expected one of {', '.join(known)}" if known else ", expected no such key"
        return f"{where}unknown key{expected}{more}"
    if kind == "missing":
        return f"{where}expected a value, found nothing{more}"
    if kind == "json_invalid":
        return f"expected JSON, found: {context['error']}"
    if kind == "union_tag_invalid":
        tags, tag = context["expected_tags"], context["tag"]
        return f"{where}{context['discriminator']}: expected one of {tags}, found {tag!r}"
    expected = re.sub(r"^(\w+ should (be |have |match )?|Value error, )", "", first["msg"])
    return f"{where}expected {expected}, found {shown(first['input'])}{more}"


def shown(value: object, *, quoted: bool = True) -> str:
    """A value in one line that is not too long."""
    told = repr(value) if quoted else " ".join(str(value).split())
    return told if len(told) <= LONGEST else f"{told[:LONGEST]}..."
