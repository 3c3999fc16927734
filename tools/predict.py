"""Say what pictures of your own show, with the trained model.

A model of the digits 0 to 9 looks for a handwritten digit, dark on light or light on dark, one per
picture, whose paper should reach the picture's border; the probabilities of all ten are told. For a
model of other classes a picture is prepared exactly as the training pictures were (for those of
Fashion-MNIST and KMNIST, it is laid on black, and negated if its ground is light), and the two
surest classes are told. Below a probability of 80 % an answer is marked as unsure.

Needs modelos/modelo_final.pth, made by: dvc repro
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from taller.data.idx_sets import MNIST, SETS, SHAPE
from taller.data.picture_modes import flat
from taller.data.pictures import pixels
from taller.models import architectures, store
from taller.models.store import Classifier
from taller.program import files
from taller.program.errors import Problem
from taller.training import engine
from tools import handwriting

DIGITS = MNIST.classes
CATALOGUED = [one.classes for one in SETS.values() if one != MNIST]
MODEL, FACTS = Path("modelos/modelo_final.pth"), Path("resultados/datos.json")
SURE = 0.8
BARS = " ▁▂▃▄▅▆▇█"
LEGIBLE = 224  # pixels, to which small pictures are enlarged


def predict(pictures: list[Path], model: Path = MODEL, save: Path | None = None) -> bool:
    """Print what `model` sees in each picture, and on stderr what is wrong with the others.

    Parameters
    ----------
    save : Path, optional
        Picture to write: the pixels that the network saw of each, side by side.

    Returns
    -------
    bool
        Whether every picture could be read.
    """
    classifier = store.load(model, architectures.ALL)
    digits = reads_digits(classifier, model)
    told = described_digit if digits else described
    seen = []
    for path in pictures:
        try:
            seen.append(digit(path) if digits else prepared(path, classifier))
        except Problem as problem:
            print(f"predict: {problem}", file=sys.stderr)
            continue
        chances = probabilities(classifier, seen[-1])
        print(told(path, chances, classifier.names), flush=True)
    if save and seen:
        write(save, seen)
    return len(seen) == len(pictures)


def reads_digits(classifier: Classifier, model: Path) -> bool:
    """Whether it was trained on what MNIST's images look like.

    Pictures of one's own may have the same classes and size: of the pipeline's model, what
    `preprocess` left tells.
    """
    told = model == MODEL and FACTS.exists()
    own = told and files.read_json(FACTS).get("dataset") != MNIST.name
    return classifier.names == DIGITS and classifier.shape == (1, *SHAPE) and not own


def digit(path: Path) -> np.ndarray:
    """The digit in a picture, set as MNIST's are: uint8, shape (1, 28, 28)."""
    picture = handwriting.read(path)
    try:
        return handwriting.digit(picture)[np.newaxis]
    except Problem as problem:
        raise Problem(f"{path}: {problem}") from None


def prepared(path: Path, classifier: Classifier) -> np.ndarray:
    """A picture as those that the classifier was trained on: uint8, of its shape.

    Raises
    ------
    Problem
        Where they were not square: no picture of a file is made so.
    """
    channels, height, width = classifier.shape
    if height != width:
        raise Problem(f"model: expected one of square pictures, found {height} x {width} pixels")
    if (channels, height, width) == (1, *SHAPE) and classifier.names in CATALOGUED:
        return on_black(path)
    return pixels(path, height, channels)


def on_black(path: Path) -> np.ndarray:
    """A picture as the catalogue's are, bright on black: what lies on a light ground is negated."""
    picture = np.asarray(flat(handwriting.read(path)).convert("L"))
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    if np.median(border) > 127:
        picture = 255 - picture
    square = ImageOps.pad(Image.fromarray(picture), SHAPE, Image.Resampling.BICUBIC, color=0)
    return np.array(square)[np.newaxis]


def probabilities(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    """Of each class, for one picture of uint8, shape (channels, height, width)."""
    inputs = classifier.scaling(torch.from_numpy(image[np.newaxis]))
    logits = engine.predict(classifier.network, [inputs])
    return logits[0].double().softmax(0).numpy()


def described(path: Path, chances: np.ndarray, names: Sequence[str]) -> str:
    """The two surest classes, in one line."""
    second, first = np.argsort(chances, kind="stable")[-2:]
    unsure = "" if chances[first] >= SURE else "  (unsure)"
    return (
        f"{path}: {names[first]} {100 * chances[first]:.1f} %, "
        f"{names[second]} {100 * chances[second]:.1f} %{unsure}"
    )


def described_digit(path: Path, chances: np.ndarray, _names: Sequence[str]) -> str:
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
    """Draw the pictures, each of (channels, height, width), side by side, and small ones larger."""
    zoom = max(1, LEGIBLE // seen[0].shape[1])
    row = np.concatenate(seen, axis=2).repeat(zoom, axis=1).repeat(zoom, axis=2)
    row = row[0] if len(row) == 1 else np.moveaxis(row, 0, -1)
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
        "--model", type=Path, default=MODEL,
        help="which model answers (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--save", type=Path, metavar="FILE.png",
        help="write what the network saw of each picture, side by side",
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
