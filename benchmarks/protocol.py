"""How it is measured: each case in a fresh process, without warming up, the cases in turn.

To import what others need takes longer than to measure most of them: each case's libraries are
imported once, in a process that waits, and every round is a copy of it (`benchmarks.case`).

A machine is not as fast now as it was a minute ago: what is compared runs one after another within
a round, ratios are taken within rounds, and the median of the rounds is told.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Literal

from benchmarks import memory
from benchmarks.case import COPIES
from taller.program import portable


@dataclass(frozen=True)
class Case:
    """What is measured in one process.

    Attributes
    ----------
    row : str
        Its name; a record may add to it.
    function : str
        ``module:name`` of what yields the records, given `arguments`.
    numerics : {"native", "portable"}
        Native is what others compute with.
    rounds : bool
        Whether it takes part in every round. One that does not has rounds of its own inside.
    note : str
        For the reader.
    imports : tuple of str
        Modules that it is to have, beside the function's, before it is measured.
    """

    row: str
    function: str
    arguments: dict = field(default_factory=dict)
    numerics: Literal["native", "portable"] = "native"
    rounds: bool = True
    note: str = ""
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Waiting:
    """A process that has imported a case's libraries, in so many seconds."""

    process: subprocess.Popen
    answer: IO[str]
    said: IO[bytes]
    seconds: float


class Processes:
    """Measures cases; a context, at whose end none of their processes runs any more."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._open = ExitStack()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def measured(self, case: Case) -> Iterator[dict]:
        """Run a case; what it yields, with the seconds and the memory of its processes so far.

        What fails yields a record that says so, in its last words.
        """
        waiting = self._waiting.pop(case.row, None) or self._start(case)
        process, start = waiting.process, time.perf_counter()
        process.stdin.write("\n")
        process.stdin.flush()
        with memory.watched(process.pid) as peak:
            for line in waiting.answer:
                if line == "null\n":
                    break
                peak.look(memory.psutil.Process(process.pid))
                yield {
                    "note": case.note,
                    **json.loads(line),
                    "process_seconds": waiting.seconds + time.perf_counter() - start,
                    "largest_mb": peak.largest / 1e6,
                    "sum_mb": peak.together / 1e6,
                }
            else:
                yield {"note": f"failed: {last_words(waiting.said)}"}
                return
        if COPIES and case.rounds:
            self._waiting[case.row] = waiting
        else:
            process.stdin.close()
            process.wait()

    def _start(self, case: Case) -> Waiting:
        pins = {*portable.PINNED, *portable.UNSET}
        environment = {name: value for name, value in os.environ.items() if name not in pins}
        if case.numerics == "portable" and portable.is_x86():
            environment |= portable.PINNED
        reading, writing = os.pipe()
        answer = self._open.enter_context(open(reading, encoding="utf-8"))  # noqa: SIM115
        said = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        arguments = [case.function, json.dumps(case.arguments), str(writing), *case.imports]
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.case", *arguments], env=environment,
            pass_fds=[writing], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT,
            encoding="utf-8",
        )  # fmt: skip
        self._open.callback(_end, process)
        os.close(writing)
        answer.readline()  # says that all is imported; nothing, if it failed
        return Waiting(process, answer, said, time.perf_counter() - start)


def _end(process: subprocess.Popen) -> None:
    memory.end(process.pid)
    process.wait()
    process.stdin.close()


def last_words(said: IO[bytes]) -> str:
    """The last line that is not empty."""
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no word")


def in_turn(cases: Sequence[Case], rounds: int) -> Iterator[tuple[int, Case]]:
    """Every case with the number of its round, from 1: all of a round before the next."""
    for number in range(1, rounds + 1):
        for case in cases:
            if case.rounds or number == 1:
                yield number, case
