"""The first thing that a stage imports: what is pinned here is pinned before NumPy and PyTorch."""

import gc
import os

PARENT = os.getppid()  # read first: a DVC that is killed during the imports is gone after them

from taller.common import numerics, stage  # noqa: E402

numerics.pin()
# Matplotlib reads it when it is imported: a notebook's names a module that is not installed here.
os.environ["MPLBACKEND"] = "agg"
if "DVC_STAGE" in os.environ:  # DVC sets it; a stage started by hand may go on alone
    stage.end_with_parent(PARENT)
# Python's search for garbage among what is imported takes a tenth of a stage's start.
gc.set_threshold(100_000)
