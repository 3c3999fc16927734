"""Run a stage as DVC does, note what it does, and hold that against what dvc.yaml declares.

What Python's audit events do not show: files that a library opens in C or C++ (`torch.save` writes
so; what is written is therefore also seen by a look at the folder before and after), whether a file
is there (`os.stat`), and what another program does, which is a complaint for that reason.
"""

import importlib.util
import json
import os
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from subprocess import run

import yaml
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

HOOK = Path(__file__).with_name("audit")
PARAMS, PINS = "params.yaml", "environment.yaml"
# `ctypes.util.find_library`, which torch calls, asks them where a library is.
LOOKS_UP = {"ldconfig", "gcc", "cc", "ld", "objdump"}
# What no stage declares: activations and the journal, which are made again when they are not there,
# and Python's own copies of the code.
SCRATCH = (".cache", "__pycache__")


@dataclass(frozen=True)
class Declared:
    """What dvc.yaml says of a stage, as DVC reads it.

    Attributes
    ----------
    deps, outs : frozenset of str
        Files, or folders for all that is in them.
    params : frozenset of str
        Keys of params.yaml; a section stands for all that is in it.
    pins : frozenset of str
        Keys of environment.yaml: the packages that it computes with.
    """

    command: tuple[str, ...]
    deps: frozenset[str]
    outs: frozenset[str]
    kept: frozenset[str]  # of the outs, those that DVC leaves in place before a run
    params: frozenset[str]
    pins: frozenset[str] = frozenset()


@dataclass
class Seen:
    """What a stage did; paths are relative to the repository."""

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    params: set[str] = field(default_factory=set)  # keys that it looked up
    uses: set[str] = field(default_factory=set)  # of these, and of their fields, that it asked for
    unwatched: set[str] = field(default_factory=set)  # files that read params.yaml on their own
    sockets: set[str] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)  # top-level modules, libraries' too
    processes: set[int] = field(default_factory=set)

    def __or__(self, other: "Seen") -> "Seen":
        return Seen(**{name: own | getattr(other, name) for name, own in vars(self).items()})


def declared(folder: Path) -> dict[str, Declared]:
    """Every stage of a pipeline, by the name under which DVC runs it."""
    found = {}
    with Repo(str(folder)) as repo:
        for stage in repo.index.stages:
            params = defaultdict(set)
            for dep in stage.deps:
                if isinstance(dep, ParamsDependency):
                    params[dep.def_path] |= {*dep.params}
            found[stage.name] = Declared(
                command=(*shlex.split(stage.cmd),),
                deps=frozenset(
                    dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)
                ),
                outs=frozenset(out.def_path for out in stage.outs),
                kept=frozenset(out.def_path for out in stage.outs if out.persist),
                params=frozenset(params.pop(PARAMS, ())),
                pins=frozenset(params.pop(PINS, ())),
            )
            assert not params, f"{stage.name}: params of {', '.join(params)}"
    return found


def audit(folder: Path, stage: Declared, log: Path, **environment: str) -> Seen:
    """Run a stage's command in `folder`, its outputs removed, and tell what it did."""
    for out in stage.outs - stage.kept:
        remove(folder / out)
    before = snapshot(folder)
    program, *arguments = stage.command
    assert program == "python", stage.command
    done = run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **os.environ, "LOKY_MAX_CPU_COUNT": "1", "PYTHONPATH": str(HOOK),
            "AUDIT_ROOT": str(folder), "AUDIT_LOG": str(log), **environment,
        },
        capture_output=True,
        encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    after = snapshot(folder)
    seen = heard(log)
    seen.writes |= {name for name in before | after if before.get(name) != after.get(name)}
    return seen


def remove(path: Path) -> None:
    if path.is_dir():
        for part in path.iterdir():
            remove(part)
    else:
        path.unlink(missing_ok=True)


def snapshot(folder: Path) -> dict[str, tuple[int, ...]]:
    """Every file that is no scratch nor of Git or DVC, with what changes when it is written."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".git", ".dvc", *SCRATCH)]
        for name in names:
            path = Path(place, name)
            told = path.stat()
            found[path.relative_to(folder).as_posix()] = told.st_ino, told.st_size, told.st_mtime_ns
    return found


def heard(log: Path) -> Seen:
    """What the processes of a stage noted."""
    seen, moved = Seen(), {}
    into = {
        "read": seen.reads, "write": seen.writes, "list": seen.lists, "param": seen.params,
        "use": seen.uses, "unwatched": seen.unwatched, "socket": seen.sockets,
        "program": seen.programs, "import": seen.imports,
    }  # fmt: skip
    for line in log.read_text(encoding="utf-8").splitlines():
        process, kind, what = json.loads(line)
        seen.processes.add(process)
        if kind == "rename":
            source, target = what.split("\0")
            moved[source] = target
        else:
            into[kind].add(source_of(what) if kind == "read" else what)
    # A file that is written under another name, and put in place when it is whole, is that file.
    seen.writes -= moved.keys()
    seen.writes |= {*moved.values()} - moved.keys()
    return seen


def source_of(name: str) -> str:
    """The module that a compiled file is of; any other file is itself."""
    return importlib.util.source_from_cache(name) if name.endswith(".pyc") else name


def complaints(name: str, stage: Declared, seen: Seen, values: dict, pins: dict) -> list[str]:
    """What a stage does and does not declare, and what it declares and does not do.

    Parameters
    ----------
    values, pins : dict
        What params.yaml and environment.yaml hold.

    Returns
    -------
    list of str
        A line each, sorted; none where what was declared and what was seen are the same.
    """
    reads = {file for file in seen.reads if not is_scratch(file)} - {PARAMS}
    reads -= {PINS} if stage.pins else set()
    # It may read again what it has written: DVC removes it before.
    readable = stage.deps | stage.outs
    known = LOOKS_UP | {Path(sys.executable).name}  # another Python has the hook, too
    packages = packages_of(seen.imports) & pins.keys()
    told = [
        *(f"reads {file}, which is not in its deps" for file in uncovered(reads, readable)),
        *(f"never opens its dep {dep}" for dep in unused(stage.deps, reads)),
        *(
            f"writes {file}, which is not in its outs"
            for file in uncovered({w for w in seen.writes if not is_scratch(w)}, stage.outs)
        ),
        *(f"never writes its out {out}" for out in unused(stage.outs - stage.kept, seen.writes)),
        *(
            f"lists {folder}, which is not in its deps"
            for folder in uncovered({d for d in seen.lists if not is_scratch(d)}, readable)
        ),
        *(
            f"reads the param {key}, which is not in its params"
            for key in seen.params
            if not any(is_within(key, whole, ".") for whole in stage.params)
        ),
        *(
            f"never uses its param {leaf}"
            for key in stage.params
            for leaf in leaves(key, value_of(values, key))
            if leaf not in seen.uses and leaf not in seen.params
        ),
        *(f"reads {PARAMS} in {file}, past the schemas" for file in seen.unwatched),
        *(f"computes with {one}, which is not in its params" for one in packages - stage.pins),
        *(f"never imports its param {one}" for one in stage.pins - packages),
        *(f"opens a socket ({event})" for event in seen.sockets),
        *(f"starts {one}, unseen" for one in seen.programs if Path(one).name not in known),
    ]
    return sorted(f"{name}: {one}" for one in told)


def is_scratch(file: str) -> bool:
    return any(part in SCRATCH for part in Path(file).parts)


def is_within(name: str, whole: str, separator: str) -> bool:
    return f"{name}{separator}".startswith(f"{whole}{separator}")


def uncovered(files: Iterable[str], listed: Iterable[str]) -> list[str]:
    return [file for file in files if not any(is_within(file, one, "/") for one in listed)]


def unused(listed: Iterable[str], files: Iterable[str]) -> list[str]:
    return [one for one in listed if not any(is_within(file, one, "/") for file in files)]


def value_of(values: dict, key: str) -> object:
    for name in key.split("."):
        values = values[name]
    return values


def leaves(key: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(f"{key}.{name}", part)
    else:
        yield key


@cache
def distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def packages_of(modules: set[str]) -> set[str]:
    """The packages, as an index names them, that the modules come from."""
    known = distributions()
    return {package.lower() for module in modules for package in known.get(module, ())}


def read_yaml(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def judged(folder: Path, name: str, stage: Declared, runs: Sequence[Seen]) -> list[str]:
    """The complaints about a stage, of all its runs together.

    What is read or written under some params only must be declared in any case, and must be
    seen in one of the runs.
    """
    seen = Seen()
    for one in runs:
        seen = seen | one
    return complaints(name, stage, seen, read_yaml(folder / PARAMS), read_yaml(folder / PINS))
