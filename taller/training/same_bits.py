"""Whether another process computes the bits that this one would: on a cluster, some do not."""

import hashlib
import os
import platform
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import torch

from taller.program import portable, sources


def settings() -> dict[str, str]:
    """What decides the bits of a fit in this process, beside the fit itself."""
    pinned = portable.is_pinned() and portable.has_avx2()
    variables = (*portable.PINNED, *portable.UNSET)
    return {
        # By which functions go from one to the other.
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "PyTorch": torch.__version__,
        "NumPy": np.__version__,
        "numerics": "portable" if pinned else f"native on {portable.processor()}",
        "PyTorch's kernels": torch.backends.cpu.get_cpu_capability(),
        **{name: os.environ.get(name, "nothing") for name in variables},
        **_digests(sources.loaded()),
    }


def unlike(expected: dict[str, str], threads: int) -> str:
    """In what this process, a worker, differs from the one that asks, or nothing.

    Parameters
    ----------
    expected : dict
        The `settings` of the process that asks.
    threads : int
        How many fits run here at once. Several would share their random numbers.
    """
    before, now = _when_first_asked(), _digests(sources.everything())
    code = {
        name: digest if now.get(name) == digest else "one that was edited since the worker started"
        for name, digest in before.items()
    }
    found = {**settings(), **code, "threads": str(threads)}
    for name, value in {**expected, "threads": "1"}.items():
        if found.get(name, "nothing") != value:
            return f"expected {name} {value}, found {found.get(name, 'nothing')}"
    return ""


@cache
def _when_first_asked() -> dict[str, str]:
    """Of all code: a worker lives longer than a run, and loads what is edited in between."""
    return _digests(sources.everything())


def _digests(files: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """Of each file, by name: the start of its SHA-256."""
    return {name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for name, path in files}
