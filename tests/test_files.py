"""Outputs are written completely or not at all; JSON, checksums and seeds."""

import errno
import hashlib
import itertools
import json
import os

import numpy as np
import pytest

from taller.common import files, numerics
from taller.common.terminal import UserError


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_there_when_the_block_has_ended_and_not_before(tmp_path):
    path = tmp_path / "new/folder/a"
    with files.atomic_write(path) as file:
        file.write(b"first")
        assert not path.exists()
    with files.atomic_write(path) as file:
        file.write(b"2")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"2" and names(path.parent) == ["a"]
    with pytest.raises(ZeroDivisionError), files.atomic_write(path) as file:
        file.write(b"after")
        raise ZeroDivisionError
    assert path.read_bytes() == b"2" and names(path.parent) == ["a"]


def test_a_link_into_a_cache_is_replaced_and_the_cache_stays(tmp_path):
    (tmp_path / "cached").write_text("cached")
    (tmp_path / "a").symlink_to(tmp_path / "cached")
    files.write_text(tmp_path / "a", "new")
    assert not (tmp_path / "a").is_symlink() and (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "cached").read_text() == "cached"


def test_an_error_has_the_name_of_the_file(tmp_path):
    with pytest.raises(OSError) as caught, files.atomic_write(tmp_path / "b"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "b"))
    assert names(tmp_path) == []


def test_json_has_six_digits_and_comes_back(tmp_path):
    value = {"a": [1 / 3, 2e-7, (1, True)], "ñ": None, "b": np.float64(2 / 3)}
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert "ñ" in text and text.endswith("}\n") and json.loads(text)["a"][0] == 0.333333
    assert files.read_json(tmp_path / "a.json")["b"] == 0.666667
    with pytest.raises(ValueError):
        files.write_json(tmp_path / "a.json", float("nan"))
    (tmp_path / "b.json").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"b\.json: expected JSON, found: "):
        files.read_json(tmp_path / "b.json")
    assert files.sha256(tmp_path / "b.json") == hashlib.sha256(b"\xff").hexdigest()


def test_seeds_are_those_of_numpys_tree_and_no_two_are_one():
    sequence = np.random.SeedSequence(42, spawn_key=(1, 3))
    assert numerics.fit_seed(42, 1, 2) == int(sequence.generate_state(1, np.uint64)[0]) // 2
    # What the committed results depend on.
    assert (numerics.split_seed(42), numerics.test_seed(42)) == (1187948106, 1911187692)
    places = itertools.product((42, 43), range(3), (None, 0, 1, 2))
    fits = [numerics.fit_seed(*place) for place in places]
    fits += [numerics.pretraining_seed(seed, repeat) for seed in (42, 43) for repeat in range(3)]
    drawn = [of(fit, 1) for fit in fits for of in (numerics.order_seed, numerics.noise_seed)]
    every = [*fits, *drawn, *map(numerics.weights_seed, fits), numerics.tuning_seed(42)]
    assert len({*every}) == len(every) and all(0 <= one < 2**63 for one in every)
