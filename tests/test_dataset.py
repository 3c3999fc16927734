"""A data set on disk and beyond memory: the same values, the same bytes, no leftovers."""

import io
import pickle

import numpy as np
import pytest

from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset


@pytest.fixture
def data() -> Dataset:
    images = np.random.default_rng(1).integers(0, 256, (40, 3, 6, 5), dtype=np.uint8)
    return Dataset(images, np.arange(40) % 2, ("cat", "dog", "eel"), np.arange(40) // 3)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Every image is too many for memory, and a chunk is of few."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dataset, "LIMIT", 0)
    monkeypatch.setattr(dataset, "CHUNK", 500)


def same(one: Dataset, other: Dataset) -> bool:
    pairs = ((one.images, other.images), (one.labels, other.labels), (one.groups, other.groups))
    return one.names == other.names and all(np.array_equal(*pair) for pair in pairs)


def test_it_comes_back_as_it_was_written_and_images_are_mapped(data, tmp_path):
    dataset.save(tmp_path, data)
    loaded = dataset.load(tmp_path)
    assert same(loaded, data) and isinstance(loaded.images, np.memmap)
    assert (len(loaded), loaded.shape, loaded.per_class.tolist()) == (40, (3, 6, 5), [20, 20, 0])
    with pytest.raises(ValueError, match="read-only"):
        loaded.images[0] = 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    dataset.save(tmp_path, loaded)  # over the files that are mapped
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    dataset.save(tmp_path, Dataset(data.images, data.labels, data.names))
    assert dataset.load(tmp_path).groups is None


@pytest.mark.parametrize("large", [False, True])
def test_rows_may_be_taken_in_any_way(request, data, large):
    if large:
        request.getfixturevalue("small")
    numbers = np.array([5, 0, 39, 5])
    for rows in (numbers, data.labels == 1, slice(3, 9), np.array([], int)):
        taken = data.take(rows)
        expected = Dataset(data.images[rows], data.labels[rows], data.names, data.groups[rows])
        assert same(taken, expected)
    assert isinstance(data.take(numbers).images, np.memmap) == large


class Hostile:
    def __reduce__(self) -> tuple:
        return eval, ("open('pwned', 'w')",)


def test_a_file_that_cannot_be_read_is_named_and_never_run(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset.save(tmp_path, data)
    hostile = io.BytesIO()
    np.save(hostile, np.array([Hostile()]), allow_pickle=True)
    for name in ("images.npy", "labels.npy", "groups.npy", "names.json"):
        good = (tmp_path / name).read_bytes()
        for content in (b"", good[:-2], pickle.dumps(Hostile()), hostile.getvalue()):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(UserError, match=f"{name}: expected ") as caught:
                dataset.load(tmp_path)
            assert "\n" not in str(caught.value) and not (tmp_path / "pwned").exists()
        (tmp_path / name).write_bytes(good)
