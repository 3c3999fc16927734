"""The same bits on every x86-64 processor with AVX2: what decides them, pinned before it loads.

NumPy, SciPy and PyTorch choose their kernels when they are loaded, by what the processor can, and
add in another order from one to the next. `pin` is called before any of them is imported.
"""

import os
import platform
import sys
import warnings
from pathlib import Path

from taller.common import params
from taller.common.errors import UserError

# Everybody's processor from 2013 on. What is capped costs nothing on one that has no more.
PINNED = {
    "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # its convolutions and linear layers
    "ONEDNN_DEFAULT_FPMATH_MODE": "STRICT",
    # Its other matrix products, and vectors' exp, sin and cos: MKL has kernels of its own for each
    # vendor in every other mode, AVX2 too. Its square root differs in this one as well.
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DYNAMIC": "FALSE",  # as many threads as are asked for, be there fewer cores
    "OMP_DYNAMIC": "FALSE",
    # NumPy's AVX2 kernels sort ties in another order from one processor to the next.
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",  # NumPy's and SciPy's matrix products
    "OPENBLAS_NUM_THREADS": "1",
}
# What would undo them, or fewer threads than `threads` asks for.
UNSET = ("NPY_ENABLE_CPU_FEATURES", "OMP_THREAD_LIMIT")
DECIDED_BY = ("numpy", "scipy", "torch")  # modules that read them once, when they are imported
_late = False


def pin() -> None:
    """Pin what decides the bits of this process and those it starts, as params.yaml says.

    Where that cannot be read, as by default: whoever needs a value of it says what is wrong.
    """
    global _late
    try:
        native = params.load().get("numerics") == "native"
    except UserError:
        native = False
    if native:
        for name, value in PINNED.items():
            if os.environ.get(name) == value:  # by the process that started this one
                del os.environ[name]
    elif is_x86() and not is_pinned():
        os.environ.update(PINNED)
        for name in UNSET:
            os.environ.pop(name, None)
        if late := [name for name in DECIDED_BY if name in sys.modules]:
            _late = True
            warnings.warn(f"numerics: {late[0]} was imported before it was pinned", stacklevel=2)


def is_pinned() -> bool:
    """Whether this process computes with pinned kernels."""
    pinned = PINNED.items() <= os.environ.items() and not {*UNSET} & {*os.environ}
    return is_x86() and pinned and not _late


def is_x86() -> bool:
    """Whether this is the architecture that equal bits are promised on."""
    return platform.machine().lower() in ("x86_64", "amd64")


def describe() -> str:
    """One line: how it is computed, and on what processor."""
    if not is_pinned():
        return f"numerics: native on {processor()}: bits as of this processor"
    if not has_avx2():
        return f"numerics: portable on {processor()}, which lacks AVX2: bits as of this processor"
    return f"numerics: portable on {processor()}: pinned to AVX2, as on every x86-64 that has it"


def processor() -> str:
    """The name that the processor gives itself, its family and model, and AVX-512 if it has it."""
    facts = _facts()
    name = facts.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return f"{name} with AVX-512" if "avx512f" in facts.get("flags", "") else name


def has_avx2() -> bool:
    """Whether the processor can what `PINNED` asks for; yes where nobody says."""
    return "avx2" in _facts().get("flags", "avx2").split()


def _facts() -> dict[str, str]:
    """What Linux says of the first processor; elsewhere nothing."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
