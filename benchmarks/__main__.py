"""Measure, into benchmarks/results.csv and benchmark.png: python -m benchmarks [PART ...]."""

import argparse
import sys
import time

from benchmarks import drawing, machine, results
from benchmarks.parts import DEFAULT, PARTS
from benchmarks.protocol import Processes, in_turn
from benchmarks.work import FILES
from taller.program import cli
from taller.program.errors import Problem

ROUNDS = 5


def main() -> None:
    arguments = options()
    with cli.one_line("benchmarks"):
        if not FILES.is_dir():
            raise Problem(
                f"{FILES}: expected MNIST, found nothing; get it with: dvc repro download"
            )
        failed = [row for part in arguments.parts or DEFAULT for row in run(part, arguments.rounds)]
        drawing.draw(results.read())
        print(
            f"benchmarks: {results.FILE} and {drawing.FILE}; as a table: python -m benchmarks.table"
        )
        if failed:
            raise Problem(f"expected every row to be measured, these failed: {', '.join(failed)}")


def options() -> argparse.Namespace:
    width = max(map(len, PARTS))
    lines = [f"  {name:{width}}  {part.told}" for name, part in PARTS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__,
        epilog="\n".join(["parts, with their minutes on two cores:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "parts", metavar="PART", nargs="*", choices=[*PARTS, []],
        help=f"default: {' '.join(DEFAULT)}",
    )  # fmt: skip
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N",
        help="how often each case is measured; the median is told (default: %(default)s)",
    )  # fmt: skip
    return parser.parse_args()


def run(part: str, rounds: int) -> list[str]:
    """Measure a part, each record written and told as it comes; the rows that failed."""
    results.start(part)
    turns = [*in_turn(PARTS[part].cases(rounds), rounds)]
    start, name = time.monotonic(), machine.name()
    left_out: dict[str, str] = {}  # and why: it would not go better in the next round
    with Processes() as processes:
        for done, (number, case) in enumerate(turns, start=1):
            for record in () if case.row in left_out else processes.measured(case):
                about = {"machine": name, "part": part, "round": number} | record
                about["row"] = " ".join([case.row, *([record["row"]] if "row" in record else [])])
                results.add(about)
                left = minutes((time.monotonic() - start) * (len(turns) / done - 1))
                print(f"{part}, {done} of {len(turns)}: {told(about)}; {left}", flush=True)
                if "seconds" not in record and "share" not in record:
                    left_out[case.row] = record["note"]
    return [row for row, why in left_out.items() if why.startswith("failed")]


def told(record: dict) -> str:
    """One measurement in a line."""
    forms = {
        "x": "at {:g}", "images": "{:,} images", "seconds": "{:.3g} s",
        "accuracy": "accuracy {:.4f}",
        "share": "share {:.3f}", "note": "{}",
    }  # fmt: skip
    found = [
        form.format(record[key]) for key, form in forms.items() if record.get(key) not in (None, "")
    ]
    return f"{record['row']}: {', '.join(found)}"


def minutes(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min left of this part"


if __name__ == "__main__":
    sys.exit(main())
