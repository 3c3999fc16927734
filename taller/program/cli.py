"""Make a program of a stage's function: its params read, its help, its errors in one line."""

import argparse
import inspect
import signal
import sys
from collections.abc import Callable
from errno import ENOENT
from typing import Annotated, get_args, get_origin, get_type_hints

from taller.program import params
from taller.program.errors import Problem


def keys(stage: Callable) -> dict[str, tuple[str, object]]:
    """Which argument of a stage comes from where in params.yaml.

    Parameters
    ----------
    stage : callable
        Its argument `params`, annotated with a `params.Section`, is the section of the
        stage's own name; an argument annotated with a `params.Key` is that key.

    Returns
    -------
    dict
        ``{argument: (key in params.yaml, schema)}``. Arguments not in it are paths, which
        keep their defaults.
    """
    found: dict[str, tuple[str, object]] = {}
    for name, hint in get_type_hints(stage, include_extras=True).items():
        if inspect.isclass(hint) and issubclass(hint, params.Section):
            found[name] = (stage.__name__, hint)
        elif get_origin(hint) is Annotated:
            for mark in get_args(hint):
                if isinstance(mark, params.Key):
                    found[name] = (mark.path, hint)
    return found


def main(stage: Callable) -> None:
    """Run `stage` as the program ``python -m stages.NAME``.

    Exits with 1 after a `Problem`, or a file that cannot be opened, told in one line,
    and with 130 after Ctrl-C or SIGTERM, so that both clean up.
    """
    description = sys.modules[stage.__module__].__doc__
    argparse.ArgumentParser(
        prog=f"python -m stages.{stage.__name__}",
        description=f"{description}\n{_params_help(stage)}",
        epilog="dvc.yaml lists what it reads and writes; run it with: dvc repro " + stage.__name__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        stage(**{name: params.read(key, schema) for name, (key, schema) in keys(stage).items()})
    except Problem as problem:
        sys.exit(f"{stage.__name__}: {problem}")
    except OSError as error:
        if error.filename is None:
            raise
        made_by = f"; run it with: dvc repro {stage.__name__}" if error.errno == ENOENT else ""
        sys.exit(f"{stage.__name__}: {error.filename}: {error.strerror}{made_by}")
    except KeyboardInterrupt:
        print(f"\n{stage.__name__}: interrupted", file=sys.stderr)
        sys.exit(130)


def _params_help(stage: Callable) -> str:
    lines = []
    for key, schema in keys(stage).values():
        fields = schema.model_fields if inspect.isclass(schema) else {}
        lines += [f"  {key}.{field}" for field in fields] or [f"  {key}"]
    title = "Reads from params.yaml (which tells units and ranges):"
    return "\n".join([title, *lines]) if lines else "Reads no params."
