"""Downloads from a real server: whole and checked, or one line and nothing that looks whole."""

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import interruptible

from taller.data import fetch
from taller.program import files, progress
from taller.program.errors import Problem

ROOT = Path(__file__).parents[1]
# Longer than a chunk, so that a part of it reaches the disk.
BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()
HALF = len(BODY) // 2


@pytest.fixture
def file(tmp_path):
    return tmp_path / "new folder" / "file.bin"


def part_of(file, content):
    part = file.with_name(f".{file.name}.taller.part")
    part.parent.mkdir()
    part.write_bytes(content)
    return part


def left(file):
    return sorted(path.name for path in file.parent.iterdir())


@pytest.mark.parametrize("digits", [64, 8, 0])
def test_a_fresh_download(serve, file, digits):
    server = serve(files={"file.bin": BODY})
    fetch.fetch(server.url + "file.bin", file, SHA256[:digits], timeout=5)
    assert file.read_bytes() == BODY
    assert left(file) == ["file.bin"]
    assert server.asked == [("file.bin", None)]


def test_sha256_is_that_of_the_file(tmp_path):
    (tmp_path / "file").write_bytes(BODY)
    assert files.sha256(tmp_path / "file") == SHA256


def test_a_file_in_place_is_never_replaced(serve, file):
    file.parent.mkdir()
    file.write_bytes(b"mine")
    server = serve(files={"file.bin": BODY})
    with pytest.raises(Problem, match=r"file\.bin: expected nothing yet, found a file; move it"):
        fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert (file.read_bytes(), server.asked, left(file)) == (b"mine", [], ["file.bin"])


def test_a_file_that_appears_during_the_download_stays(serve, file, monkeypatch):
    server = serve(files={"file.bin": BODY})
    checksum = files.sha256

    def meanwhile(path):
        file.write_bytes(b"mine")
        return checksum(path)

    monkeypatch.setattr(fetch, "sha256", meanwhile)
    with pytest.raises(Problem, match="expected nothing yet"):
        fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert file.read_bytes() == b"mine"


@pytest.mark.parametrize("there", [0, HALF])
def test_the_bar_counts_bytes_to_the_end(serve, file, monkeypatch, there):
    if there:
        part_of(file, BODY[:there])
    made, steps = [], []
    real = progress.bar

    def bar(total, label, unit):
        made.append((total, label, unit))
        shown = real(total, label, unit)
        monkeypatch.setattr(shown, "update", steps.append)
        return shown

    monkeypatch.setattr(progress, "bar", bar)
    fetch.fetch(serve(files={"file.bin": BODY}).url + "file.bin", file, SHA256, timeout=5)
    assert made == [(len(BODY), "file.bin", "B")]
    assert steps[0] == there
    assert len(steps) > 2
    assert sum(steps) == len(BODY)


def test_a_partial_file_is_resumed(serve, file):
    part_of(file, BODY[:HALF])
    server = serve(files={"file.bin": BODY})
    fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert server.asked == [("file.bin", f"bytes={HALF}-")]
    assert server.sent == [len(BODY) - HALF]
    assert file.read_bytes() == BODY
    assert left(file) == ["file.bin"]


def test_a_server_without_ranges_starts_over(serve, file):
    part_of(file, BODY[:HALF])
    server = serve(files={"file.bin": BODY}, ranges=False)
    fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert server.sent == [len(BODY)]
    assert file.read_bytes() == BODY


@pytest.mark.parametrize("there", [b"of another file" * 1000, BODY, BODY + b"more"])
def test_a_partial_file_of_something_else_starts_over(serve, file, there):
    part_of(file, there)
    server = serve(files={"file.bin": BODY})
    fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert [wanted for _, wanted in server.asked] == [f"bytes={len(there)}-", None]
    assert file.read_bytes() == BODY
    assert left(file) == ["file.bin"]


@pytest.mark.parametrize("there", [0, HALF])
@pytest.mark.parametrize("digits", [64, 8])
def test_a_wrong_checksum_leaves_nothing(serve, file, there, digits):
    if there:
        part_of(file, BODY[:there])
    server = serve(files={"file.bin": BODY[:-1] + b"?"})
    with pytest.raises(Problem) as caught:
        fetch.fetch(server.url + "file.bin", file, SHA256[:digits], timeout=5)
    assert f"file.bin: expected SHA-256 {SHA256[:digits]}, found" in str(caught.value)
    assert left(file) == []


def test_a_portal_that_answers_everything_with_a_page_is_caught(serve, file):
    server = serve(files={"file.bin": b"<html>Please log in</html>"})
    with pytest.raises(Problem, match="expected SHA-256"):
        fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert left(file) == []


def test_a_truncated_body_is_not_used_and_is_completed_later(serve, file):
    server = serve(files={"file.bin": BODY}, stop_after=HALF)
    with pytest.raises(Problem, match=rf"whole file, found \d+ of {len(BODY)} bytes"):
        fetch.fetch(server.url + "file.bin", file, "", timeout=5)
    assert left(file) == [".file.bin.taller.part"]

    server.stop_after = None
    fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert file.read_bytes() == BODY
    assert left(file) == ["file.bin"]
    assert server.sent[1] < len(BODY)


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_an_http_error_is_one_line_and_keeps_what_has_come(serve, file, status):
    part = part_of(file, BODY[:HALF])
    server = serve(files={"file.bin": BODY}, status=status)
    with pytest.raises(
        Problem, match=f"file.bin: expected the file, found HTTP {status} "
    ) as caught:
        fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert "\n" not in str(caught.value)
    assert part.read_bytes() == BODY[:HALF]
    assert left(file) == [".file.bin.taller.part"]


def test_no_connection(file):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        with pytest.raises(Problem) as caught:
            fetch.fetch(url, file, SHA256, timeout=5)
    assert str(caught.value) == f"{url}: no connection"
    assert left(file) == []


def test_an_address_that_does_not_resolve(file, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(Problem, match=r"nowhere\.invalid/file\.bin: no connection$"):
        fetch.fetch("http://nowhere.invalid/file.bin", file, SHA256, timeout=5)


def test_a_proxy_that_is_not_there(file, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with pytest.raises(Problem, match=r"no connection through the proxy$"):
        fetch.fetch("http://nowhere.invalid/file.bin", file, SHA256, timeout=5)


@pytest.mark.parametrize("stop_after", [0, HALF])
def test_a_server_that_falls_silent(serve, file, stop_after):
    hold = threading.Event()
    server = serve(files={"file.bin": BODY}, stop_after=stop_after, hold=hold)
    with pytest.raises(Problem, match=r"file\.bin: no answer within 1 s"):
        fetch.fetch(server.url + "file.bin", file, SHA256, timeout=1)
    hold.set()
    assert left(file) == [".file.bin.taller.part"]


def test_bytes_are_kept_as_served_even_if_labelled_as_an_encoding(serve, file, monkeypatch):
    server = serve(files={"file.bin": BODY})
    end_headers = BaseHTTPRequestHandler.end_headers

    def labelled(self):
        self.send_header("Content-Encoding", "gzip")
        end_headers(self)

    monkeypatch.setattr(BaseHTTPRequestHandler, "end_headers", labelled)
    fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert file.read_bytes() == BODY


def test_ctrl_c_keeps_what_has_come_for_the_next_time(serve, file):
    hold = threading.Event()
    server = serve(files={"file.bin": BODY}, stop_after=HALF, hold=hold)
    url, part = server.url + "file.bin", file.with_name(".file.bin.taller.part")
    code = f"""
from pathlib import Path
from taller.data import fetch
from taller.program import cli, files
def download(): fetch.fetch({url!r}, Path({str(file)!r}), {SHA256!r}, timeout=60)
cli.main(download)
"""
    program = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, encoding="utf-8",
        preexec_fn=interruptible,
    )  # fmt: skip
    while not (part.exists() and part.stat().st_size):
        assert program.poll() is None, program.stderr.read()
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=30)
    hold.set()
    assert program.returncode == 130
    assert errors == "\ndownload: interrupted\n"
    there = part.stat().st_size
    assert part.read_bytes() == BODY[:there]
    assert left(file) == [".file.bin.taller.part"]

    server.stop_after = None
    fetch.fetch(url, file, SHA256, timeout=5)
    assert server.asked[-1] == ("file.bin", f"bytes={there}-")
    assert file.read_bytes() == BODY


def test_put_writes_files_whole_or_not_at_all_and_never_over_another(tmp_path, monkeypatch):
    file = tmp_path / "new folder" / "file"
    fetch.put(file, b"first")
    for taken in (file, file.parent):
        with pytest.raises(Problem, match=f"{taken}: expected nothing yet"):
            fetch.put(taken, b"second")
    assert file.read_bytes() == b"first"

    def broken(descriptor):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="broken disk"):
        fetch.put(file.with_name("other"), b"third")
    assert left(file) == ["file"]
    assert left(file.parent) == ["new folder"]


def test_a_users_part_is_no_ones_but_the_users(serve, file):
    """Browsers, too, call what they are downloading NAME.part."""
    own = file.with_name(file.name + ".part")
    own.parent.mkdir()
    own.write_bytes(b"mine")
    server = serve(files={"file.bin": BODY})
    fetch.fetch(server.url + "file.bin", file, SHA256, timeout=5)
    assert (file.read_bytes(), own.read_bytes()) == (BODY, b"mine")
    file.unlink()
    fetch.put(file, BODY)
    assert (file.read_bytes(), own.read_bytes()) == (BODY, b"mine")
