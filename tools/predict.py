"""Read handwritten digits in pictures of your own, with the trained model.

For each picture, prints the digit and the probabilities of all ten in percent. The digit may be
dark on light or light on dark; one per picture, whose paper should reach the picture's border.
Below a probability of 80 % the answer is marked as unsure, with the runner-up.

Needs modelos/modelo_final.pth, made by: dvc repro
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from taller.models import architectures, store
from taller.models.store import Classifier
from taller.program.errors import Problem
from taller.training import engine
from tools import handwriting

DIGITS = tuple("0123456789")
SURE = 0.8
BARS = " ▁▂▃▄▅▆▇█"
ZOOM = 8


def predict(
    pictures: list[Path], model: Path = Path("modelos/modelo_final.pth"), save: Path | None = None
) -> bool:
    """Print what `model` reads in each picture, and on stderr what is wrong with the others.

    Parameters
    ----------
    save : Path, optional
        Picture to write: the 28 × 28 pixels that the network saw of each, side by side.

    Returns
    -------
    bool
        Whether every picture could be read.
    """
    classifier = load(model)
    seen = []
    for path in pictures:
        try:
            picture = handwriting.read(path)
            try:
                seen.append(handwriting.digit(picture))
            except Problem as problem:
                raise Problem(f"{path}: {problem}") from None
        except Problem as problem:
            print(f"predict: {problem}", file=sys.stderr)
            continue
        print(described(path, probabilities(classifier, seen[-1])), flush=True)
    if save and seen:
        write(save, seen)
    return len(seen) == len(pictures)


def load(model: Path) -> Classifier:
    classifier = store.load(model, architectures.ALL)
    if classifier.names != DIGITS:
        names = classifier.names
        found = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if names[10:] else "")
        raise Problem(f"{model}: expected a model of the digits 0 to 9, found {found}")
    return classifier


def probabilities(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    """Of each digit, shape (10,), for one picture of uint8, shape (28, 28)."""
    inputs = classifier.scaling(torch.from_numpy(image[np.newaxis, np.newaxis]))
    logits = engine.predict(classifier.network, [inputs])
    return logits[0].double().softmax(0).numpy()


def described(path: Path, chances: np.ndarray) -> str:
    """The answer in three lines of at most 71 columns after the name; in a terminal, with bars."""
    second, first = np.argsort(chances)[-2:]
    unsure = "" if chances[first] >= SURE else f"  (unsure; perhaps {second})"
    lines = [
        f"{path}: {first}{unsure}",
        "  digit   " + "".join(f"{digit:6}" for digit in range(10)),
        "  percent " + "".join(f"{100 * chance:6.1f}" for chance in chances),
    ]
    if sys.stdout.isatty() and "utf" in (sys.stdout.encoding or "").lower():
        bars = (BARS[round(chance * (len(BARS) - 1))] for chance in chances)
        lines.append("          " + "".join(f"{bar:>6}" for bar in bars).rstrip())
    return "\n".join(lines)


def write(save: Path, seen: list[np.ndarray]) -> None:
    """Draw the pictures side by side, each pixel ZOOM wide."""
    row = np.hstack(seen).repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
    if save.exists():
        raise Problem(f"{save}: expected nothing there yet, found a file; choose another name")
    try:
        Image.fromarray(row).save(save)
    except (OSError, ValueError) as error:
        raise Problem(f"{save}: expected a picture that can be written, found {error}") from None


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pictures", nargs="+", type=Path, metavar="photo.png")
    parser.add_argument(
        "--model", type=Path, default=Path("modelos/modelo_final.pth"),
        help="which model answers (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--save", type=Path, metavar="FILE.png",
        help="write what the network saw: 28 × 28 pixels of each picture, side by side",
    )  # fmt: skip
    arguments = parser.parse_args()
    try:
        complete = predict(**vars(arguments))
    except Problem as problem:
        sys.exit(f"predict: {problem}")
    except KeyboardInterrupt:
        print("\npredict: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0 if complete else 1)


if __name__ == "__main__":
    main()
