"""Pictures that outgrow memory: the same bytes through files that are mapped, and less memory."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import joblib
import numpy as np
import pytest
from conftest import on_a_small_disk
from fixtures import ROOT
from PIL import Image

from stages import evaluate, kfold_train, preprocess
from taller.data import dataset
from taller.data.dataset import Dataset
from taller.models.catalogue import SIMPLE_NN
from taller.program import files, large
from taller.program.errors import Problem
from taller.training import journal

PARAMS = {
    "folds": 2, "repeats": 1, "groups": "auto", "subset": None, "image_size": 24,
    "channels": "auto", "test_share": 0.25,
}  # fmt: skip
SIMPLE = {
    "hidden": [4], "dropout": 0.0, "learning_rate": 0.003, "weight_decay": 0.0,
    "schedule": "constant", "batch_size": 16, "epochs": 2, "min_steps": 0,
}  # fmt: skip


@pytest.fixture
def mapped(monkeypatch, tmp_path):
    """Every image is too many, and a part is of few."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(large, "LIMIT", 0)
    monkeypatch.setattr(large, "PART", 5_000)


def pictures(raw, count=60, *, grey=False):
    """Two classes of noise, with origins, and a copy."""
    random = np.random.default_rng(0)
    for place in range(count):
        levels = random.integers(0, 256, (20, 30 - place % 20, 3), dtype=np.uint8)
        file = raw / f"class{place % 2}/origin{place % 14}/{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels[..., 0] if grey else levels).save(file)
    shutil.copy(file, file.with_name("copy.png"))


def preprocessed(folder, **changes) -> dict[str, bytes]:
    out = folder / "out"
    preprocess.preprocess(
        preprocess.Params(**PARAMS | changes), 7, "noise", folder / "data", out, out
    )
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize(
    ("grey", "changes"), [(False, {}), (True, {}), (False, {"channels": 1}), (True, {"folds": 3})]
)
def test_the_bytes_do_not_hang_on_where_the_images_lie(tmp_path, monkeypatch, grey, changes):
    pictures(tmp_path / "data/noise/files", grey=grey)
    monkeypatch.chdir(tmp_path)
    in_memory = preprocessed(tmp_path, **changes)
    assert len(in_memory) == 5
    made, mapped = [], large.mapped

    def counted(*told, **more) -> np.memmap:
        array = mapped(*told, **more)
        made.append(len(array))
        return array

    monkeypatch.setattr(large, "LIMIT", 0)
    monkeypatch.setattr(large, "PART", 5_000)
    monkeypatch.setattr(large, "mapped", counted)
    assert preprocessed(tmp_path, **changes) == in_memory
    # All pictures with the copy, those to train on, and those to test.
    everything, *parts = made
    assert (everything, len(parts), sum(parts)) == (61, 2, 60)
    assert not [*(tmp_path / ".cache").iterdir()]


def data_of(count=40, shape=(3, 6, 5)) -> Dataset:
    random = np.random.default_rng(1)
    labels = np.arange(count) % 2
    images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    return Dataset(images, labels, ("cat", "dog"), np.arange(count) // 3)


def test_a_data_set_is_mapped_where_it_lies(mapped, tmp_path):
    data = data_of()
    dataset.save(tmp_path / "a.npz", data)
    found = dataset.load(tmp_path / "a.npz")
    assert isinstance(found.images, np.memmap) and not isinstance(found.labels, np.memmap)
    np.testing.assert_array_equal(found.images, data.images)
    np.testing.assert_array_equal(found.labels, data.labels)
    np.testing.assert_array_equal(found.groups, data.groups)
    rows = np.array([5, 0, 39, 5])
    taken = found.take(rows)
    np.testing.assert_array_equal(taken.images, data.images[rows])
    with pytest.raises(ValueError, match="read-only"):
        found.images[0] = 0
    columns = np.asfortranarray(data.images)
    np.savez(tmp_path / "b.npz", images=columns, labels=data.labels, names=np.array(data.names))
    np.testing.assert_array_equal(dataset.load(tmp_path / "b.npz").images, data.images)


def total(array: np.ndarray) -> int:
    return int(array.astype(np.int64).sum())


def test_it_stays_the_same_when_the_file_is_replaced_for_workers_too(mapped, tmp_path):
    data = data_of()
    dataset.save(tmp_path / "a.npz", data)
    images = dataset.load(tmp_path / "a.npz").images[2:]  # a view, whose parent is gone
    dataset.save(tmp_path / "a.npz", data_of(count=20))
    (tmp_path / "a.npz").unlink()
    assert total(images) == total(data.images[2:])
    assert joblib.Parallel(2)([joblib.delayed(total)(images)] * 2) == [total(images)] * 2


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc: NOT tested")
def test_a_map_leaves_no_open_file(mapped, tmp_path):
    dataset.save(tmp_path / "a.npz", data_of())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert isinstance(dataset.load(tmp_path / "a.npz").images, np.memmap)
        assert isinstance(large.zeros((40,), np.uint8), np.memmap)
    assert len(os.listdir("/proc/self/fd")) == before


def flip(content: bytearray) -> None:
    content[content.index(b"NUMPY") + 500] ^= 1  # in an image


def cut(content: bytearray) -> None:
    del content[-30:]


def shorten(content: bytearray) -> None:
    del content[1000:1100]


def tell_more(content: bytearray) -> None:
    place = content.index(b"(40, 3, 6, 5)")
    content[place : place + 13] = b"(41, 3, 6, 5)"


@pytest.mark.parametrize("damage", [flip, cut, shorten, tell_more])
def test_a_damaged_file_is_told_in_the_same_words(tmp_path, monkeypatch, damage):
    path = tmp_path / "a.npz"
    dataset.save(path, data_of())
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    told = set()
    for limit in (10**9, 0):
        monkeypatch.setattr(large, "LIMIT", limit)
        with pytest.raises(Problem, match=r"a.npz: expected arrays of NumPy .* another") as caught:
            dataset.load(path)
        told.add(str(caught.value))
    assert len(told) == 1


def test_what_is_compressed_is_not_mapped(mapped, tmp_path):
    dataset.save(tmp_path / "a.npz", data_of())
    with (
        zipfile.ZipFile(tmp_path / "a.npz") as stored,
        zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    with pytest.raises(Problem, match="compressed arrays"):
        dataset.load(tmp_path / "b.npz")


def trained(folder) -> dict[str, bytes]:
    """What training and evaluation of a network write, in two processes."""
    params = kfold_train.section("simple_nn")(**SIMPLE)
    kfold_train.kfold_train(
        "simple_nn", params, 5, "cpu", folder / "train.npz", folder / "folds.npy", folder,
        folder / "results", folder / "cache",
    )  # fmt: skip
    evaluate.evaluate(
        "resnet18", 1, "cpu", folder / "train.npz", folder, folder / "results", [SIMPLE_NN]
    )
    written = [*(folder / "results").rglob("*.*"), folder / "simple_nn.pth"]
    return {path.name: path.read_bytes() for path in written}


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_training_and_evaluation_give_the_same_bytes(tmp_path, monkeypatch, jobs):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", jobs)
    dataset.save(tmp_path / "train.npz", data_of())
    np.save(tmp_path / "folds.npy", np.arange(40)[np.newaxis] % 2)
    in_memory = trained(tmp_path)
    monkeypatch.setattr(large, "LIMIT", 0)
    monkeypatch.setattr(large, "PART", 5_000)
    assert trained(tmp_path) == in_memory and len(in_memory) == 11


def test_the_journals_key_is_of_the_files_content(tmp_path):
    keys = set()
    for content in (b"a" * 10, b"a" * 10, b"a" * 9 + b"b"):
        (tmp_path / "a").write_bytes(content)
        keys.add(journal.of_stage("stage", tmp_path, [tmp_path / "a"]).key)
    assert len(keys) == 2


def test_what_is_streamed_is_whole_or_not_there(tmp_path):
    def half(file) -> None:
        file.write(b"half")
        raise ZeroDivisionError

    files.write_text(tmp_path / "a", "before")
    with pytest.raises(ZeroDivisionError):
        files.streamed(tmp_path / "a", 4, half)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "before"


# Images of 3 MB on a disk of 4 (of 1,024 pages): to keep them there, and then to write them.
FILLING = """
import os, sys
from pathlib import Path
import numpy as np
from taller.data import dataset
from taller.data.dataset import Dataset
from taller.program import large
from taller.program.errors import Problem
if sys.argv[2] == "named":
    del os.O_TMPFILE
os.chdir(sys.argv[1])
large.LIMIT, large.PART = 0, 10_000
images = np.ones((1000, 3, 32, 32), np.uint8)
data = Dataset(images, np.arange(1000) % 2, ("cat", "dog"))
dataset.save(Path("a.npz"), data.take(slice(10)))
before = Path("a.npz").read_bytes()
rows = large.rows(images, np.arange(1000))
save = lambda: dataset.save(Path("a.npz"), data)
for fill in (lambda: large.rows(images, np.arange(1000)), save):
    try:
        fill()
    except Problem as problem:
        print(problem)
del rows
print(*sorted(path.name for path in Path().iterdir()), Path("a.npz").read_bytes() == before)
save()
found = dataset.load(Path("a.npz")).images
print(*sorted(path.name for path in Path().iterdir()), (found == 1).all())
"""


@pytest.mark.parametrize("kind", ["unnamed", "named"])
def test_a_full_disk_is_one_line_and_leaves_nothing(kind):
    run = on_a_small_disk("4m", sys.executable, "-c", FILLING, "DISK", kind)
    kept, saved, left, after = run.stdout.splitlines()
    assert kept.startswith(".cache: expected 0.0031 GB free for images, found 0.00")
    assert kept.endswith(" GB; take fewer or smaller ones")
    assert saved.startswith("a.npz: expected 3.080 MB free on the disk, found 1.0")
    assert (left, after) == (".cache a.npz True", ".cache a.npz True")


# In as much memory as it has taken when all is imported, and so many bytes more.
LIMITED = """
import json, re, resource, sys
from pathlib import Path
from stages import preprocess
from taller.program import large
place, large.LIMIT, more = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
params = preprocess.Params(**json.loads(sys.argv[4]))
taken = int(re.search(r"VmData:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (taken + more,) * 2)
preprocess.preprocess(params, 7, "noise", place / "data", place / "out", place / "out")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no RLIMIT_DATA: NOT tested")
def test_images_need_not_fit_into_memory(tmp_path):
    pictures(tmp_path / "data/noise/files", 160)  # of 786 kB: 126 MB
    params = json.dumps(PARAMS | {"image_size": 512, "channels": 3})

    def run(limit: int) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", LIMITED, tmp_path, str(limit), "60000000", params],
            cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "LOKY_MAX_CPU_COUNT": "2"},
            capture_output=True, encoding="utf-8",
        )  # fmt: skip

    assert "MemoryError" in run(10**9).stderr
    assert run(10**6).stderr == ""
    assert dataset.load(tmp_path / "out/train.npz").shape == (3, 512, 512)


# Validation of 15 batches, each of 33 MB and, scaled, four times that.
VALIDATED = """
import re, threading
from pathlib import Path
import numpy as np, torch
from stages import kfold_train
from taller.models.scaling import Scaling
from taller.models.simple_nn import SimpleNN
from taller.program import large
from taller.training import engine
from taller.training.batches import Batches, tensor

def taken():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

def watch():
    global peak
    while not done.wait(0.01):
        peak = max(peak, taken())

side, rows = (3, 224, 224), torch.arange(3330)
images = large.zeros((len(rows), *side), np.uint8)
np.ones(31 * 2**20, np.uint8)  # the C library keeps what is smaller, from now on
cpu, scaling = torch.device("cpu"), Scaling((0.5,) * 3, (0.5,) * 3, side[1:])
batches = Batches(tensor(images), torch.zeros_like(rows), rows, 222, cpu, scaling)
before, peak, done = taken(), 0, threading.Event()
thread = threading.Thread(target=watch)
thread.start()
engine.evaluate(SimpleNN(2, side, (8,)), batches)
done.set()
thread.join()
print(peak - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no /proc: NOT tested")
def test_batches_of_what_is_mapped_leave_no_holes_in_memory(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", VALIDATED], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    # Megabytes, of which a batch and its scaling are 300; with holes it is twice as much.
    assert int(run.stdout) < 400
