"""What a log is told of long work: every tick of every process once, and of a bar now and then."""

import multiprocessing
import os
import pty
import subprocess
import sys
import termios
import threading
from collections import Counter
from pathlib import Path

import pytest

from taller.program import progress

ROOT = Path(__file__).parents[1]
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def clock(monkeypatch):
    """Time that goes by only when the test says so: a list of one number of seconds."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_bar_in_a_log_is_a_line_every_ten_seconds(clock, capsys):
    with progress.bar(60_000, "letters", "letter") as shown:
        for _ in range(25):
            clock[0] += 1
            shown.update(2000)
    lines = ["letters: 20000 of 60000", "letters: 40000 of 60000"]
    assert capsys.readouterr().out.splitlines() == lines


def test_short_work_tells_nothing(clock, capsys):
    with progress.bar(60_000, "letters", "letter") as shown:
        for _ in range(9):
            clock[0] += 1
            shown.update(6000)
    assert capsys.readouterr() == ("", "")


def test_a_bar_without_a_known_end_says_so(clock, capsys):
    with progress.bar(0, "file", "B") as shown:
        clock[0] += 11
        shown.update(512)
    assert capsys.readouterr().out == "file: 512 of unknown\n"


def work(tick, number, epochs):
    for epoch in range(epochs):
        tick(f"fold {number}, epoch {epoch}: señal")


@pytest.mark.parametrize("epochs", [1, 300])
def test_every_tick_of_every_process_is_told_once(capsys, epochs):
    with progress.shared_bar(4 * epochs, "red", "epoch") as tick:
        workers = [SPAWN.Process(target=work, args=(tick, k, epochs)) for k in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 4
    told = capsys.readouterr()
    expected = [f"red: fold {k}, epoch {e}: señal" for k in range(4) for e in range(epochs)]
    assert Counter(told.out.splitlines()) == Counter(expected)
    assert told.err == ""
    # Those of one process come in its order.
    assert [line for line in told.out.splitlines() if "fold 2" in line] == [
        line for line in expected if "fold 2" in line
    ]


def test_lines_come_while_the_work_goes_on(monkeypatch):
    told, first = [], threading.Event()

    def tell(line, flush):
        told.append((line, flush))
        first.set()

    monkeypatch.setattr("builtins.print", tell)
    with progress.shared_bar(2, "red", "epoch") as tick:
        tick("one")
        assert first.wait(30)
        assert told == [("red: one", True)]
        tick("two")
    assert told == [("red: one", True), ("red: two", True)]


def test_ticks_are_told_also_when_the_work_fails(capsys):
    with pytest.raises(ZeroDivisionError), progress.shared_bar(2, "red", "epoch") as tick:
        tick("one")
        raise ZeroDivisionError
    assert capsys.readouterr().out == "red: one\n"


def test_a_message_stays_one_line_of_one_write(capsys):
    with progress.shared_bar(2, "red", "epoch") as tick:
        tick("two\nlines " + 10_000 * "ñ")
        tick("next")
    long, following = capsys.readouterr().out.splitlines()
    assert long.startswith("red: two lines ñ") and len(long.encode()) < 4096
    assert following == "red: next"


ON_A_TERMINAL = """
from taller.program import progress
progress.SECONDS = 0
with progress.bar(7, "letters", "letter") as shown:
    shown.update(7)
with progress.shared_bar(3, "red", "epoch") as tick:
    for _ in range(3):
        tick("not shown")
"""


def test_on_a_terminal_bars_move_and_no_line_is_printed():
    terminal, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    program = subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL], cwd=ROOT, stdout=subprocess.PIPE, stderr=slave
    )
    os.close(slave)
    drawn = b""
    try:
        while part := os.read(terminal, 4096):
            drawn += part
    except OSError:  # how a terminal tells its end
        pass
    printed, _ = program.communicate(timeout=60)
    os.close(terminal)
    assert (program.returncode, printed) == (0, b"")
    assert b"letters:" in drawn and b"red:" in drawn
    assert b"not shown" not in drawn
