"""The catalogue beyond MNIST: Fashion-MNIST's real files, and sets known by their archives."""

import gzip
import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from torchvision import datasets

from taller.data import debian, idx, idx_files, idx_source, sources
from taller.data.idx_sets import FASHION, KMNIST, NAMES, SETS
from taller.program.errors import Problem
from taller.report import compared, words

ROOT = Path(__file__).parents[1]
LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture(scope="module")
def fashion() -> Path:
    """Fashion-MNIST's four real files, out of Debian's package."""
    if not debian.PLACE.is_dir() and not all(map(shutil.which, debian.TOOLS)):
        pytest.skip("no apt here: Fashion-MNIST is NOT tested")
    raw = ROOT / ".cache/tests/FashionMNIST/raw"
    raw.mkdir(parents=True, exist_ok=True)
    with FileLock(raw.with_name("lock")):
        try:
            idx_files.get(FASHION, raw, [], timeout=5)
        except Problem as problem:
            if "apt-get: " not in str(problem):
                raise
            pytest.skip(f"Fashion-MNIST is NOT tested: {problem}")
    return raw


@pytest.fixture
def packed() -> tuple[idx_files.IdxSet, dict[str, bytes]]:
    """A set of which the checksums of the archives are known, as of KMNIST; and the archives."""
    random, archives = np.random.default_rng(0), {}
    for name in NAMES:
        shape = (30, 4, 4) if "images" in name else (30,)
        levels = random.integers(0, 10, shape, dtype=np.uint8)
        archives[f"{name}.gz"] = gzip.compress(idx.encode(levels), mtime=0)
    sums = {name: hashlib.sha256(archives[f"{name}.gz"]).hexdigest() for name in NAMES}
    return replace(KMNIST, packed=sums), archives


def test_the_names_folders_and_classes_are_torchvisions(tmp_path):
    for name, one in SETS.items():
        theirs = getattr(datasets, name)
        classes = tuple(re.sub(" - .*", "", label) for label in theirs.classes)
        assert one.classes == classes
        empty = theirs.__new__(theirs)
        empty.root = tmp_path
        assert Path(empty.raw_folder) == sources.raw(tmp_path, name)
        assert {name.partition(".")[0] for name in NAMES} == {
            Path(resource).stem for resource, _ in theirs.resources
        }


def test_debians_package_has_fashion_mnist_as_torchvision_reads_it(fashion):
    train, test = idx_source.read(FASHION, fashion)
    theirs = datasets.FashionMNIST(fashion.parents[1], train=True)
    assert np.array_equal(train.images[:, 0], theirs.data.numpy())
    assert np.array_equal(train.labels, theirs.targets.numpy())
    assert (train.shape, len(train), len(test), train.groups) == ((1, 28, 28), 60_000, 10_000, None)
    assert [*train.names] == theirs.classes
    assert test.per_class.tolist() == [1000] * 10


def test_files_of_mnist_are_refused_in_fashion_mnists_place(mnist_raw, tmp_path):
    for name in NAMES:
        shutil.copy(mnist_raw / name, tmp_path)
    with pytest.raises(Problem, match=r"train-images-idx3-ubyte: expected SHA-256 c59f468a\.\.\."):
        idx_files.get(FASHION, tmp_path, [], timeout=5)


def test_a_set_that_is_known_by_its_archives_keeps_them(packed, serve, tmp_path):
    data, archives = packed
    raw = tmp_path / "raw"
    idx_files.get(data, raw, [serve(files=archives).url], timeout=5)
    for name in NAMES:
        assert (raw / f"{name}.gz").read_bytes() == archives[f"{name}.gz"]
        assert (raw / name).read_bytes() == gzip.decompress(archives[f"{name}.gz"])
    idx_files.get(data, raw, [], timeout=5)  # all in place


def test_an_archive_in_place_is_unpacked_and_one_of_another_checksum_refused(packed, tmp_path):
    data, archives = packed
    for name, content in archives.items():
        (tmp_path / name).write_bytes(content)
    idx_files.get(data, tmp_path, [], timeout=5)
    assert (tmp_path / LABELS).read_bytes() == gzip.decompress(archives[f"{LABELS}.gz"])

    (tmp_path / LABELS).unlink()
    other = gzip.compress(gzip.decompress(archives[f"{LABELS}.gz"]), mtime=1)
    (tmp_path / f"{LABELS}.gz").write_bytes(other)
    with pytest.raises(Problem, match=rf"{LABELS}\.gz: expected SHA-256"):
        idx_files.get(data, tmp_path, [], timeout=5)


def test_an_unpacked_file_without_its_archive_cannot_be_checked(packed, tmp_path):
    data, archives = packed
    for name, content in archives.items():
        (tmp_path / name).write_bytes(content)
    idx_files.get(data, tmp_path, [], timeout=5)
    (tmp_path / f"{LABELS}.gz").unlink()
    with pytest.raises(Problem, match=rf"{LABELS}\.gz: expected a \.gz file, found: No such file"):
        idx_files.get(data, tmp_path, [], timeout=5)


def test_what_no_source_serves_is_named_with_what_to_put_where(tmp_path):
    raw = tmp_path / "raw"
    with pytest.raises(Problem) as caught:
        idx_files.get(KMNIST, raw, ["http://127.0.0.1:1/"], timeout=1)
    wanted = ", ".join(f"{name}.gz" for name in NAMES)
    assert str(caught.value).startswith(f"KMNIST: put {wanted} into {raw}, ")


def test_every_set_of_the_catalogue_has_words_and_a_licence_in_the_report():
    assert words.CATALOGUE.keys() == compared.LICENCES.keys() == SETS.keys()
