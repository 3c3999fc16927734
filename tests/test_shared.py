"""The copies of originals that DVC gets, and originals that are put back from them."""

import contextlib
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import on_a_small_disk

from taller.data import shared
from taller.program import files
from taller.program.errors import Problem

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
    update(raw)
    return raw.with_name("files")


def files_in(folder: Path) -> dict[str, Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in found}
    return {name: path for name, path in named.items() if name != shared.SUMS}


def held(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_in(folder).items()}


def update(raw: Path, **options) -> None:
    places = raw.with_name("files"), raw, files_in(raw), raw.with_name("memory.json")
    shared.update(*places, **options)


def put_back(raw: Path) -> bool:
    return shared.put_back(raw, raw.with_name("files"), raw.with_name("memory.json"))


def brought(copies: Path, **changed: bytes) -> None:
    """What DVC does: another version of the copies, whole with its list."""
    shutil.rmtree(copies)
    for name, content in (FILES | changed).items():
        (copies / name).parent.mkdir(parents=True, exist_ok=True)
        (copies / name).write_bytes(content)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}\n"
        for name, path in sorted(files_in(copies).items())
    ]
    (copies / shared.SUMS).write_text("".join(lines), encoding="utf-8")


def test_copies_are_files_of_their_own(raw, copies):
    assert held(copies) == held(raw) == FILES
    (copies / "a/1.png").write_bytes(b"changed")
    assert held(raw) == FILES


def test_what_changed_and_nothing_else_is_copied_again(raw, copies):
    before = {name: path.stat().st_ino for name, path in files_in(copies).items()}
    os.utime(raw / "b/3.png")  # of the same bytes all the same
    (raw / "a/x/2.png").write_bytes(b"TWO")
    (raw / "groups.csv").unlink()
    (raw / "b/4.png").write_bytes(b"four")
    update(raw)
    assert held(copies) == held(raw)
    after = {name: path.stat().st_ino for name, path in files_in(copies).items()}
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
    update(raw)
    assert held(copies) == FILES
    assert sorted(path.relative_to(copies).as_posix() for path in copies.rglob("*")) == sorted(
        [*FILES, "a", "a/x", "b", shared.SUMS]
    )
    assert not any(path.is_symlink() for path in copies.rglob("*"))
    assert held(raw) == FILES


def test_links_become_files(raw, copies):
    (raw / "b/5.png").symlink_to("3.png")
    update(raw)
    assert held(copies)["b/5.png"] == b"three" and not (copies / "b/5.png").is_symlink()


@pytest.mark.parametrize("empty", [False, True])
def test_originals_that_are_gone_are_put_back(raw, copies, tmp_path, empty):
    raw.rename(tmp_path / "elsewhere")
    if empty:
        raw.mkdir()
    (tmp_path / ".raw.taller.part/left").mkdir(parents=True)  # by a run that was killed
    assert put_back(raw)
    assert held(raw) == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "elsewhere", "files", "memory.json", "raw",
    ]  # fmt: skip


def test_originals_that_are_there_are_not_touched(raw, copies):
    (raw / "a/1.png").unlink()
    assert not put_back(raw)
    assert held(raw) == {name: FILES[name] for name in FILES if name != "a/1.png"}


def test_without_copies_there_is_nothing_to_put_back(tmp_path):
    assert not put_back(tmp_path / "raw")
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_is_one_line(tmp_path):
    original = tmp_path / "big"
    original.write_bytes(bytes(3_000_000))
    script = (
        "import pathlib, sys; from taller.data import shared; "
        "disk, big = map(pathlib.Path, sys.argv[1:]); "
        "shared.update(disk / 'files', disk / 'raw', {'big': big}, disk / 'memory.json')"
    )
    run = on_a_small_disk("1m", os.sys.executable, "-c", script, "DISK", str(original))
    assert "files/big: expected 3.000 MB free on the disk, found " in run.stdout.splitlines()[-1]
    assert files.sha256(original)  # readable, and in place


def test_an_original_that_nobody_may_read_is_named(raw, copies):
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    (raw / "a/9.png").write_bytes(b"nine")
    (raw / "a/9.png").chmod(0)
    with pytest.raises(Problem, match=r"^a/9\.png: expected access, found: Permission denied$"):
        update(raw)


def test_equal_times_and_sizes_are_not_taken_for_equal_bytes(raw, copies):
    """Two pictures of one size and age that change places, as when a label is mended."""
    (raw / "a/6.png").write_bytes(b"six")
    for file in (raw / "a/1.png", raw / "a/6.png"):
        os.utime(file, (1, 1))
    update(raw)
    (raw / "a/1.png").rename(raw / "a/5.png")
    (raw / "a/6.png").rename(raw / "a/1.png")
    (raw / "a/5.png").rename(raw / "a/6.png")
    update(raw)
    assert held(copies)["a/1.png"] == b"six" and held(copies)["a/6.png"] == b"one"


def test_the_list_is_sha256sums(copies):
    run = subprocess.run(["sha256sum", "--check", "--quiet", shared.SUMS], cwd=copies)
    assert run.returncode == 0


@pytest.mark.parametrize("forgotten", [False, True])
def test_another_version_that_dvc_brings_is_no_ones_to_throw_away(raw, copies, forgotten):
    brought(copies, **{"b/new.png": b"new"})
    if forgotten:
        raw.with_name("memory.json").unlink()
    before = held(copies)
    with pytest.raises(Problem, match=r"found others \(b/new\.png\).* move .* away .* or delete "):
        update(raw)
    assert held(copies) == before and held(raw) == FILES
    raw.rename(raw.with_name("mine"))  # the first way out
    assert put_back(raw) and held(raw) == before
    update(raw)
    assert held(copies) == before
    brought(copies)
    shutil.rmtree(copies)  # the second one
    update(raw)
    assert held(copies) == held(raw) == before


def test_the_same_version_may_come_again(raw, copies):
    brought(copies)
    raw.with_name("memory.json").unlink()
    update(raw)
    assert held(copies) == FILES


def test_the_catalogues_files_are_right_whatever_is_there(raw, copies):
    brought(copies, **{"b/3.png": b"damaged"})
    update(raw, force=True)
    assert held(copies) == FILES


def test_a_part_of_the_copies_is_not_put_back(raw, copies):
    shutil.rmtree(raw)
    (copies / "b/3.png").unlink()
    with pytest.raises(Problem, match=r"the 4 files that SHA256SUMS lists.*\(b/3\.png\): dvc pull"):
        put_back(raw)
    assert not raw.exists()


def test_after_a_kill_at_any_moment_it_goes_on(raw, tmp_path, monkeypatch):
    """Of a first copy and of a later one: no step leaves what the next run takes for another's."""
    steps = 0

    def once(function):
        def stepped(*args, **kwargs):
            nonlocal steps
            steps -= 1
            if not steps:
                raise KeyboardInterrupt
            return function(*args, **kwargs)

        return stepped

    for name in ("write_text", "write_json"):
        monkeypatch.setattr(files, name, once(getattr(files, name)))
    monkeypatch.setattr(shared, "_copy", once(shared._copy))
    monkeypatch.setattr(shared, "_remove_others", once(shared._remove_others))
    for moment in range(1, 12):
        (raw / "a/1.png").write_bytes(b"%d" % moment)
        if moment % 3 == 0 and moment > 3:
            shutil.rmtree(tmp_path / "files")
        steps = moment
        with contextlib.suppress(KeyboardInterrupt):
            update(raw)
        (raw / "a/1.png").write_bytes(b"again %d" % moment)
        steps = 0
        update(raw)
        assert held(tmp_path / "files") == held(raw)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("raw")])
def test_a_folder_of_the_users_own_is_not_taken(raw, make, force):
    make(raw.with_name("files"))
    raw.with_name("files").joinpath("keep.txt").write_bytes(b"mine")
    with pytest.raises(Problem, match=r"found (a link|others)"):
        update(raw, force=force)
    assert (raw.with_name("files") / "keep.txt").read_bytes() == b"mine"


def test_a_link_to_an_empty_folder_is_no_folder_to_fill(raw, copies, tmp_path):
    raw.rename(tmp_path / "elsewhere")
    (tmp_path / "empty").mkdir()
    raw.symlink_to("empty")
    assert not put_back(raw)
    assert not [path for path in tmp_path.rglob("*.part")]


def test_the_longest_name_is_copied(raw, copies):
    (raw / "a" / ("x" * 251 + ".png")).write_bytes(b"long")
    update(raw)
    assert held(copies) == held(raw)
