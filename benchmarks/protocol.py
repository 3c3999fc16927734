"""How it is measured: each case in a fresh process, without warming up, the cases in turn.

To import what others need takes longer than to measure most of them: each case's libraries are
imported once, in a process that waits, and every round is a copy of it (`benchmarks.case`).

A machine is not as fast now as it was a minute ago: what is compared runs one after another within
a round, ratios are taken within rounds, and the median of the rounds is told.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
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


@dataclass
class Waiting:
    """A process that has imported a case's libraries, in so many seconds."""

    process: subprocess.Popen
    answer: IO[str]
    said: IO[bytes]
    seconds: float = 0.0


class Processes:
    """Measures cases; a context, at whose end none of their processes runs any more."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._files = ExitStack()

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for row in [*self._waiting]:
            self._end(row)
        self._files.close()

    def measured(self, case: Case) -> Iterator[dict]:
        """Run a case; what it yields, with the seconds and the memory of its processes so far.

        What fails yields a record that says so, in its last words.
        """
        waiting = self._waiting.get(case.row) or self._start(case)
        process, start = waiting.process, time.perf_counter()
        with suppress(BrokenPipeError):  # it has ended, which its answer tells
            process.stdin.write("\n")
            process.stdin.flush()
        with memory.watched(process.pid) as peak:
            for line in waiting.answer:
                if line == "null\n":
                    break
                peak.look(process.pid)
                yield {
                    "note": case.note,
                    **json.loads(line),
                    "process_seconds": waiting.seconds + time.perf_counter() - start,
                    "largest_mb": peak.largest / 1e6,
                    "sum_mb": peak.together / 1e6,
                }
            else:
                status = process.wait()  # when it has said why
                words = f"ended by signal {-status}" if status < 0 else last_words(waiting.said)
                yield {"note": f"failed: {words}"}
                self._end(case.row)
                return
        if not (COPIES and case.rounds):
            process.stdin.close()
            process.wait()  # to the end of what it tidies up
            self._end(case.row)

    def _start(self, case: Case) -> Waiting:
        pins = {*portable.PINNED, *portable.UNSET}
        environment = {name: value for name, value in os.environ.items() if name not in pins}
        if case.numerics == "portable" and portable.is_x86():
            environment |= portable.PINNED
        reading, writing = os.pipe()
        answer = self._files.enter_context(open(reading, encoding="utf-8"))  # noqa: SIM115
        said = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        arguments = [case.function, json.dumps(case.arguments), str(writing), *case.imports]
        start = time.perf_counter()
        # A session of its own: all that it starts can be ended, and an interrupt is for us alone.
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.case", *arguments], env=environment,
            pass_fds=[writing], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT,
            encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        waiting = self._waiting[case.row] = Waiting(process, answer, said)
        os.close(writing)
        answer.readline()  # says that all is imported; nothing, if it failed
        waiting.seconds = time.perf_counter() - start
        return waiting

    def _end(self, row: str) -> None:
        """End a case's process, and whatever it has left."""
        waiting = self._waiting.pop(row)
        with suppress(ProcessLookupError):
            os.killpg(waiting.process.pid, signal.SIGKILL)
        waiting.process.wait()
        with suppress(BrokenPipeError):
            waiting.process.stdin.close()


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
