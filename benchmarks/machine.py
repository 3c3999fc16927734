"""On what machine it was measured; never its name in a network."""

import os

import psutil

from taller.program import portable


def name() -> str:
    """Processor, cores that this process may use, memory."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count()
    return f"{portable.processor()}, {cores} cores, {psutil.virtual_memory().total / 1e9:.0f} GB"
