"""Get a file over HTTP, whole and checked or not at all, and never over another one."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import urllib3

from taller.program import files, progress
from taller.program.errors import Problem
from taller.program.files import sha256

CHUNK = 64 * 1024


def check(name: str, data: bytes, expected: str) -> None:
    """Raise a `Problem` that names `name`, unless `data` has the SHA-256 `expected`."""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise Problem(f"{name}: expected SHA-256 {expected[:8]}..., found {found[:8]}...")


def put(path: Path, data: bytes) -> None:
    """Write `data` so that `path` never holds a part of it, nor takes another file's place.

    Raises
    ------
    Problem
        When there is something at `path`, which stays as it is.
    """
    _refuse_to_replace(path)
    with files.whole(path) as file:
        file.write(data)


def fetch(url: str, path: Path, expected: str, timeout: int) -> None:
    """Download `url` to `path`, going on where an interrupted download stopped.

    What has come so far is kept beside `path`, as ``.NAME.taller.part``, also after Ctrl-C; it
    takes its name only when it is whole and its checksum right.

    Parameters
    ----------
    expected : str
        SHA-256 in hex digits, or its beginning; with ``""`` the caller checks the file.
    timeout : int
        Seconds to wait for a connection, and for more data.

    Raises
    ------
    Problem
        Naming the address, when there is no connection or no answer, the server reports an
        error, less comes than announced, or the checksum is wrong. Naming `path`, when there
        is something already, which stays as it is.
    """
    _refuse_to_replace(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    resumed = _receive(url, part, timeout)
    found = sha256(part)
    if found.startswith(expected):
        _refuse_to_replace(path)  # a download takes time: the user may have been faster
        part.rename(path)
        return
    part.unlink()
    if not resumed:
        raise Problem(f"{url}: expected SHA-256 {expected}, found {found[: len(expected)]}")
    # What was there may have been the beginning of something else.
    fetch(url, path, expected, timeout)


def _refuse_to_replace(path: Path) -> None:
    if os.path.lexists(path):
        raise Problem(f"{path}: expected nothing yet, found a file; move it away or delete it")


def _part(path: Path) -> Path:
    # A name that nobody else gives: browsers call theirs NAME.part.
    return path.with_name(f".{path.name}.taller.part")


def _receive(url: str, part: Path, timeout: int) -> bool:
    """Complete `part`; tell whether what was there has been kept."""
    there = part.stat().st_size if part.exists() else 0
    # Without "identity", what the bytes are would depend on the server.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={there}-"} if there else {})
    with (
        _in_one_line(url, timeout),
        requests.get(url, headers=headers, stream=True, timeout=timeout) as response,
    ):
        status = response.status_code
        if there and status == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            return _receive(url, part, timeout)
        if not response.ok:
            raise Problem(f"{url}: expected the file, found HTTP {status} {response.reason}")
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
                    with files.room(part, max(total - file.tell(), len(chunk))):
                        file.write(chunk)
                    bar.update(len(chunk))
            except urllib3.exceptions.ProtocolError:
                found = f"{file.tell()} of {total or 'unknown'} bytes"
                raise Problem(f"{url}: expected the whole file, found {found}") from None
    return resumed


@contextmanager
def _in_one_line(url: str, timeout: int) -> Iterator[None]:
    try:
        yield
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise Problem(f"{url}: no answer within {timeout} s") from None
    except requests.exceptions.SSLError:
        raise Problem(f"{url}: the server's certificate is not accepted") from None
    except requests.exceptions.ProxyError:
        raise Problem(f"{url}: no connection through the proxy") from None
    except requests.ConnectionError:
        raise Problem(f"{url}: no connection") from None
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise Problem(f"{url}: {error}") from None
