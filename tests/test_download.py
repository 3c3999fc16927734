"""Downloads from a real server: checked and resumed, or one line and no file."""

import gzip
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stages.download import download
from taller.common.terminal import UserError
from taller.sources import catalogue, fetch
from taller.sources.catalogue import Item

# Longer than a chunk, so that a part of it reaches the disk; nothing that compresses.
BODY = b"".join(hashlib.sha256(bytes([a, b])).digest() for a in range(256) for b in range(64))
PACKED = gzip.compress(BODY)
HALF = len(BODY) // 2


@dataclass
class Server:
    """An HTTP server: what it serves, how it misbehaves, and what it was asked for."""

    files: dict[str, bytes]
    stop_after: int | None = None  # bytes of a body, of which all are announced
    label: str | None = None  # as which encoding a body is labelled
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (name, Range)


@pytest.fixture
def serve(monkeypatch) -> Iterator[Callable[..., Server]]:
    """Start servers with the fields of `Server`; all stop when the test ends."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(**fields) -> Server:
        server = Server(**fields)
        http = ThreadingHTTPServer(("127.0.0.1", 0), handler(server))
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        running.append((http, thread))
        server.url = f"http://127.0.0.1:{http.server_address[1]}/"
        return server

    yield start
    for http, thread in running:
        http.shutdown()
        thread.join()
        http.server_close()


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.removeprefix("/"), self.headers["Range"]
            server.asked.append((name, wanted))
            if name not in server.files:
                return self.send_error(404)
            body, status = server.files[name], 200
            if wanted:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    return self.send_error(416)
                body, status = body[start:], 206
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if server.label:
                self.send_header("Content-Encoding", server.label)
            self.end_headers()
            self.wfile.write(body[: server.stop_after])

        def log_message(self, *_) -> None:
            pass

    return Handler


def dead_url() -> str:
    """The address of a folder that no server serves."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


FILES = {"a.bin": BODY, "b.bin": BODY[::-1]}
SUMS = {name: hashlib.sha256(body).hexdigest() for name, body in FILES.items()}
RAW, PART = Path("data/thing/raw"), Path(".cache/download/thing/a.bin.part")


@pytest.fixture
def get(workdir, monkeypatch):
    """Download an item of two files, a.bin and b.bin, from mirrors."""
    monkeypatch.setattr(fetch, "TIMEOUT", 1)

    def run(*mirrors: str, compressed: bool = False) -> None:
        item = Item("thing", "free", SUMS, mirrors, compressed)
        monkeypatch.setitem(catalogue.ITEMS, "thing", item)
        download("thing")

    return run


def complete() -> bool:
    """Whether the folder has both files, nothing else, and no part is left."""
    assert {path.name: path.read_bytes() for path in RAW.iterdir()} == FILES
    return not any(PART.parent.glob("*"))


def failure(get, *mirrors: str, **more) -> str:
    with pytest.raises(UserError) as caught:
        get(*mirrors, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_mirror_serves_after_a_dead_one_and_the_licence_is_shown(serve, get, capsys):
    server, dead = serve(files=FILES), dead_url()
    get(dead, server.url)
    assert complete() and server.asked == [("a.bin", None), ("b.bin", None)]
    assert capsys.readouterr().out.splitlines() == [
        f"thing: 0 of 2 files in place in {RAW}",
        f"thing: {dead}a.bin: no connection (ConnectionError)",
        f"thing: a.bin from {server.url}",
        f"thing: b.bin from {server.url}",
        "thing: free",
    ]
    get(server.url)
    assert len(server.asked) == 2
    assert "thing: 2 of 2 files in place" in capsys.readouterr().out


def test_mirrors_may_have_them_compressed_and_label_them_as_an_encoding(serve, get):
    files = {f"{name}.gz": gzip.compress(body) for name, body in FILES.items()}
    get(serve(files=files, label="gzip").url, compressed=True)
    assert complete()


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        (BODY[:HALF], [f"bytes={HALF}-"]),
        (b"of another file" * 1000, ["bytes=15000-", None]),
        (BODY + b"more", [f"bytes={len(BODY) + 4}-", None]),
    ],
)
def test_what_an_earlier_download_left_is_used_if_it_fits(serve, get, there, asked):
    PART.parent.mkdir(parents=True)
    PART.write_bytes(there)
    server = serve(files=FILES)
    get(server.url)
    assert complete()
    assert [wanted for name, wanted in server.asked if name == "a.bin"] == asked


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"files": {"a.bin": b"<html>Log in</html>"}}, "a.bin: expected SHA-256"),
        ({"files": {}}, "a.bin: expected the file, found HTTP 404 Not Found"),
        ({"files": FILES, "stop_after": HALF}, f"complete file, found {HALF} of {2 * HALF} bytes"),
    ],
)
def test_a_source_that_fails_is_named_and_the_next_one_serves(serve, get, capsys, fields, reason):
    bad = serve(**fields)
    line = failure(get, bad.url)
    assert line.startswith(f"thing: put a.bin, b.bin into {RAW}; no source has it: {bad.url}a.bin")
    assert not RAW.exists()
    capsys.readouterr()
    get(bad.url, serve(files=FILES).url)
    assert complete()
    assert re.search(reason, capsys.readouterr().out)


def test_files_placed_by_hand_are_checked_and_stay(serve, get):
    RAW.mkdir(parents=True)
    (RAW / "a.bin.gz").write_bytes(PACKED)
    (RAW / "notes.txt").write_text("mine")
    server = serve(files=FILES)
    get(server.url)
    assert server.asked == [("b.bin", None)]
    assert sorted(path.name for path in RAW.iterdir()) == ["a.bin.gz", "b.bin", "notes.txt"]
    (RAW / "b.bin").write_bytes(BODY)
    line = failure(get, server.url)
    assert line.startswith(f"{RAW}/b.bin: expected SHA-256 ") and line.endswith("or delete it")
    assert (RAW / "b.bin").read_bytes() == BODY and len(server.asked) == 1


def test_the_weights_of_resnet18_come_from_torchs_own_cache(workdir, monkeypatch, capsys):
    (name,) = catalogue.RESNET18.sha256
    cached = workdir / "torch/hub/checkpoints" / name
    monkeypatch.setenv("TORCH_HOME", str(workdir / "torch"))
    monkeypatch.setitem(catalogue.RESNET18.sha256, name, hashlib.sha256(BODY).hexdigest())
    cached.parent.mkdir(parents=True)
    cached.write_bytes(BODY)
    download("resnet18")
    assert (workdir / "data/resnet18/raw" / name).read_bytes() == BODY
    assert f"{name} from {cached.parent}" in capsys.readouterr().out
