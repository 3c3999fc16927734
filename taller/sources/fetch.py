"""Get files over HTTP, checked or not at all, through the proxies of the environment."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import urllib3

from taller.common import progress
from taller.common.errors import UserError
from taller.sources.catalogue import TIMEOUT, Item

CHUNK = 64 * 1024


def check(source: str, content: bytes, sha256: str) -> bytes:
    """`content` itself; a `UserError` names `source` where its checksum is another."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise UserError(f"{source}: expected SHA-256 {sha256[:8]}..., found {actual[:8]}...")
    return content


def unpack(source: str, packed: bytes) -> bytes:
    """The content of a .gz file; a `UserError` names `source` where it is none, or not complete."""
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{source}: expected a complete .gz file, found: {error}") from None


def in_place(file: Path, sha256: str) -> bool:
    """Whether a file, or its .gz, is where it belongs; a `UserError` where it is another one."""
    archive = file.with_name(f"{file.name}.gz")
    there = [path for path in (file, archive) if os.path.lexists(path)]
    for path in there:
        try:
            content = path.read_bytes()
            check(str(path), content if path == file else unpack(str(path), content), sha256)
        except UserError as error:
            raise UserError(f"{error}; move it away or delete it") from None
    return bool(there)


def mirror(item: Item, url: str, cache: Path, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Files that the folder `url` serves: each name, and its content as it is stored.

    What comes goes to a file in `cache` first: after a kill the download goes on where it stopped.
    A `UserError` names the address of what does not come, not completely, or is something else.
    """
    for name in names:
        address = f"{url}{name}.gz" if item.compressed else f"{url}{name}"
        part, resumed, content = cache / item.name / f"{name}.part", True, None
        while content is None:
            resumed = _receive(address, part)
            content = part.read_bytes()
            part.unlink()
            try:
                content = unpack(address, content) if item.compressed else content
                check(address, content, item.sha256[name])
            except UserError:
                if not resumed:
                    raise
                content = None  # what was there may have been the beginning of something else
        yield name, content


def _receive(url: str, part: Path) -> bool:
    """Complete `part`; whether what was there is a part of it still."""
    part.parent.mkdir(parents=True, exist_ok=True)
    there = part.stat().st_size if part.exists() else 0
    # Without "identity", what the bytes are would depend on the server.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with (
        _one_line(url),
        requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response,
    ):
        status = response.status_code
        if there and status == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            return _receive(url, part)
        if not response.ok:
            raise UserError(f"{url}: expected the file, found HTTP {status} {response.reason}")
        resumed = status == requests.codes.partial_content
        start = there if resumed else 0
        total = start + int(response.headers.get("Content-Length", 0))
        with (
            part.open("ab" if resumed else "wb") as file,
            progress.bar(total, url.rsplit("/", 1)[-1], "B") as bar,
        ):
            bar.update(start)
            # Servers that label a .gz as an encoding would have `iter_content` unpack it.
            try:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    file.write(chunk)
                    bar.update(len(chunk))
            except urllib3.exceptions.ProtocolError:
                there = f"{file.tell()} of {total or 'unknown'} bytes"
                raise UserError(f"{url}: expected the complete file, found {there}") from None
    return resumed


@contextmanager
def _one_line(url: str) -> Iterator[None]:
    try:
        yield
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise UserError(f"{url}: no answer within {TIMEOUT} s") from None
    except requests.ConnectionError as error:  # of a proxy, or of certificates, too
        raise UserError(f"{url}: no connection ({type(error).__name__})") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise UserError(f"{url}: {error}") from None
