"""The copies of originals that DVC gets, and originals that are put back from them."""

import os
from pathlib import Path

import pytest
from conftest import on_a_small_disk

from taller.data import shared
from taller.program import files

FILES = {"a/1.png": b"one", "a/x/2.png": b"two", "b/3.png": b"three", "groups.csv": b"file,group"}


@pytest.fixture
def raw(tmp_path) -> Path:
    for name, content in FILES.items():
        file = tmp_path / "raw" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "raw"


@pytest.fixture
def copies(raw) -> Path:
    folder = raw.with_name("files")
    shared.update(folder, shared.of(raw))
    return folder


def held(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in shared.of(folder).items()}


def test_copies_are_files_of_their_own(raw, copies):
    assert held(copies) == held(raw) == FILES
    (copies / "a/1.png").write_bytes(b"changed")
    assert held(raw) == FILES


def test_what_changed_and_nothing_else_is_copied_again(raw, copies):
    before = {name: path.stat().st_ino for name, path in shared.of(copies).items()}
    os.utime(raw / "b/3.png")  # of the same bytes all the same
    (raw / "a/x/2.png").write_bytes(b"TWO")
    (raw / "groups.csv").unlink()
    (raw / "b/4.png").write_bytes(b"four")
    shared.update(copies, shared.of(raw))
    assert held(copies) == held(raw)
    after = {name: path.stat().st_ino for name, path in shared.of(copies).items()}
    assert {name for name, inode in after.items() if before.get(name) != inode} == {
        "a/x/2.png", "b/4.png",
    }  # fmt: skip


def test_nothing_else_stays_among_the_copies(raw, copies):
    """Neither what a killed run left, nor a folder where a file goes, nor a link."""
    (copies / ".1.png.taller.part").write_bytes(b"o")
    (copies / "empty/folder").mkdir(parents=True)
    (copies / "b/3.png").unlink()
    (copies / "b/3.png").mkdir()
    (copies / "b/3.png/inside").write_bytes(b"no")
    (copies / "b/link").symlink_to(raw / "a")
    (copies / "groups.csv").unlink()
    (copies / "groups.csv").symlink_to(raw / "groups.csv")
    shared.update(copies, shared.of(raw))
    assert held(copies) == FILES
    assert sorted(path.relative_to(copies).as_posix() for path in copies.rglob("*")) == sorted(
        [*FILES, "a", "a/x", "b"]
    )
    assert not any(path.is_symlink() for path in copies.rglob("*"))
    assert held(raw) == FILES


def test_links_become_files(raw, copies):
    (raw / "b/5.png").symlink_to("3.png")
    shared.update(copies, shared.of(raw))
    assert held(copies)["b/5.png"] == b"three" and not (copies / "b/5.png").is_symlink()


@pytest.mark.parametrize("empty", [False, True])
def test_originals_that_are_gone_are_put_back(raw, copies, tmp_path, empty):
    raw.rename(tmp_path / "elsewhere")
    if empty:
        raw.mkdir()
    (tmp_path / ".raw.taller.part/left").mkdir(parents=True)  # by a run that was killed
    assert shared.put_back(raw, copies)
    assert held(raw) == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "files", "raw"]


def test_originals_that_are_there_are_not_touched(raw, copies):
    (raw / "a/1.png").unlink()
    assert not shared.put_back(raw, copies)
    assert held(raw) == {name: FILES[name] for name in FILES if name != "a/1.png"}


def test_without_copies_there_is_nothing_to_put_back(tmp_path):
    assert not shared.put_back(tmp_path / "raw", tmp_path / "files")
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_is_one_line(tmp_path):
    original = tmp_path / "big"
    original.write_bytes(bytes(3_000_000))
    script = (
        "import pathlib, sys; from taller.data import shared; "
        "shared.update(pathlib.Path(sys.argv[1]) / 'files', {'big': pathlib.Path(sys.argv[2])})"
    )
    run = on_a_small_disk("1m", os.sys.executable, "-c", script, "DISK", str(original))
    assert "files/big: expected 3.000 MB free on the disk, found " in run.stdout.splitlines()[-1]
    assert files.sha256(original)  # readable, and in place


def test_an_original_that_nobody_may_read_is_named(raw, copies):
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    (raw / "a/9.png").write_bytes(b"nine")
    (raw / "a/9.png").chmod(0)
    with pytest.raises(PermissionError, match=r"raw/a/9\.png"):
        shared.update(copies, shared.of(raw))
