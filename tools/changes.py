"""What changed against another revision of Git, in Markdown, as a reviewer wants to read it.

Of the headline metrics the difference, and whether it exceeds the 95 % intervals: whether the score
there is outside the interval here, and the other way round. Then params, and pictures.
"""

import argparse
import json
import subprocess
import sys

import stages  # noqa: F401 (pins the numerics, before anything else imports NumPy)

# isort: split
from taller.common import files
from taller.common.stage import one_line
from taller.common.terminal import UserError
from taller.statistics.intervals import Estimate
from taller.statistics.results import RESULTS

DETAILS = RESULTS / "detalle.json"
NONE = "None changed."


def changes(revision: str) -> str:
    """The results here against those of a revision; a `UserError` where that has none."""
    text = output("git", "show", f"{revision}:{DETAILS}", expected="a revision with this file")
    here = headlines(files.read_json(DETAILS))
    try:
        before, note = headlines(json.loads(text)), ""
    except (KeyError, TypeError):
        before, note = {}, f"`{DETAILS}` of `{revision}` is of another version: not comparable.\n\n"
    rows = [row(name, before.get(name), here.get(name)) for name in {**before, **here}]
    params = output("dvc", "params", "diff", "--no-path", "--md", revision).strip()
    if params.count("\n") < 2:  # a head without rows
        params = NONE
    names = output("git", "diff", "--name-only", revision, "--", f"{RESULTS}/*.png").split()
    return "\n".join(
        [
            f"## Against `{revision}`\n\n### Headline metrics\n",
            f"{note}| | `{revision}` | here | difference | exceeds the intervals |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            f"\n### Params\n\n{params}\n\n### Pictures\n",
            "\n".join(f"- `{name}`" for name in names) or NONE,
        ]
    )


def output(*command: str, expected: str = "it to end well") -> str:
    """What a command of Git or DVC prints; a `UserError` with its last line where it fails."""
    if command[0] == "dvc":
        command = (sys.executable, "-m", *command)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise UserError(f"{' '.join(command[-2:])}: expected {expected}, found: {reason}")
    return done.stdout


def headlines(details: dict) -> dict[str, tuple[Estimate, str]]:
    """Estimates by what they are of, each with a verdict in a word, or none."""
    metric = details["metric"].replace("_", " ")
    scores = {
        f"{name}, {label}": (Estimate(**one[key]), "")
        for name, one in details["models"].items()
        for key, label in (("cv", f"cross-validated {metric}"), ("test_accuracy", "test accuracy"))
    }
    pairs = {
        f"{name}, {metric}": (Estimate(**pair["difference"]), pair["verdict"])
        for name, pair in details["pairs"].items()
    }
    return scores | pairs


def row(name: str, before: tuple[Estimate, str] | None, here: tuple[Estimate, str] | None) -> str:
    """A line of the table; what one of the two lacks is a dash."""
    cells = [cell(*one) if one else "–" for one in (before, here)]
    difference = exceeds = "–"
    if before and here:
        (old, _), (new, _) = before, here
        difference = f"{round(new.value, 4) - round(old.value, 4):+.4f}".replace(
            "-0.0000", "+0.0000"
        )
        outside = not old.low <= new.value <= old.high and not new.low <= old.value <= new.high
        exceeds = "**yes**" if outside else "no"
    return f"| {' | '.join([name, *cells, difference, exceeds])} |"


def cell(estimate: Estimate, verdict: str) -> str:
    text = "{:.4f} [{:.4f}, {:.4f}]".format(*estimate)
    return f"{text} {verdict}".strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.changes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("revision", metavar="REV", help="such as main, or a commit")
    with one_line("changes"):
        print(changes(parser.parse_args().revision))


if __name__ == "__main__":
    main()
