"""How time grows with the work: the values of an axis in turn, in one process.

It has trained before, so that what it does once flattens no slope.
"""

import time
from collections.abc import Iterator

from benchmarks import own_pictures
from benchmarks.rows import ours
from benchmarks.work import Work


def grown(work: dict, axes: dict[str, list[int]]) -> Iterator[dict]:
    """Cross-validate SimpleNN at each value of each axis, with the fit on all images.

    That makes K + 1 fits, which train on K times as many images as there are.

    Parameters
    ----------
    work : dict
        Fields of a `Work`: what stays the same.
    axes : dict
        Values of the one field that grows; or of ``jobs``, processes.
    """
    for axis, values in axes.items():
        for value in values:
            jobs = value if axis == "jobs" else None
            one = Work(**work if jobs else work | {axis: value})
            one.data, one.assigned  # noqa: B018 (read and cut outside of what is timed)
            if jobs or value == values[0]:
                ours.validated(Work(images=1000, epochs=1), ours.at_once(jobs))
            start = time.perf_counter()
            ours.validated(one, ours.at_once(jobs))
            seconds = time.perf_counter() - start
            yield {
                "row": axis, "x": value, "images": one.images * one.folds * one.epochs,
                "seconds": seconds,
            }  # fmt: skip


def pictures(counts: list[int]) -> Iterator[dict]:
    """Read so many own pictures, and train on them, as `benchmarks.own_pictures` measures it."""
    for found in own_pictures.measure(counts, own_pictures.STAGES[:2]):
        yield {
            "row": found.stage, "x": found.pictures, "images": found.pictures,
            "seconds": found.seconds,
            "note": f"needs {found.needed:.0f} MB; {found.resident:.0f} MB with mapped files",
        }  # fmt: skip
