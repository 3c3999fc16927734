"""The benchmark's processes: fresh for each round, told when they fail, and none left behind."""

import os
import sys
import time

import psutil
import pytest

import benchmarks.__main__ as program
from benchmarks import drawing, protocol, results
from benchmarks.parts import Part
from benchmarks.protocol import Case

# What a fresh process runs, and what it cannot.
CASES = """
import os, subprocess, sys
from taller.program import portable

def pinned():
    yield {"x": int(portable.is_pinned())}

def two(number):
    yield {"x": number}
    yield {"x": number + 1, "round": 7}

def absent():
    import a_library_that_nobody_has
    yield {}

def broken():
    yield {"x": 1}
    print("some words before")
    raise ValueError("the last word")

counted = 0

def process():
    global counted
    counted += "made_up_library" in sys.modules
    yield {"x": counted, "round": os.getpid()}

def ends_by_force():
    yield {"x": 1}
    if os.path.exists(os.environ["PYTHONPATH"] + "/left"):
        os.kill(os.getpid(), 9)
    print("a word of the first round")
    open(os.environ["PYTHONPATH"] + "/left", "w").write(str(os.getpid()))

def leaves():
    process = subprocess.Popen(["sleep", "1000"])
    yield {"x": process.pid}
    while True:
        pass

def large():
    program = "import time; a = bytearray(300_000_000); time.sleep(1.2)"
    subprocess.run([sys.executable, "-c", program])
    yield {}
"""


@pytest.fixture
def cases(tmp_path, monkeypatch):
    (tmp_path / "made_up_cases.py").write_text(CASES, encoding="utf-8")
    (tmp_path / "made_up_library.py").touch()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}")


def case(name: str, **options) -> Case:
    return Case(name, f"made_up_cases:{name}", **options)


def measured(one: Case, rounds: int = 1) -> list[dict]:
    with protocol.Processes() as processes:
        return [found for _ in range(rounds) for found in processes.measured(one)]


def test_what_is_missing_or_fails_is_told(cases):
    (missing,) = measured(case("absent"))
    assert missing["note"] == "not installed: a_library_that_nobody_has"
    first, failed = measured(case("broken", note="usually"))
    assert (first["x"], first["note"]) == (1, "usually")
    assert failed["note"] == "failed: ValueError: the last word"


def test_the_end_of_a_round_or_of_what_waits_is_told(cases):
    one = case("ends_by_force")
    with protocol.Processes() as processes:
        assert [found["x"] for found in processes.measured(one)] == [1]
        _, failed = processes.measured(one)
        assert failed["note"] == "failed: ended by signal 9"
        two = case("two", arguments={"number": 1})
        assert len([*processes.measured(two)]) == 2
        (waiting,) = processes._waiting.values()
        waiting.process.kill()
        (failed,) = processes.measured(two)
        assert failed["note"] == "failed: ended by signal 9"
        assert len([*processes.measured(two)]) == 2  # anew


def test_what_is_interrupted_leaves_no_process(cases):
    with protocol.Processes() as processes:
        found = next(processes.measured(case("leaves")))
        assert psutil.pid_exists(found["x"])
        (waiting,) = processes._waiting.values()
    assert not psutil.pid_exists(waiting.process.pid)
    for _ in range(100):  # init has to take notice
        try:
            os.killpg(waiting.process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the session is left")


@pytest.mark.parametrize("numerics", ["portable", "native"])
def test_a_case_computes_with_its_own_numerics(cases, numerics):
    (found,) = measured(case("pinned", numerics=numerics))
    assert found["x"] == (numerics == "portable")


def test_each_round_is_a_fresh_process_that_has_imported_before(cases):
    found = measured(case("process", imports=("made_up_library",)), rounds=3)
    assert [one["x"] for one in found] == [1] * 3  # of what it has counted up
    assert len({one["round"] for one in found}) == 3


def test_memory_is_that_of_all_processes(cases):
    (found,) = measured(case("large"))
    assert 300 < found["largest_mb"] < found["sum_mb"]


def test_cases_take_turns():
    a, b, once = case("a"), case("b"), case("once", rounds=False)
    turns = [(number, one.row) for number, one in protocol.in_turn([a, once, b], 2)]
    assert turns == [(1, "a"), (1, "once"), (1, "b"), (2, "a"), (2, "b")]


def test_parts_can_be_chosen(cases, tmp_path, monkeypatch, capsys):
    made_up = {
        name: Part(name, lambda _, name=name: [case("two", arguments={"number": len(name)})])
        for name in ("one", "other", "third")
    }
    monkeypatch.setattr(program, "PARTS", made_up)
    for function in (results.start, results.add, results.read):
        monkeypatch.setattr(function, "__defaults__", (tmp_path / "results.csv",))
    monkeypatch.setattr(drawing, "draw", lambda frame: None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "other", "--rounds", "1"])
    program.main()
    found = results.read()
    assert [*found["part"]] == ["other", "other"]
    assert [*found["x"]] == [5, 6] and [*found["round"]] == [1, 7]
    assert "other, 1 of 1: two: at 5" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["benchmarks", "another"])
    with pytest.raises(SystemExit):
        program.main()
    assert "choose from" in capsys.readouterr().err
