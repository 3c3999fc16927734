"""The IDX format: what is written comes back, and what is damaged is refused."""

import numpy as np
import pytest

from taller.data import idx
from taller.program.errors import Problem

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4])


def test_the_bytes_are_those_of_the_format():
    assert idx.encode(ARRAY) == HEADER + bytes(range(24))
    assert idx.encode(ARRAY.transpose())[16:20] == bytes([0, 12, 4, 16])


@pytest.mark.parametrize("array", [ARRAY, ARRAY[0, 0], ARRAY[:0], ARRAY[:, ::2]])
def test_what_is_written_comes_back(tmp_path, array):
    file = tmp_path / "array"
    idx.write(file, array)
    found = idx.read(file)
    assert found.dtype == np.uint8
    assert found.shape == array.shape
    assert found.flags.writeable
    np.testing.assert_array_equal(found, array)


def test_the_real_files(mnist_raw):
    for split, count, first in (("train", 60_000, [5, 0, 4, 1, 9]), ("t10k", 10_000, [7, 2, 1])):
        images_file = mnist_raw / f"{split}-images-idx3-ubyte"
        images = idx.read(images_file)
        labels = idx.read(mnist_raw / f"{split}-labels-idx1-ubyte")
        assert images.shape == (count, 28, 28)
        assert labels.shape == (count,)
        assert labels[: len(first)].tolist() == first
        assert idx.encode(images) == images_file.read_bytes()


@pytest.mark.parametrize(
    ("data", "expected", "found"),
    [
        (b"", "IDX of unsigned bytes", "''"),
        (b"\x1f\x8b\x08\x08rest", "IDX of unsigned bytes", "'1f8b0808'"),
        (bytes([0, 0, 13, 1]) + bytes(8), "IDX of unsigned bytes", "'00000d01'"),
        (HEADER[:10], "a header of 16 bytes", "10"),
        (HEADER + bytes(23), "40 bytes for shape (2, 3, 4)", "39"),
        (HEADER + bytes(25), "40 bytes for shape (2, 3, 4)", "41"),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path, data, expected, found):
    file = tmp_path / "damaged"
    file.write_bytes(data)
    with pytest.raises(Problem) as caught:
        idx.read(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: expected {expected}")
    assert message.endswith(f"found {found}")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(Problem, match="nothere: expected an IDX file, found nothing"):
        idx.read(tmp_path / "nothere")


def test_other_types_are_not_written():
    with pytest.raises(TypeError, match="int64"):
        idx.encode(np.zeros(3, np.int64))
