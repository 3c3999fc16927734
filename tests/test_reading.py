"""What enters: only files are opened, and only what is expected of them passes."""

import json
import os

import numpy as np
import pandas as pd
import pytest

from taller.data import splits
from taller.program import arrays, reading, tables
from taller.program.arrays import Array
from taller.program.errors import Problem
from taller.program.tables import COUNT, FRACTION, TEXT

WANTED = {"a": Array(("uint8",), 2), "b": Array(("int64", "float32"), 1, 0, 9)}
GOOD = {"a": np.ones((2, 3), np.uint8), "b": np.arange(10)}
COLUMNS = {"name": TEXT, "images": COUNT, "share": FRACTION}


def test_a_file_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes("año".encode())
    assert (reading.content(path), reading.text(path)) == ("año".encode(), "año")


@pytest.mark.parametrize(
    ("make", "found"), [(os.mkdir, "a directory"), (os.mkfifo, "a named pipe")]
)
def test_what_is_no_file_is_refused_without_waiting(tmp_path, make, found):
    make(tmp_path / "thing")
    with pytest.raises(Problem, match=f"thing: expected a file, found {found}$"):
        reading.opened(tmp_path / "thing")


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        reading.opened(tmp_path / "nothing")
    assert caught.value.filename == str(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "expected JSON, found: EOF"),
        ("[" * 100_000, "expected JSON, found: recursion"),
        ('{"a": "1"}', "a: expected a valid integer, found '1'"),
        ('{"a": 1, "b": [2]}', r"b: expected a valid integer, found \[2\]"),
    ],
)
def test_json_that_is_not_as_expected_is_one_line(tmp_path, content, told):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(Problem, match=f"a.json: .*({told})") as caught:
        reading.json(path, dict[str, int])
    assert "\n" not in str(caught.value)


def test_arrays_come_back(tmp_path):
    np.savez(tmp_path / "a.npz", **GOOD)
    found = arrays.read_npz(tmp_path / "a.npz", WANTED)
    for name, array in GOOD.items():
        assert found[name].dtype == array.dtype and found[name].flags.writeable
        np.testing.assert_array_equal(found[name], array)
    np.save(tmp_path / "b.npy", GOOD["b"])
    np.testing.assert_array_equal(arrays.read_npy(tmp_path / "b.npy", WANTED["b"]), GOOD["b"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"b": GOOD["b"].astype(">i8")}, "b: expected int64 or float32, found >i8"),
        ({"b": GOOD["b"] + 1}, "b: expected 0 to 9, found 1 to 10"),
        ({"b": np.full(3, np.nan, np.float32)}, "b: expected 0 to 9, found nan"),
        ({"a": GOOD["a"][0]}, "a: expected 2 dimensions"),
        ({"a": GOOD["a"].astype(object)}, "another file .pickled objects"),
        ({"c": GOOD["a"]}, "expected the arrays a, b, found"),
    ],
)
def test_other_arrays_are_refused(tmp_path, changes, told):
    np.savez(tmp_path / "a.npz", **(GOOD | changes))
    with pytest.raises(Problem, match=told):
        arrays.read_npz(tmp_path / "a.npz", WANTED)


def test_nothing_is_made_that_the_file_does_not_hold(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, GOOD["b"])
    path.write_bytes(path.read_bytes().replace(b"(10,), }      ", b"(10000000,), }"))
    with pytest.raises(Problem, match="tells of 80000000 bytes, and 80"):
        arrays.read_npy(path, WANTED["b"])
    np.savez_compressed(tmp_path / "a.npz", **GOOD)
    with pytest.raises(Problem, match="compressed arrays"):
        arrays.read_npz(tmp_path / "a.npz", WANTED)


def test_a_table_comes_back(tmp_path):
    made = pd.DataFrame({"name": ["NA", "007", 'a"b,'], "images": [0, 1, 2], "share": [0, 1e-3, 1]})
    made.to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_frame_equal(tables.read(tmp_path / "a.csv", COLUMNS), made)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "expected the columns .*, found nothing"),
        ("name,images\n", r"found \['name', 'images'\]"),
        ("name,images,share\n", "expected rows below the header, found none"),
        ("name,images,share\na,1\n", "line 2: expected 3 values, found 2"),
        ("name,images,share\na,1,1\na,1.0,1\n", "line 3: images: expected a whole number from 0"),
        ("name,images,share\na,1,1.01\n", "share: expected a number from 0 to 1, found '1.01'"),
        ("name,images,share\na,1,nan\n", "share: expected a number from 0 to 1, found 'nan'"),
        ("name,images,share\na,1,\n", "share: expected a number .*, found ''"),
        ('name,images,share\n"a,1,1\n', "line 2: expected CSV"),
    ],
)
def test_other_tables_are_refused(tmp_path, content, told):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(Problem, match=rf"a.csv: .*{told}"):
        tables.read(tmp_path / "a.csv", COLUMNS)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(1, 1), (1, 2), (2, 1)], "expected a 2, b 2 once, found 0 times"),
        ([(1, 1), (1, 2), (2, 1), (2, 2), (1, 2)], "expected a 1, b 2 once, found 2 times"),
        ([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)], "expected no a 3, b 1, found a row of it"),
    ],
)
def test_each_row_is_there_once(tmp_path, rows, told):
    table = pd.DataFrame(rows, columns=["a", "b"])
    with pytest.raises(Problem, match=told):
        tables.check_each_once(tmp_path, table, {"a": [1, 2], "b": [1, 2]})


@pytest.mark.parametrize(
    ("folds", "told"),
    [
        ([[0, 1, 2, 0]], None),
        ([[0, 1, 2, 0], [2, 1, 0, 0]], None),
        ([[0, 1, 2, 0], [1, 1, 0, 0]], "repeat 2: expected folds from 0"),
        ([[0, 2, 2, 0]], r"repeat 1: .*, found images of each: \[2, 0, 2\]"),
        ([[0, 0, 0, 0]], r"repeat 1: .*, found images of each: \[4\]"),
        ([[0, 1, 2]], r"fold of each of 4 images, found shape \(1, 3\)"),
        ([0, 1, 2, 0], "expected 2 dimensions"),
        ([[-1, 0, 0, -1]], None),
        ([[-1, -1, -1, -1]], r"found images of each: \[\]"),
        ([[-2, 0, 0, 1]], "expected -1 to 3, found -2"),
        ([[0, 1, 2, 4]], "expected -1 to 3, found 0 to 4"),
    ],
)
def test_folds(tmp_path, folds, told):
    np.save(tmp_path / "folds.npy", np.array(folds))
    if told is None:
        assert splits.load(tmp_path / "folds.npy", 4).tolist() == folds
        return
    with pytest.raises(Problem, match=told):
        splits.load(tmp_path / "folds.npy", 4)


def test_values_are_told_in_one_short_line():
    assert reading.shown("a\nb") == repr("a\nb")
    assert len(reading.shown(list(range(1000)))) < 110
    assert json.loads(reading.shown([1, 2])) == [1, 2]
