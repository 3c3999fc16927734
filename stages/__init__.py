"""What is pinned here is pinned before NumPy and PyTorch, which any module in it may import."""

from taller.program import portable

portable.pin()
