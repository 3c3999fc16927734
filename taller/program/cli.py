"""Make a program of a stage's function: its params read, its help, its errors in one line."""

import argparse
import inspect
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from errno import ENOENT
from typing import Annotated, NoReturn, get_args, get_origin, get_type_hints

from taller.program import files, params, portable
from taller.program.alone import alone
from taller.program.errors import Problem, Problems


def keys(stage: Callable, item: str | None = None) -> dict[str, tuple[str, object]]:
    """Which argument of a stage comes from where in params.yaml.

    Parameters
    ----------
    stage : callable
        Its argument `params`, annotated with a `params.Section`, is the section of the
        stage's own name; one that is also marked `params.PerItem` is what stands under `item`
        there; an argument annotated with a `params.Key` is that key.
    item : str, optional
        Of the matrix, for a stage that has one; without it the item's section is left out.

    Returns
    -------
    dict
        ``{argument: (key in params.yaml, schema)}``. Arguments not in it are paths, which
        keep their defaults, or the item itself.
    """
    found: dict[str, tuple[str, object]] = {}
    for name, hint in get_type_hints(stage, include_extras=True).items():
        if inspect.isclass(hint) and issubclass(hint, params.Section):
            found[name] = (stage.__name__, hint)
        elif get_origin(hint) is Annotated:
            for mark in get_args(hint):
                if isinstance(mark, params.Key):
                    found[name] = (mark.path, hint)
                elif isinstance(mark, params.PerItem) and item is not None:
                    found[name] = (f"{stage.__name__}.{item}", mark.schema(item))
    return found


def has_items(stage: Callable) -> bool:
    """Whether DVC runs the stage once for every item of a matrix."""
    hints = get_type_hints(stage, include_extras=True).values()
    return any(isinstance(mark, params.PerItem) for hint in hints for mark in get_args(hint))


def main(stage: Callable, kept: Callable[[str], AbstractContextManager] = alone) -> None:
    """Run `stage` as the program ``python -m stages.NAME``, or ``... NAME ITEM``.

    The item is the stage's first argument. Exits with 1 after a `Problem`, or a file that cannot
    be opened, told in one line, and with 130 after Ctrl-C or SIGTERM, so that both clean up.

    Parameters
    ----------
    kept : callable
        Keeps other runs of the stage, by its name, out of the folder.
    """
    items = _items(stage)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with one_line(stage.__name__, f"; run it with: dvc repro {stage.__name__}"):
        params.read("numerics", portable.Numerics)  # what `portable.pin` made of it
        wanted = keys(stage, *items).items()
        arguments = {name: params.read(key, schema) for name, (key, schema) in wanted}
        with kept("@".join([stage.__name__, *items])):
            print(portable.told(), flush=True)
            stage(*items, **arguments)


@contextmanager
def one_line(program: str, remedy: str = "") -> Iterator[None]:
    """End the program `program` in one line after what a user, or the machine, can mend.

    Parameters
    ----------
    remedy : str
        What is told where a file is missing.
    """
    try:
        yield
    except Problems as problems:
        sys.exit("\n".join(f"{program}: {line}" for line in str(problems).splitlines()))
    except Problem as problem:
        _end(program, str(problem))
    except OSError as error:
        file = f"{error.filename}: " if error.filename is not None else ""
        told = error.strerror or error
        if error.errno == ENOENT:
            _end(program, f"{file}{told}{remedy}")
        wanted = "room on the disk" if error.errno in files.FULL else "access"
        _end(program, f"{file}expected {wanted}, found: {told}")
    except MemoryError as error:
        _end(program, f"expected enough memory, found too little: {error}".rstrip(": "))
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted", file=sys.stderr)
        sys.exit(130)


def _end(program: str, told: str) -> NoReturn:
    sys.exit(" ".join(f"{program}: {told}".splitlines()))


def _items(stage: Callable) -> list[str]:
    """The item on the command line, where the stage has any; or the help that was asked for."""
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{stage.__name__}",
        description=f"{sys.modules[stage.__module__].__doc__}\n{_params_help(stage)}",
        epilog="dvc.yaml lists what it reads and writes; run it with: dvc repro " + stage.__name__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if has_items(stage):
        told = f"which of them: the name of its section of params.yaml, {stage.__name__}.ITEM"
        parser.add_argument("item", metavar="ITEM", help=told)
    return list(vars(parser.parse_args()).values())


def _params_help(stage: Callable) -> str:
    lines = ["  numerics", *([f"  {stage.__name__}.ITEM"] if has_items(stage) else [])]
    for key, schema in keys(stage).values():
        fields = schema.model_fields if inspect.isclass(schema) else {}
        lines += [f"  {key}.{field}" for field in fields] or [f"  {key}"]
    title = "Reads from params.yaml (which tells units and ranges):"
    return "\n".join([title, *lines]) if lines else "Reads no params."
