"""Each stage reads, writes and asks for what dvc.yaml declares, all of it, and nothing else.

Every stage runs for real, on a small subset, while Python tells what it opens (tests/audited.py).
What a stage does under some params only must be declared in any case, and be seen in one of the
runs below: with ImageNet's weights, with letters, with another winner, network or data set. Of
`download`, which is the door to what is outside, only the ways without a network are walked here.
"""

import hashlib
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
import yaml
from audited import Declared, Seen, audit, declared, judged
from dvc.repo import Repo
from small_project import ALL, KEYS, ROOT, copy
from torchvision.models import resnet18

from tools import example_pictures

Runs = dict[str, list[Seen]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, mnist_raw) -> Path:
    project = copy(tmp_path_factory.mktemp("honest") / "project", mnist_raw)
    project.set("preprocess.repeats=2")  # each with a pretrained network of its own
    return project.folder


@pytest.fixture(scope="module")
def stages(folder) -> dict[str, Declared]:
    found = declared(folder)
    assert found.keys() == ALL.keys()
    return found


@pytest.fixture(scope="module")
def runs(folder, stages, tmp_path_factory) -> Runs:
    """What each stage did, run by run."""
    logs = tmp_path_factory.mktemp("logs")
    found: Runs = {name: [] for name in stages}

    def go(name: str, **environment: str) -> None:
        log = logs / f"{name}-{len(found[name])}"
        found[name].append(as_declared(audit(folder, stages[name], log, **environment)))

    for name in stages:
        go(name)
    # In several processes, each of which tells what it does.
    go("kfold_train@simple_nn", LOKY_MAX_CPU_COUNT="2")
    for winner in KEYS:
        with_winner(folder, winner)
        go("compare")

    cache = logs / "torch"
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    params["download"]["weights_url"] = put_weights(cache / "hub/checkpoints")
    params["pretrain"]["source"] = "imagenet"
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for name in ("download", "pretrain"):
        go(name, TORCH_HOME=str(cache))

    params["pretrain"] |= {"source": "glyphs", "images": 256}
    params["preprocess"]["repeats"] = 1
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    # Too few to learn letters from, which the stage would refuse, and to tell how many it reads.
    put_instead(folder / "stages/pretrain.py", "ge=8000", "ge=256")
    put_instead(folder / "taller/training/letters.py", "HELD_OUT = 4000", "HELD_OUT = 256")
    go("pretrain")

    params["pretrain"] |= {"source": "none", "network": "efficientnet_lite0"}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for name in ("pretrain", "finetune", "evaluate", "compare"):
        go(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example_pictures, "THINGS", 6)
        patch.setattr(example_pictures, "SHOTS", 2)
        example_pictures.make(folder / "data/cosas/raw")
    params["dataset"], params["preprocess"]["subset"] = "cosas", None
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    for name in ("download", "preprocess"):
        go(name)
    return found


# Where the files of other params lie, and where those of the declared ones do: DVC puts the params
# into the paths.
PLACES = {
    "data/cosas/files": "data/MNIST/files",
    "data/cosas/raw": "data/MNIST/raw",
    "modelos/efficientnet_lite0": "modelos/resnet18",
    "resultados/efficientnet_lite0": "resultados/resnet18",
}


def as_declared(seen: Seen) -> Seen:
    """What a stage did, as if it had been under the params that dvc.yaml was read with."""
    changed = {}
    for part in fields(seen):
        value = getattr(seen, part.name)
        if isinstance(value, set):
            for place, other in PLACES.items():
                value = {one.replace(place, other) if isinstance(one, str) else one
                         for one in value}  # fmt: skip
        changed[part.name] = value
    return Seen(**changed)


def put_instead(script: Path, text: str, other: str) -> None:
    before = script.read_text(encoding="utf-8")
    assert before.count(text) == 1
    script.write_text(before.replace(text, other), encoding="utf-8")


def with_winner(folder: Path, winner: str) -> None:
    """Give the model the highest scores of all on every fold."""
    for key in KEYS:
        file = folder / f"resultados/{key}/scores.csv"
        text = file.read_text(encoding="utf-8")
        value = "0.9" if key == winner else "0.5"
        text, count = re.subn(r"(,accuracy,).*", rf"\g<1>{value}", text)
        assert count
        file.write_text(text, encoding="utf-8")


def put_weights(folder: Path) -> str:
    """A ResNet-18 as torchvision saves it, in torch's own cache; the address that it is of."""
    folder.mkdir(parents=True)
    torch.save(resnet18().state_dict(), folder / "new.pth")
    digest = hashlib.sha256((folder / "new.pth").read_bytes()).hexdigest()
    (folder / "new.pth").rename(folder / f"resnet18-{digest[:8]}.pth")
    return f"https://example.org/resnet18-{digest[:8]}.pth"


@pytest.mark.parametrize("name", ALL)
def test_a_stage_does_what_it_declares_and_nothing_else(folder, stages, runs, name):
    found = judged(folder, name, stages[name], runs[name])
    if name == "download":  # requests tries on import whether there is IPv6
        found = [line for line in found if "socket" not in line]
    assert found == []


@pytest.mark.parametrize("name", ALL)
def test_whatever_is_no_longer_declared_is_told_by_name(folder, stages, runs, name):
    stage = stages[name]
    for kind in ("deps", "outs", "params"):
        for entry in getattr(stage, kind):
            less = replace(stage, **{kind: getattr(stage, kind) - {entry}})
            told = [line for line in judged(folder, name, less, runs[name]) if "not in its" in line]
            assert told and all(f" {entry}" in line for line in told), (kind, entry)


@pytest.mark.parametrize(
    ("kind", "entry", "told"),
    [
        ("deps", "README.md", "never opens its dep README.md"),
        ("outs", "resultados/more.csv", "never writes its out resultados/more.csv"),
        ("params", "download.timeout", "never uses its param download.timeout"),
    ],
)
@pytest.mark.parametrize("name", ["preprocess", "kfold_train@cnn", "evaluate", "compare"])
def test_whatever_is_declared_and_not_used_is_told_by_name(
    folder, stages, runs, name, kind, entry, told
):
    more = replace(stages[name], **{kind: getattr(stages[name], kind) | {entry}})
    assert judged(folder, name, more, runs[name]) == [f"{name}: {told}"]


def test_workers_are_listened_to(runs):
    alone, together = runs["kfold_train@simple_nn"]
    assert len(alone.processes) == 1 and len(together.processes) > 2


# A stage that is quick, on the project's own params and command line; STATEMENT is what varies.
STAGE = """
import os, random, sqlite3, subprocess, sys, socket
from pathlib import Path
from taller.program import cli, params


class Params(params.Section):
    used: int
    other: int


def one(params: Params, seed: params.Seed) -> None:
    told = Path("data/in.txt").read_text() + str(params.used + params.other)
    folder = Path("data/part")
    (folder / "c.txt").read_text()
    STATEMENT
    Path("out.tmp").write_text(told)
    os.replace("out.tmp", "out.txt")


if __name__ == "__main__":
    cli.main(one)
"""
PIPELINE = {
    "cmd": "python -m stages.one",
    "params": ["numerics", "one", "seed", {"environment.yaml": ["pydantic"]}],
    "deps": ["data/in.txt", "data/part", "stages/one.py", "taller/program"],
    "outs": ["out.txt"],
}
ONE = Declared(
    command=("python", "-m", "stages.one"),
    deps=frozenset(PIPELINE["deps"]),
    outs=frozenset(PIPELINE["outs"]),
    kept=frozenset(),
    params=frozenset({"numerics", "one", "seed"}),
    pins=frozenset({"pydantic"}),
)
CHILD = "open('data/no.txt').read()"
ANOTHER = f"subprocess.run([sys.executable, '-c', {CHILD!r}], check=True)"
# What the stage does besides, and the complaints about it.
DISHONEST = {
    "pass": [],
    "Path('.cache/x').write_text('')": [],
    "list(folder.iterdir())": [],
    "open('data/no.txt').read()": ["reads data/no.txt, which is not in its deps"],
    "open(Path('data/no.txt').resolve(), 'rb')": ["reads data/no.txt, which is not in its deps"],
    "os.open('data/no.txt', os.O_RDONLY)": ["reads data/no.txt, which is not in its deps"],
    "open('data/part/../no.txt')": ["reads data/no.txt, which is not in its deps"],
    "import extra": ["reads extra.py, which is not in its deps"],
    ANOTHER: ["reads data/no.txt, which is not in its deps"],
    "open('data/no.txt', 'r+')": [
        "reads data/no.txt, which is not in its deps",
        "writes data/no.txt, which is not in its outs",
    ],
    "os.listdir('data')": ["lists data, which is not in its deps"],
    "list(Path('data').rglob('*.csv'))": ["lists data, which is not in its deps"],
    "Path('more.txt').write_text('')": ["writes more.txt, which is not in its outs"],
    "Path('out.txt.part').write_text('')": ["writes out.txt.part, which is not in its outs"],
    "Path('gone').write_text(''); os.remove('gone')": [
        "writes gone, which is not in its outs"
    ],
    "sqlite3.connect('by_c.db').execute('create table t (a)')": [
        "writes by_c.db, which is not in its outs"
    ],
    "os.remove('data/no.txt')": ["writes data/no.txt, which is not in its outs"],
    "os.rename('data/no.txt', 'yes.txt')": [
        "writes data/no.txt, which is not in its outs",
        "writes yes.txt, which is not in its outs",
    ],
    "__import__('taller.program.params').program.params.read('hidden', int)": [
        "reads the param hidden, which is not in its params"
    ],
    "open('params.yaml').read()": ["reads params.yaml in stages/one.py, past the schemas"],
    "open('environment.yaml').read()": [],
    "import tqdm": ["computes with tqdm, which is not in its params"],
    "socket.socket()": ["opens a socket (socket.__new__)"],
    "socket.getaddrinfo('127.0.0.1', 80)": ["opens a socket (socket.getaddrinfo)"],
    "socket.socketpair()": [],
    "subprocess.run(['true'])": ["starts true, unseen"],
    "os.system('true')": ["starts true, unseen"],
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A pipeline of one stage."""
    folder = tmp_path_factory.mktemp("small")
    for name, text in {
        "params.yaml": "numerics: native\none:\n  used: 1\n  other: 2\nseed: 3\nhidden: 4\n",
        "environment.yaml": "pydantic: '2'\ntqdm: '4'\n",
        "dvc.yaml": yaml.safe_dump({"stages": {"one": PIPELINE}}),
        "data/in.txt": "", "data/part/a.txt": "", "data/part/c.txt": "", "extra.py": "",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "taller/program", folder / "taller/program")
    (folder / "stages").mkdir()
    Repo.init(str(folder), no_scm=True).close()
    return folder


def complaints_about(small: Path, log: Path, statement: str, stage: str = STAGE) -> list[str]:
    (small / "data/no.txt").write_text("")
    (small / "stages/one.py").write_text(stage.replace("STATEMENT", statement), encoding="utf-8")
    try:
        seen = audit(small, ONE, log)
    finally:
        for name in ("more.txt", "out.txt.part", "by_c.db", "yes.txt"):
            (small / name).unlink(missing_ok=True)
        shutil.rmtree(small / ".cache", ignore_errors=True)
    return [line.removeprefix("one: ") for line in judged(small, "one", ONE, [seen])]


@pytest.mark.parametrize("statement", DISHONEST)
def test_what_a_stage_does_besides_is_told_by_name(small, tmp_path, statement):
    assert complaints_about(small, tmp_path / "log", statement) == DISHONEST[statement]


@pytest.mark.parametrize(
    ("text", "instead", "told"),
    [
        (" + params.other", "", "never uses its param one.other"),
        (", seed: params.Seed", "", "never uses its param seed"),
        ('Path("data/in.txt").read_text()', '""', "never opens its dep data/in.txt"),
        ('(folder / "c.txt").read_text()', "", "never opens its dep data/part"),
        (
            'os.replace("out.tmp", "out.txt")',
            'os.remove("out.tmp")',
            "never writes its out out.txt",
        ),
    ],
)
def test_what_a_stage_leaves_undone_is_told_by_name(small, tmp_path, text, instead, told):
    assert text in STAGE
    stage = STAGE.replace(text, instead)
    found = complaints_about(small, tmp_path / "log", "pass", stage)
    assert any(line.startswith(told) for line in found)


def test_what_dvc_reads_is_what_is_declared(small):
    assert declared(small) == {"one": ONE}
