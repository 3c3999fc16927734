"""Run the frozen part of a network once per image, and keep what comes out."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import nn

from taller.program.errors import Problem
from taller.program.progress import bar
from taller.training.batches import Prepare

BATCH = 250
PREFIX = "activations-"


@contextmanager
def cached(
    frozen: nn.Sequential,
    images: np.ndarray,
    prepare: Prepare,
    *,
    device: torch.device,
    folder: Path,
    limit: int,
) -> Iterator[np.ndarray]:
    """The activations of every image, in memory, or in a file while the block lasts.

    Parameters
    ----------
    frozen : Sequential
        Run in evaluation mode: batch normalisation uses its stored statistics, so an image's
        activations do not depend on its neighbours.
    images : ndarray of uint8, shape (n, channels, height, width)
    prepare : callable
        From images to the network's inputs.
    folder : Path
        Where the file lies when there is one; made if missing.
    limit : int
        Bytes above which the activations go to a file.

    Yields
    ------
    ndarray of float32, shape (n, ...)
        The images themselves where `frozen` is empty. A memory map when over `limit`; its
        file is gone after the block, and after a kill when the next block begins.

    Raises
    ------
    Problem
        When the file would not fit on the disk.
    """
    for left in folder.glob(f"{PREFIX}*"):  # by a process that was killed
        shutil.rmtree(left)
    if len(frozen) == 0:
        yield images
        return
    frozen.to(device, memory_format=torch.channels_last).eval()
    parts = _run(frozen, images, prepare, device)
    first = next(parts)
    shape = (len(images), *first.shape[1:])
    size = 4 * int(np.prod(shape))
    if size <= limit:
        yield _fill(np.empty(shape, np.float32), chain([first], parts))
        return
    folder.mkdir(parents=True, exist_ok=True)
    # Looked at before: a memory map that finds the disk full kills the process.
    if size > (free := shutil.disk_usage(folder).free):
        raise Problem(
            f"{folder}: expected {size / 1e9:.4f} GB free for the frozen layers' activations, "
            f"found {free / 1e9:.4f} GB; train fewer layers, or on fewer or smaller images"
        )
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder) as place:
        file = np.lib.format.open_memmap(Path(place) / "activations.npy", "w+", np.float32, shape)
        yield _fill(file, chain([first], parts))


def _run(
    frozen: nn.Sequential, images: np.ndarray, prepare: Prepare, device: torch.device
) -> Iterator[np.ndarray]:
    with bar(len(images), "frozen layers", "image") as shown:
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(images[start : start + BATCH]).to(device)
            with torch.inference_mode():
                activations = frozen(prepare(batch)).cpu().numpy()
            shown.update(len(batch))
            yield activations


def _fill(out: np.ndarray, parts: Iterator[np.ndarray]) -> np.ndarray:
    start = 0
    for part in parts:
        out[start : start + len(part)] = part
        start += len(part)
    return out
