"""How it is measured: each case in a fresh process, without warming up, the cases in turn.

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
from dataclasses import dataclass, field
from itertools import takewhile
from typing import IO, Literal

from benchmarks import memory
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
    """

    row: str
    function: str
    arguments: dict = field(default_factory=dict)
    numerics: Literal["native", "portable"] = "native"
    rounds: bool = True
    note: str = ""


def measured(case: Case) -> Iterator[dict]:
    """Run a case; what it yields, with the seconds and the memory of its processes so far.

    What fails yields a record that says so, in its last words.
    """
    pins = {*portable.PINNED, *portable.UNSET}
    environment = {name: value for name, value in os.environ.items() if name not in pins}
    if case.numerics == "portable" and portable.is_x86():
        environment |= portable.PINNED
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "benchmarks.case", case.function, json.dumps(case.arguments)]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as said, open(reading, encoding="utf-8") as answer:
        process = subprocess.Popen(
            [*command, str(writing)], env=environment, pass_fds=[writing],
            stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
        os.close(writing)
        try:
            with memory.watched(process.pid) as peak:
                for line in takewhile(lambda line: line != "null\n", answer):
                    peak.look(memory.psutil.Process(process.pid))
                    yield {
                        "note": case.note,
                        **json.loads(line),
                        "process_seconds": time.perf_counter() - start,
                        "largest_mb": peak.largest / 1e6,
                        "sum_mb": peak.together / 1e6,
                    }
                if process.wait() != 0:
                    yield {"note": f"failed: {last_words(said)}"}
        finally:
            memory.end(process.pid)
            process.wait()


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
