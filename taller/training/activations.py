"""Run the frozen part of a network once per image, and keep what comes out."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import nn

from taller.program import large
from taller.program.progress import bar
from taller.program.unnamed import unnamed
from taller.training.batches import Prepare, split, tensor

BATCH = 250


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
        The images themselves where `frozen` is empty. A memory map when over `limit`, of a
        file that has no name, so that not even a kill leaves it (or, on a system without such
        files, of one that is gone when the next block begins).

    Raises
    ------
    Problem
        When the file would not fit on the disk.
    """
    for left in folder.glob("taller-*"):  # by a process that was killed
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
    with unnamed(folder) as path:
        large.reserve(
            path, size, folder, "the frozen layers' activations",
            "train fewer layers, or on fewer or smaller images",
        )  # fmt: skip
        file = np.memmap(path, np.float32, "r+", shape=shape)
        yield _fill(file, chain([first], parts))


def _run(
    frozen: nn.Sequential, images: np.ndarray, prepare: Prepare, device: torch.device
) -> Iterator[np.ndarray]:
    with bar(len(images), "frozen layers", "image") as shown:
        start = 0
        # No batch of a single image, for which PyTorch takes other kernels than oneDNN's.
        for size in split(len(images), BATCH):
            batch = tensor(images[start : start + size]).to(device)
            start += size
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
