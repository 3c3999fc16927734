"""The catalogue's data sets: the files' own bytes, and the writers of QMNIST."""

import gzip
import hashlib

import numpy as np
import pytest

from taller.common.terminal import UserError
from taller.datasets import dataset

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
# Column 2 of the first rows of QMNIST's own files, qmnist-train-labels-idx2-int (60,000) and
# qmnist-test-labels-idx2-int (10,000), one behind the other, as they store it: big-endian, 32 bits.
WRITERS_SHA256 = "2e760dbe5c55c15480e4b3be9677bcf241080d9400cf16b4e6721f5b2e9c2da5"


def test_the_real_images_come_as_data_sets(mnist, mnist_raw):
    for data, part, count, first in zip(
        mnist, ("train", "t10k"), (60_000, 10_000), ([5, 0, 4, 1, 9], [7, 2, 1]), strict=True
    ):
        assert (data.images.shape, data.images.dtype) == ((count, 1, 28, 28), np.uint8)
        assert (data.labels.shape, data.labels.dtype) == ((count,), np.int64)
        assert data.labels[: len(first)].tolist() == first and data.names == tuple("0123456789")
        assert (data.groups.shape, data.groups.dtype) == ((count,), np.int64)
        raw = (mnist_raw / f"{part}-images-idx3-ubyte").read_bytes()
        assert data.images.tobytes() == raw[16:]


def test_the_writers_are_qmnists(mnist):
    training, test = (data.groups for data in mnist)
    writers = np.concatenate([training, test]).astype(">i4")
    assert hashlib.sha256(writers.tobytes()).hexdigest() == WRITERS_SHA256
    assert (len({*training}), len({*test})) == (539, 297) and not {*training} & {*test}


def test_other_files_are_refused_in_one_line(mnist_raw, tmp_path):
    good, labels, shape = (mnist_raw / LABELS).read_bytes(), tmp_path / LABELS, (60_000,)
    for data, message in (
        (good[:-1], "expected 60000 bytes behind its header"),
        (b"\0\0\x0d\1" + good[4:], "expected IDX of unsigned bytes, of shape"),
        (good[:5], "expected IDX of unsigned bytes, of shape"),
    ):
        labels.write_bytes(data)
        with pytest.raises(UserError, match=f"{LABELS}: {message}"):
            dataset.read_idx_file(labels, shape)
    (tmp_path / f"{LABELS}.gz").write_bytes(gzip.compress(good)[:-9])
    with pytest.raises(UserError, match=r"ubyte\.gz: expected a complete \.gz file"):
        dataset.read_idx_file(labels, shape)


def test_files_may_be_compressed_and_other_labels_are_refused(mnist, mnist_raw, tmp_path):
    packed = gzip.compress((mnist_raw / IMAGES).read_bytes(), 1)
    (tmp_path / f"{IMAGES}.gz").write_bytes(packed)
    images = dataset.read_idx_file(tmp_path / IMAGES, (60_000, 28, 28))
    assert np.array_equal(images, mnist[0].images[:, 0]) and images.flags.writeable
    (tmp_path / LABELS).write_bytes((mnist_raw / LABELS).read_bytes()[:8] + bytes(60_000))
    with pytest.raises(UserError, match=rf"{LABELS}: expected each of .* 0 to 9, found \[0\]"):
        dataset.read_idx("MNIST", tmp_path)
    (tmp_path / f"{IMAGES}.gz").unlink()
    with pytest.raises(UserError, match=f"{IMAGES}: expected an IDX file, found nothing"):
        dataset.read_idx("MNIST", tmp_path)
