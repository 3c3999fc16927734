"""Many pictures at once, on all cores, in memory that does not grow with their originals.

Threads, as Pillow decodes and resizes outside Python's lock: they cost no memory of their own,
and a process that is killed leaves none behind.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from PIL import Image

from taller.data import pictures
from taller.program import large, progress
from taller.program.errors import Problem

FEW = 64  # pictures that are not worth a thread
# Decoded at one time by all threads: at the worst 16 bytes each. A larger picture goes alone.
PIXELS = 48_000_000
# Bytes of Pillow's pieces of memory. The C library gives such large ones back at once; smaller
# ones it keeps, for each thread.
BLOCK = 64 * 2**20


@dataclass(frozen=True)
class Read:
    """What was read, in the order of the files.

    Attributes
    ----------
    images : ndarray of uint8, shape (n, channels, side, side)
        Undefined where a file had a problem. A memory map where they are many (`large`).
    digests : list of bytes or None
        SHA-256 of each file; None where it had a problem.
    sizes : list of (int, int) or None
        Width and height of each upright original, in pixels.
    several : list of bool
        Which files have several frames, of which the first was taken.
    problems : dict of str to str
        Of each file that could not be read: what was expected and what was found.
    """

    images: np.ndarray
    digests: list[bytes | None]
    sizes: list[tuple[int, int] | None]
    several: list[bool]
    problems: dict[str, str]


def read_all(
    paths: Sequence[Path],
    names: Sequence[str],
    *,
    side: int,
    channels: int,
    workers: int | None = None,
) -> Read:
    """Read pictures; the same, whatever the number of workers.

    Parameters
    ----------
    paths : sequence of Path
    names : sequence of str
        What each of them is called in `Read.problems`.
    side, channels : int
        As for `pictures.pixels`.
    workers : int, optional
        Threads; as many as there are cores, if not given.
    """
    count = len(paths)
    images = large.zeros((count, channels, side, side), np.uint8)
    digests: list[bytes | None] = [None] * count
    sizes: list[tuple[int, int] | None] = [None] * count
    several, problems = [False] * count, {}
    room = _Room(PIXELS)

    def one(place: int) -> Problem | None:
        try:
            read = pictures.read(paths[place], side, channels, room.of)
        except Problem as problem:
            return problem
        images[place], digests[place] = read.pixels, read.digest
        sizes[place], several[place] = read.size, read.several
        return None

    workers = 1 if count <= FEW else workers or joblib.cpu_count()
    with (
        pictures.quiet(),
        _blocks(BLOCK),
        progress.bar(count, "pictures", "picture") as bar,
        _mapped(one, count, workers) as results,
    ):
        for name, problem in zip(names, results, strict=True):
            if problem is not None:
                problems[name] = str(problem)
            bar.update(1)
    return Read(images, digests, sizes, several, problems)


@contextmanager
def _mapped(function: Callable[[int], object], count: int, workers: int) -> Iterator[Iterator]:
    """``map(function, range(count))`` in threads; an interrupt waits for what is in them only."""
    if workers == 1:
        yield map(function, range(count))
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool.map(function, range(count))
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _blocks(size: int) -> Iterator[None]:
    before = Image.core.get_block_size()
    Image.core.set_block_size(size)
    try:
        yield
    finally:
        Image.core.set_block_size(before)


class _Room:
    """So many pixels that may be in memory at a time."""

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._freed = threading.Condition()

    @contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        pixels = min(pixels, self._all)
        with self._freed:
            self._freed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._freed:
                self._free += pixels
                self._freed.notify_all()
