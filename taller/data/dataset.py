"""Labelled images on disk: one uncompressed .npz per split, the same bytes for the same data."""

from pathlib import Path

import numpy as np


def save(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write a split.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, 28, 28)
        Grey levels 0 (background) to 255 (ink).
    labels : ndarray of int64, shape (n,)
        Digits 0 to 9.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Uncompressed, because the bytes of a compressed file change with the zlib version.
    np.savez(path, images=images, labels=labels)


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read what `save` wrote: images and labels."""
    with np.load(path) as arrays:
        return arrays["images"], arrays["labels"]
