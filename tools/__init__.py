"""What is pinned here is pinned before NumPy and PyTorch, which any module in it may import."""

import gc

from taller.program import portable

portable.pin()
# Python's looking for garbage among what is imported is a tenth of the time that a stage starts in.
gc.set_threshold(100_000)
