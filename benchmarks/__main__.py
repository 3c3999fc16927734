"""Measure how fast, into benchmarks/results.csv: python -m benchmarks [PART ...].

A machine is not as fast now as it was a minute ago: what is compared runs in turn within a round,
each case in a fresh process, and ratios are taken within rounds.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import table
from benchmarks.project import peak_memory
from benchmarks.table import OURS, SAME
from taller.common import numerics, stage
from taller.common.terminal import UserError

ONE_FOLD = "1 of 5 folds"


@dataclass(frozen=True)
class Case:
    """What is measured in one process: `function`, ``module:name``, yields records."""

    row: str
    function: str
    options: dict = field(default_factory=dict)
    portable: bool = False  # numerics are pinned before it starts, or native, as others'
    note: str = ""


def training_case(row: str, prepare: str, note: str = "", **options) -> Case:
    return Case(row, "case:time_training", {"prepare": prepare} | options, "portable" in row, note)


SIMPLE, LAST = {"images": 20_000, "epochs": 2}, {"images": 1000, "epochs": 10}
AXES = {
    "images": [6000, 12_000, 24_000, 60_000],
    "cores": [1, 2, 4, 8, 16],
    "batch": [64, 256, 1024, 4096],
}
# Who is fast is measured on what takes seconds; of who is slow one fold is enough.
PARTS = {
    "simple_nn": [
        training_case(OURS, "ours:simple_nn", **SIMPLE),
        training_case("ours, native", "ours:simple_nn", **SIMPLE),
        training_case("workshop's loop", "workshop:simple_nn", ONE_FOLD, **SIMPLE),
        training_case("workshop's, 2 workers", "workshop:simple_nn", ONE_FOLD, workers=2, **SIMPLE),
        training_case("scikit-learn", "sklearn_peers:mlp", "no dropout", **SIMPLE),
        training_case("skorch", "torch_peers:skorch", **SIMPLE),
        training_case("Lightning", "torch_peers:lightning", ONE_FOLD, **SIMPLE),
        training_case("Keras on JAX", "jax_peers:keras_fit", ONE_FOLD, **SIMPLE),
        training_case("JAX, vmap over folds", "jax_peers:vmap", **SIMPLE),
    ],
    "last_layer": [
        training_case(SAME, "ours:last_layer", **LAST),
        training_case(OURS, "ours:last_layer", "of 10,000 images", **LAST | {"images": 10_000}),
        training_case("workshop's loop", "workshop:last_layer", ONE_FOLD, **LAST),
        training_case("fastai", "torch_peers:fastai", ONE_FOLD, **LAST),
        training_case("timm, scikit-learn", "sklearn_peers:timm_features", "L-BFGS", **LAST),
    ],
    "growth": [
        Case("by", "ours:grow", {"axis": axis, "values": values}, portable=True)
        for axis, values in AXES.items()
    ],
    # Pictures of one's own: a part that runs where it is asked for.
    "photographs": [
        Case(row, "photographs:compare", {"peer": peer}, row == OURS)
        for row, peer in (
            (OURS, "ours"),
            ("fastai", "fastai"),
            ("timm, scikit-learn", "timm_features"),
        )
    ],
    "repro": [Case("dvc repro", "project:nothing_to_do")],
    "pictures": [Case("pictures,", "project:pictures", {"counts": [1000, 5000, 20_000]})],
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--rounds", type=int, default=5, help="(%(default)s; of pictures 1)")
    chosen = parser.parse_args()
    with stage.one_line("benchmarks"):
        if unknown := {*chosen.parts} - {*PARTS}:
            raise UserError(f"expected parts of {', '.join(PARTS)}, found {min(unknown)}")
        failed = []
        for part in chosen.parts or [one for one in PARTS if one != "photographs"]:
            table.forget(part)
            for number in range(1, 1 + (1 if part == "pictures" else chosen.rounds)):
                failed += run(part, number)
        print(table.markdown(table.read()))
        if failed:
            raise UserError(f"expected every case to be measured, failed: {', '.join(failed)}")


def run(part: str, number: int) -> Iterator[str]:
    """Measure each case of a part once; the rows that failed."""
    for case in PARTS[part]:
        try:
            for record in measure(case):
                row = " ".join(filter(None, [case.row, record.pop("row", "")]))
                about = {"machine": machine(), "part": part, "row": row, "round": number}
                table.add(about | {"note": case.note} | record)
                print(f"{part}, round {number}, {row}: {record}", flush=True)
        except UserError as error:
            print(f"{part}, round {number}, {case.row}: failed, {error}", flush=True)
            yield case.row


def measure(case: Case) -> Iterator[dict]:
    """Run a case to its end; what it yielded, with the memory of all its processes."""
    pins = {*numerics.PINNED, *numerics.UNSET}
    environment = {name: value for name, value in os.environ.items() if name not in pins}
    if case.portable and numerics.is_x86():
        environment |= numerics.PINNED
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/log", "w+b") as log:
        file = Path(folder, "records")
        arguments = [case.function, json.dumps(case.options), str(file)]
        # A session of its own, so that all that it starts can be ended.
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.case", *arguments], env=environment,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            peak = peak_memory(process)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode:
            log.seek(0)
            raise UserError(log.read().decode(errors="replace").strip().rpartition("\n")[2])
        for line in file.read_text(encoding="utf-8").splitlines():
            yield {"memory_mb": peak} | json.loads(line)


def machine() -> str:
    """Processor, cores that this process may use, memory; never its name in a network."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return f"{numerics.processor()}, {cores} cores, {psutil.virtual_memory().total / 1e9:.0f} GB"


if __name__ == "__main__":
    main()
