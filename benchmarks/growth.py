"""How time grows with the work: the values of an axis in turn, in one process that is warm.

Worker processes have started before, so that no constant flattens the slope.
"""

import time
from collections.abc import Iterator

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
            options = {"jobs": value} if axis == "jobs" else {}
            one = Work(**work if options else work | {axis: value})
            one.data, one.assigned  # noqa: B018 (read and cut outside of what is timed)
            if options or value == values[0]:
                ours.validated(Work(images=1000, epochs=1), **options)
            start = time.perf_counter()
            ours.validated(one, **options)
            seconds = time.perf_counter() - start
            yield {
                "row": axis, "x": value, "images": one.images * one.folds * one.epochs,
                "seconds": seconds,
            }  # fmt: skip


def pictures(counts: list[int]) -> Iterator[dict]:
    """Read so many own pictures, as `benchmarks.own_pictures` measures it."""
    from benchmarks import own_pictures

    for count in counts:
        found = own_pictures.measure(count)
        own, peak = (found[key] / 1e6 for key in ("peak_anonymous", "peak"))
        yield {
            "x": count, "images": count, "seconds": found["seconds"],
            "note": f"{own:.0f} MB of its own, {peak:.0f} MB in all",
        }  # fmt: skip
