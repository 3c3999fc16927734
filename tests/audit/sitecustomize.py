"""Notes what a Python process does to a repository; with this folder in PYTHONPATH, from its start.

Python imports `sitecustomize` before anything else, in the stage and in every worker that it
starts: what happens while the project is imported is seen as well. What is seen are Python's audit
events (PEP 578); what is written down is a JSON list per line, ``[process, kind, what]``, in
AUDIT_LOG, of what concerns AUDIT_ROOT, the network, and other programs.
"""

import importlib.abc
import importlib.machinery
import json
import os
import sys

ROOT = os.path.realpath(os.environ["AUDIT_ROOT"])
LOG = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
PARAMS = "taller.program.params"
# Read without the schemas, since it decides what may be imported: the file, and its one key.
RAW = {"taller/program/portable.py": "numerics"}
READERS = {"taller/program/params.py", "taller/program/reading.py"}  # on somebody's behalf
LISTINGS = {"os.listdir", "os.scandir"}
NETWORK = {f"socket.{name}" for name in ("connect", "bind", "getaddrinfo", "gethostbyname")}
PROGRAMS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system"}
INTERNET = {2, 10, 30}  # AF_INET, AF_INET6 (of Linux, of macOS)

_noted: set[tuple[str, str]] = set()
_reading: list[str] = []  # keys that taller.program.params is looking up


def note(kind: str, what: str) -> None:
    if (kind, what) not in _noted:
        _noted.add((kind, what))
        os.write(LOG, (json.dumps([os.getpid(), kind, what]) + "\n").encode())


def inside(path: object) -> str | None:
    """A path of the repository, relative to it; None for another one, or an open file's number."""
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    full = os.path.realpath(os.fsdecode(path))
    return os.path.relpath(full, ROOT) if f"{full}/".startswith(f"{ROOT}/") else None


def caller() -> str | None:
    """The file of the repository that asked for it, the innermost that is no reader."""
    frame = sys._getframe()
    while frame := frame.f_back:
        file = frame.f_code.co_filename
        name = None if file.startswith("<") else inside(file)
        if name not in {None, *READERS}:
            return name
    return None


def opened(path: object, mode: object, flags: int) -> None:
    name = inside(path)
    # A folder that is opened is to be listed: that is an event of its own.
    if name is None or os.path.isdir(os.path.join(ROOT, name)):
        return
    access = flags & os.O_ACCMODE
    # A name beside an open folder (as `rmtree` has them) is not one beside the repository's files.
    if access == os.O_RDONLY and not os.path.lexists(os.path.join(ROOT, name)):
        return
    if access != os.O_RDONLY:
        note("write", name)
    if access == os.O_RDONLY or (access == os.O_RDWR and not flags & (os.O_TRUNC | os.O_EXCL)):
        note("read", name)
        if name == "params.yaml" and not _reading:
            by = caller()
            note("param", RAW[by]) if by in RAW else note("unwatched", str(by))


def listed(path: object) -> None:
    # The import system lists the folders that it looks for modules in.
    if "importlib" in sys._getframe(2).f_code.co_filename:
        return
    # To find nothing in a folder that is not there tells no more than to ask whether it is.
    if (name := inside(path)) and os.path.isdir(os.path.join(ROOT, name)):
        note("list", name)


def hook(event: str, args: tuple) -> None:
    if event == "open":
        opened(*args)
    elif event == "import":
        note("import", args[0].partition(".")[0])
    elif event in ("os.rename", "os.link", "os.symlink"):
        source, target = map(inside, args[:2])
        if event == "os.rename" and source and target:
            note("rename", f"{source}\0{target}")
        elif target:
            note("write", target)
    elif event in LISTINGS:
        listed(args[0])
    elif event in NETWORK or (event == "socket.__new__" and args[1] in INTERNET):
        note("socket", event)
    elif event in PROGRAMS:
        note("program", os.fsdecode(args[0] or "?"))


class Watched(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the one module that reads params.yaml, and makes it tell which keys."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != PARAMS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        self.loader, spec.loader = spec.loader, self
        return spec

    def exec_module(self, module) -> None:
        self.loader.exec_module(module)
        read, sections = module.read, {}

        def watched_read(key, *args, **kwargs):
            _reading.append(key)
            try:
                value = read(key, *args, **kwargs)
            finally:
                _reading.pop()
            note("param", key)
            if isinstance(value, module.Section):
                sections[id(value)] = key, value  # kept, so that its number stays its own
            else:
                note("use", key)
            return value

        def used(section, names):
            known = type(section).model_fields
            for name in known.keys() & names if id(section) in sections else ():
                note("use", f"{sections[id(section)][0]}.{name}")

        get, dump = module.Section.__getattribute__, module.Section.model_dump
        copy = module.Section.model_copy

        def watched_get(section, name):
            value = get(section, name)
            if not name.startswith("_"):
                used(section, {name})
            if isinstance(value, module.Section) and id(section) in sections:
                sections[id(value)] = f"{sections[id(section)][0]}.{name}", value
            return value

        def watched_dump(section, **kwargs):
            found = dump(section, **kwargs)
            used(section, set(found))
            return found

        def watched_copy(section, **kwargs):
            found = copy(section, **kwargs)
            if id(section) in sections:
                sections[id(found)] = sections[id(section)][0], found
            return found

        module.read = watched_read
        module.Section.model_copy = watched_copy
        module.Section.__getattribute__ = watched_get
        module.Section.model_dump = watched_dump


sys.meta_path.insert(0, Watched())
sys.addaudithook(hook)
