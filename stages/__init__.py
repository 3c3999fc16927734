"""What is pinned here is pinned before any module of a stage imports NumPy and PyTorch."""

import gc

from taller.common import portable

portable.pin()
# Python's search for garbage among what is imported takes a tenth of a stage's start.
gc.set_threshold(100_000)
