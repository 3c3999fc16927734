"""Unpack what comes as .gz."""

import gzip
import zlib

from taller.program.errors import Problem


def unpacked(packed: bytes, origin: str) -> bytes:
    """The content of a .gz file; a `Problem` that names `origin` where it is none, or not whole."""
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{origin}: expected a whole .gz file, found: {error}") from None
