"""What tests share: the real data, and folders to work in."""
# ruff: noqa: E402

import gc
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
import stages  # noqa: F401 (pins the numerics, before anything else imports NumPy)

# isort: split
import pytest
from filelock import FileLock

from stages import download
from taller.common.files import sha256
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.datasets.splits import stratified_subset
from taller.sources import catalogue

# Tests run side by side: threads that wait for each other leave the cores to the others. It is
# read when torch is first imported, here and in every process that a test starts.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.pop("TALLER_SCHEDULER", None)  # the user's


def pytest_collection_finish() -> None:
    gc.freeze()  # else statsmodels, which collects at each call, looks at every imported module


def downloaded(item: catalogue.Item) -> Path:
    """The folder of an item's files: the pipeline's, or one that is got once for the tests."""
    raw = ROOT / "data" / item.name / "raw"
    if all(
        (raw / name).exists() and sha256(raw / name) == one for name, one in item.sha256.items()
    ):
        return raw
    data = ROOT / ".cache/tests"
    data.mkdir(parents=True, exist_ok=True)
    with FileLock(data / f"{item.name}.lock"):  # the tests run in several processes
        download.download(item.name, data, data / "download")
    return data / item.name / "raw"


@pytest.fixture(scope="session")
def mnist_raw() -> Path:
    """A folder with MNIST's four real files."""
    return downloaded(catalogue.MNIST)


@pytest.fixture(scope="session")
def mnist(mnist_raw) -> tuple[Dataset, Dataset]:
    """MNIST's real training and test images, with writers as groups."""
    return dataset.read_idx("MNIST", mnist_raw)


@pytest.fixture(scope="session")
def digits(mnist) -> Dataset:
    """600 real training images of MNIST, stratified, with writers as groups."""
    return stratified_subset(mnist[0], 600, seed=0)


@pytest.fixture(scope="session")
def lite0_weights() -> Path:
    """The file of EfficientNet-Lite0's real weights."""
    try:
        raw = downloaded(catalogue.EFFICIENTNET_LITE0)
    except UserError as error:
        pytest.skip(f"NOT TESTED: {error}")
    return raw / next(iter(catalogue.EFFICIENTNET_LITE0.sha256))


@pytest.fixture
def workdir(tmp_path, monkeypatch) -> Path:
    """An empty folder with MNIST's params.yaml, which is the current one."""
    shutil.copy(ROOT / "presets/mnist.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path
