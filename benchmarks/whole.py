"""`dvc repro` as a whole, against DVC's floor: the same graph of stages that do nothing.

In folders under .cache, on the disk of the project; what is there is neither run nor changed.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import floor
from benchmarks.floor import ROOT, Project

REPRO = "dvc", "repro"
# One stage and what follows from it.
PARAM = "    epochs: 10      #", "    epochs: 2       #"
STEPS = ("importing", "loading", "computing", "writing")


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the same disk as the cache, for as long as the block lasts."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache", prefix="bench-") as folder:
        yield Path(folder).resolve()


def repeated(rounds: int) -> Iterator[dict]:
    """With nothing to do, and after going back to old params, which the run cache knows."""
    with scratch() as folder:
        projects = {"": floor.clone(folder / "clone", cache=True), "floor": idle(folder)}
        up_to_date(projects[""])
        projects["floor"].run(*REPRO)
        for project in projects.values():  # once, for the run cache
            switch(project, 0)
            project.run(*REPRO)
        for number in range(1, rounds + 1):
            for told, work in (("nothing to do", None), ("old params", number)):
                for name, project in projects.items():
                    if work is not None:
                        switch(project, work)
                    yield {
                        "row": f"{told} {name}".strip(), "round": number,
                        "seconds": project.run(*REPRO),
                    }  # fmt: skip


def switch(project: Project, number: int) -> None:
    """To the other params, in round 0, and back, in turn."""
    project.replace("params.yaml", *(PARAM if number % 2 == 0 else reversed(PARAM)))


def idle(folder: Path) -> Project:
    (folder / "floor").mkdir()
    return floor.idle(folder / "floor")


def up_to_date(project: Project) -> None:
    """Or what is to be measured would train."""
    done = project.folder / "status.json"
    project.run("sh", "-c", f"dvc status --json > {done}")
    if changed := json.loads(done.read_text(encoding="utf-8")):
        raise RuntimeError(f"expected results of this commit, found {sorted(changed)}; dvc repro")
    done.unlink()


def cold() -> Iterator[dict]:
    """From nothing but MNIST's files: in all, and what each stage spends its seconds on."""
    with scratch() as folder:
        yield {"row": "floor", "seconds": idle(folder).run(*REPRO)}
        project = floor.clone(folder / "clone", cache=False)
        project.replace("dvc.yaml", "cmd: python -m stages.", "cmd: python -m benchmarks.staged ")
        times = folder / "times"
        whole = project.run(*REPRO, BENCHMARKS_TIMES=str(times))
        yield {"seconds": whole}
        spent = [json.loads(line) for line in times.read_text(encoding="utf-8").splitlines()]
        for step in STEPS:
            seconds = sum(one[step] for one in spent)
            yield {"row": step, "seconds": seconds, "share": seconds / whole}
        for one in spent:
            for step in STEPS:
                yield {
                    "row": f"{one['stage']} {step}", "seconds": one[step],
                    "share": one[step] / whole,
                }  # fmt: skip
