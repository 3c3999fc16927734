"""What training has reached so far: a stage that was stopped goes on from there, bit for bit.

Each fit keeps its last finished epoch in a file outside DVC's outputs, which DVC deletes before it
runs a stage. The files stand under a key of all that decides what they hold, so that after a change
of params, data or code nothing of before is taken up; that of before stays, for a change that is
undone, until the stage has written its outputs: then all that it kept is removed.
"""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from taller.program import files, sources

# Variables by which the libraries that compute are told which instructions to use, and how.
SETTINGS = ("ATEN_", "DNNL_", "MKL_", "NPY_", "ONEDNN_", "OPENBLAS_")
SEAL = hashlib.sha256().digest_size


@dataclass(frozen=True)
class FitJournal:
    """What one fit has reached: for `engine.fit`.

    Attributes
    ----------
    folder : Path
        For this fit alone.
    label : str
        Whose fit it is, for the line that says that it goes on.
    epochs : int
        How many it will have.
    unit : str
        What an epoch is called in that line.
    """

    folder: Path
    label: str
    epochs: int
    unit: str = "epoch"

    def load(self) -> dict | None:
        """What was saved after the last finished epoch, or None; which of them, it prints.

        A file that is damaged or of another fit is left out, which it prints, too.
        """
        for path in sorted(self.folder.glob("*.pt"), reverse=True):
            try:
                content = memoryview(path.read_bytes() if path.is_file() else b"")
            except OSError:
                content = memoryview(b"")
            told = f"expected what {self.label} has reached, found another file; it is left out"
            if content[:SEAL] != self._seal(content[SEAL:]):
                print(f"{path}: {told}", flush=True)
                continue
            saved = io.BytesIO(content[SEAL:])
            reached = torch.load(saved, map_location="cpu", weights_only=True)
            done = len(reached["history"])
            print(f"{self.label}: goes on after {self.unit} {done} of {self.epochs}", flush=True)
            return reached
        return None

    def save(self, reached: dict) -> None:
        """Keep what has been reached, in place of what was before.

        Parameters
        ----------
        reached : dict
            What ``torch.load(..., weights_only=True)`` can give back; its list ``history`` has an
            entry for each epoch.

        Raises
        ------
        Problem
            When the disk is full; what was reached before is kept.
        """
        path = self.folder / f"{len(reached['history']):04}.pt"
        with files.whole(path) as file:
            file.write(bytes(SEAL))
            torch.save(reached, file)
            seal = self._seal(file.getbuffer()[SEAL:])
            file.seek(0)
            file.write(seal)
        for other in self.folder.glob("*.pt"):
            if other != path:
                other.unlink(missing_ok=True)

    def _seal(self, content: memoryview) -> bytes:
        """Of content that is whole, and this fit's: under another key it would differ."""
        digest = hashlib.sha256("/".join(self.folder.parts[-2:]).encode())
        digest.update(content)
        return digest.digest()


@dataclass
class InMemory:
    """What one fit has reached, where there is no folder to keep it in: for `engine.fit`.

    Attributes
    ----------
    reached : dict or None
        What was saved last.
    """

    reached: dict | None

    def load(self) -> dict | None:
        """What was saved last."""
        return self.reached

    def save(self, reached: dict) -> None:
        """Keep what has been reached, in place of what was before."""
        self.reached = reached

    def epochs(self) -> int:
        """How many the fit has behind it."""
        return 0 if self.reached is None else len(self.reached["history"])


@dataclass(frozen=True)
class Journal:
    """What the fits of one stage have reached, with the params, data and code of now.

    Attributes
    ----------
    folder : Path
        Of this stage's journals under any key; absolute, for processes of other folders.
    key : str
        In hex digits.
    """

    folder: Path
    key: str

    def of_fit(self, name: str, label: str, epochs: int, unit: str = "epoch") -> FitJournal:
        """The journal of one fit, whose `name` no other fit of the stage has."""
        return FitJournal(self.folder / self.key / name, label, epochs, unit)

    def forget(self) -> None:
        """The stage has written its outputs: remove what it kept, under this key and others."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # other stages' journals are still there, or none ever was
            self.folder.parent.rmdir()


def of_stage(
    stage: str, folder: Path, inputs: Iterable[Path | np.ndarray], **settings: object
) -> Journal:
    """The journal of a stage, to be opened when all that it will train with is imported.

    Parameters
    ----------
    stage : str
        Its name, with that of the item where it has any.
    folder : Path
        Where all stages' journals are.
    inputs : iterable of Path or ndarray
        What it trains on and from: files, folders of files, or arrays.
    **settings
        What decides how it trains: params, those shared with other stages too.
    """
    parts = [*_environment(), json.dumps(settings, sort_keys=True, default=str).encode(), *_code()]
    digest = hashlib.sha256()
    # Digests are of one length: no two lists of them look alike.
    for part in [*map(_digest, parts), *(one for each in inputs for one in _content(each))]:
        digest.update(part)
    return Journal(folder.absolute() / stage, digest.hexdigest()[:32])


def _environment() -> Iterator[bytes]:
    yield f"{torch.__version__} {np.__version__} {torch.backends.cpu.get_cpu_capability()}".encode()
    for name in sorted(os.environ):
        if name.startswith(SETTINGS):
            yield f"{name}={os.environ[name]}".encode()


def _code() -> Iterator[bytes]:
    """The project's source files that are in use, by name."""
    for name, path in sources.loaded():
        yield name.encode()
        yield path.read_bytes()


def _content(one: Path | np.ndarray) -> Iterator[bytes]:
    """Digests of what an input is called and holds; of a file, which may be larger than memory."""
    if isinstance(one, Path):
        for path in sorted(one.rglob("*")) if one.is_dir() else [one]:
            if path.is_file():
                yield _digest(path.relative_to(one).as_posix().encode())
                with path.open("rb") as file:
                    yield hashlib.file_digest(file, "sha256").digest()
    else:
        yield _digest(f"{one.dtype} {one.shape}".encode())
        yield _digest(np.ascontiguousarray(one).tobytes())


def _digest(part: bytes) -> bytes:
    return hashlib.sha256(part).digest()
