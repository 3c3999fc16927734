"""Where and with how many threads it is computed; both are part of the result."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from taller.program.errors import Problem


def choose_device(wanted: str) -> torch.device:
    """``auto`` is the GPU where there is one.

    Raises
    ------
    Problem
        When `wanted` is ``cuda`` and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise Problem(
            "params.yaml: device: expected cpu or auto (no GPU is usable here), found cuda"
        )
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with `count` threads inside the block.

    The order in which partial sums are added depends on their number, so it decides the last
    bits of the weights: it is a constant of the run, never the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
