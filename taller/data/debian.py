"""Fashion-MNIST's four files out of Debian's package: where it is installed, or got for this.

Neither getting nor unpacking it needs to be root.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from taller.data.gz import unpacked
from taller.program import reading
from taller.program.errors import Problem

PACKAGE = "dataset-fashion-mnist"
PLACE = Path("/usr/share/datasets/fashion-mnist")
TOOLS = "apt-get", "dpkg-deb"
OPTIONS = (
    *("-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=1"),
    *("-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20"),
)


def serve(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The files of these names, unpacked.

    Raises
    ------
    Problem
        Naming the package, when it is not installed and there is no apt, or apt cannot get it.
    """
    if PLACE.is_dir():
        yield from _files(PLACE, names)
        return
    if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise Problem(f"Debian's {PACKAGE}: expected it installed, or {lacking[0]} to get it with")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)  # apt lets a user of its own write here, where it is run by root
        _run(folder, "apt-get", "download", *OPTIONS, PACKAGE)
        archives = sorted(folder.glob("*.deb"))
        if not archives:
            raise Problem(f"Debian's {PACKAGE}: expected apt-get to get it, found no file")
        _run(folder, "dpkg-deb", "-x", archives[0].name, "content")
        yield from _files(folder / "content" / PLACE.relative_to("/"), names)


def _run(folder: Path, *command: str) -> None:
    run = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
    )
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["no reason given"]
        raise Problem(f"Debian's {PACKAGE}: {command[0]}: {lines[-1]}")


def _files(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        archive = folder / f"{name}.gz"
        try:
            yield name, unpacked(reading.content(archive), str(archive))
        except OSError as error:
            raise Problem(f"{archive}: expected a .gz file, found: {error.strerror}") from None
