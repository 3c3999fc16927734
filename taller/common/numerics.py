"""What decides the bits of a run: the kernels of libraries, and the seeds of all that is random.

NumPy, SciPy and PyTorch choose their kernels when they are loaded, by what the processor can, and
add in another order from one to the next. `pin` is called before any of them is imported, so that
every x86-64 processor with AVX2 gives the same bits. Seeds grow as a tree from a single one.
"""

import os
import platform
import sys
import warnings
from pathlib import Path

from taller.common import params
from taller.common.terminal import UserError

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


def spawn(seed: int, *place: int) -> int:
    """A seed for one place in the tree under `seed`: 0 to 2^63 - 1.

    Neighbours in the tree, and the same place under other seeds, share nothing: unlike
    ``seed + fold``, with which seeds 42 and 43 would have most of their fits in common. After
    M. E. O'Neill, "Developing a seed_seq Alternative" (2015), as NumPy has it.
    """
    import numpy as np  # after `pin`

    sequence = np.random.SeedSequence(seed, spawn_key=place)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def fit_seed(seed: int, repeat: int = 0, fold: int | None = None) -> int:
    """Return the seed of one fit; that of the fit on all images is the same for any folds."""
    return spawn(seed, repeat, 0 if fold is None else fold + 1)


def split_seed(seed: int, repeat: int = 0) -> int:
    """Decides which images take part, and the folds of a repeat: 0 to 2^32 - 1."""
    return spawn(seed, repeat, 0, 0) % 2**32


def tuning_seed(seed: int) -> int:
    """Decides the split on which hyperparameters are chosen: 0 to 2^32 - 1."""
    return spawn(seed, 0, 0, 1) % 2**32


def test_seed(seed: int) -> int:
    """Decides which pictures are for testing: 0 to 2^32 - 1."""
    return spawn(seed, 0, 0, 2) % 2**32


def pretraining_seed(seed: int, repeat: int = 0) -> int:
    """Decides the fit on other data that a repeat's fine-tuning starts from."""
    return spawn(seed, repeat)


def weights_seed(fit_seed: int) -> int:
    """Decides the initial weights of a fit."""
    return spawn(fit_seed, 0)


def draw_seed(fit_seed: int) -> int:
    """Decides which images are drawn for a fit on some of them: 0 to 2^32 - 1."""
    return spawn(fit_seed, 0, 0) % 2**32


def order_seed(fit_seed: int, epoch: int) -> int:
    """Decides the order of images (or which are drawn) in an epoch, from 1."""
    return spawn(fit_seed, epoch, 0)


def noise_seed(fit_seed: int, epoch: int) -> int:
    """Decides what dropout drops in an epoch, from 1."""
    return spawn(fit_seed, epoch, 1)
