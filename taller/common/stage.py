"""Make a program of a stage's function: its arguments, its help, its errors in one line."""

import argparse
import ctypes
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOENT, ENOSPC

from taller.common import numerics, params
from taller.common.terminal import UserError

PR_SET_PDEATHSIG = 1  # linux/prctl.h
EXPECTED = {ENOENT: "this file", ENOSPC: "space on the disk", EDQUOT: "space on the disk"}


def run(stage: Callable[..., None]) -> None:
    """Run `stage` as the program ``python -m stages.NAME``, or ``... NAME ARGUMENT``.

    Its parameters without a default come from the command line, as text; the docstring of its
    module is the help. Ends with 1 after a user's mistake, with 130 after Ctrl-C or SIGTERM.
    """
    name, module = stage.__name__, sys.modules[stage.__module__]
    parser = argparse.ArgumentParser(
        prog=f"python -m {getattr(module.__spec__, 'name', name)}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for one in inspect.signature(stage).parameters.values():
        if one.default is inspect.Parameter.empty:
            parser.add_argument(one.name, metavar=one.name.upper())
    arguments = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with one_line(name):
        params.read("numerics", params.Numerics)  # what `numerics.pin` made of it
        print(numerics.describe(), flush=True)
        stage(**arguments)


@contextmanager
def one_line(program: str) -> Iterator[None]:
    """End the program `program` in one line after what a user, or the machine, can mend."""
    try:
        yield
    except UserError as error:
        sys.exit("\n".join(f"{program}: {line}" for line in str(error).splitlines()))
    except OSError as error:
        file = "" if error.filename is None else f"{error.filename}: "
        expected, actual = EXPECTED.get(error.errno, "access"), error.strerror or error
        sys.exit(f"{program}: {file}expected {expected}, found: {actual}")
    except MemoryError as error:
        sys.exit(f"{program}: expected enough memory, found too little: {error}".rstrip(": "))
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted", file=sys.stderr)
        sys.exit(130)


def end_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Have Linux send this process a signal when its parent ends, or now if that is gone.

    Two runs of a stage would write the same files: one whose DVC was killed must not go on.
    Elsewhere nothing happens.

    Parameters
    ----------
    parent : int
        The process that started this one.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)
