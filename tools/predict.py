"""Say what pictures show, with the trained model, in the language of compare.language.

A model of MNIST looks for a handwritten digit, dark on light or light on dark, one per picture,
whose paper should reach the picture's border. For any other model a picture is prepared as the
training pictures were (for one of Fashion-MNIST or KMNIST laid on black, and negated if its ground
is light). The most probable classes follow the answer; below 80 % it is marked as unsure.

Needs modelos/modelo_final.pth, made by: dvc repro
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage

from taller.common import files, params
from taller.common.stage import one_line
from taller.common.terminal import UserError
from taller.datasets import dataset, pictures
from taller.report.language import Language, LanguageName
from taller.training import engine, store
from taller.training.store import Classifier

MODEL, FACTS = Path("modelos/modelo_final.pth"), Path("resultados/datos.json")
FITTING = ("fit", "white")
EXAMPLE = "docs/digit.png"
# What keeps a picture from being read, in WORDS, by a part of its error; the first counts.
REFUSALS = {
    "blank picture": "blank", "in a frame": "framed", "pixels or more": "tiny",
    "exceeds limit": "huge", "expected this file": "absent", "expected access": "absent",
    "HEIC": "heic", "": "damaged",
}  # fmt: skip
SURE = 0.8
SHOWN = 5  # classes
LEGIBLE = 224  # pixels, to which small pictures are enlarged
SIDE, BOX = 28, 20  # MNIST's pixels: of the picture, and of the box that the ink is fitted into
WORKING = 400  # pixels of the longer side, above which a picture is reduced first
COARSE = 64  # the same, to see whether the ink is dark or light
SMALLEST = 12  # pixels of the longer side of a picture that can hold a digit
LEAST_INK = 8  # pixels of the longer side of a digit
FAINTEST = 0.1  # contrast between ink and paper, of the span between black and white
THINNEST, PEN = 2.0, 2.4  # MNIST pixels: strokes that are thinner are brought to the second width


def predict(paths: Sequence[Path], model: Path = MODEL, save: Path | None = None) -> bool:
    """Print what `model` sees in each picture, and on stderr what is wrong with the others.

    Returns whether every picture could be read.

    Parameters
    ----------
    save : Path, optional
        Picture to write: the pixels that the network saw of each, side by side.
    """
    say = Language(params.read("compare.language", LanguageName))
    classifier, images = store.load(model), []
    name = dataset_of(classifier, model)
    for path in paths:
        try:
            images.append(prepare(path, classifier, name, **fitting(model)))
        except UserError as error:
            print(f"predict: {path}: {refusal(path, error, say)}", file=sys.stderr)
            continue
        probabilities = classify(classifier, images[-1])
        print(describe(path, probabilities, classifier.names, say), flush=True)
    if name == "MNIST" and len(images) < len(paths):
        print(f"predict: {say('readable', file=EXAMPLE)}", file=sys.stderr)
    if save and images:
        write(save, images)
    return len(images) == len(paths)


def dataset_of(classifier: Classifier, model: Path) -> str | None:
    """The catalogue's data set that a model is of, as its classes and its images' shape say.

    An image folder may have the same: for the pipeline's model, what `preprocess` wrote decides.
    """
    form = classifier.names, classifier.shape
    names = [name for name in dataset.CLASSES if form == (dataset.CLASSES[name], (1, SIDE, SIDE))]
    if names and model == MODEL and FACTS.exists():
        names = [name for name in names if name == files.read_json(FACTS).get("dataset")]
    return names[0] if names else None


def fitting(model: Path) -> dict:
    """How `preprocess` made squares of the pictures of a model: arguments of `pictures.pixels`."""
    data = files.read_json(FACTS) if model == MODEL and FACTS.exists() else {}
    facts = data.get("pictures") or {}
    return {key: facts[key] for key in FITTING if facts.get(key)}


def prepare(
    path: Path, classifier: Classifier, dataset: str | None, **fitting: object
) -> np.ndarray:
    """A picture as those that the classifier was trained on: uint8, of its shape."""
    channels, side, _ = classifier.shape
    if dataset is None:
        return pictures.pixels(path, side, channels, **fitting)
    pictures.pixels(path, SIDE, 1)  # says what is wrong with a file that cannot be read
    with Image.open(path) as image:
        levels = to_rgb(ImageOps.exif_transpose(image))
    try:
        return (extract_digit(levels) if dataset == "MNIST" else on_black(levels))[np.newaxis]
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def refusal(path: Path, error: UserError, say: Language) -> str:
    """Why `prepare` cannot read a picture, in words of the reader's language."""
    reason = str(error).removeprefix(f"{path}: ")  # a file may be called HEIC
    limits = {"pixels": SMALLEST, "ink": LEAST_INK}
    limits["megapixels"] = 2 * Image.MAX_IMAGE_PIXELS // 10**6  # from there on Pillow decodes none
    return say(next(word for part, word in REFUSALS.items() if part in reason), **limits)


def classify(classifier: Classifier, image: np.ndarray) -> np.ndarray:
    """The probabilities of the classes, for a prepared picture: float64, shape (classes,)."""
    inputs = classifier.scaling(torch.from_numpy(image[np.newaxis]))
    return engine.predict(classifier.network, [inputs])[0].double().softmax(0).numpy()


def describe(path: Path, probabilities: np.ndarray, names: Sequence[str], say: Language) -> str:
    """The answer in a line, and the most probable classes in another one."""
    order = np.argsort(-probabilities, kind="stable")[:SHOWN]
    first, second = names[order[0]], names[order[1]]
    unsure = "" if probabilities[order[0]] >= SURE else f"  ({say('unsure', second=second)})"
    likely = [one for one in order if probabilities[one] >= 0.0005]
    chances = (f"{names[one]}: {say.percent(probabilities[one], 1)}" for one in likely)
    return f"{path}: {first}{unsure}\n  {'   '.join(chances)}"


def write(save: Path, images: Sequence[np.ndarray]) -> None:
    """Draw the pictures, each of (channels, height, width), side by side, and small ones larger."""
    if save.exists():
        raise UserError(f"{save}: expected nothing there yet, found a file; choose another name")
    zoom = max(1, LEGIBLE // images[0].shape[1])
    row = np.concatenate(images, axis=2).repeat(zoom, axis=1).repeat(zoom, axis=2)
    try:
        Image.fromarray(np.moveaxis(row, 0, -1).squeeze()).save(save)
    except (OSError, ValueError) as error:
        raise UserError(f"{save}: expected a picture that can be written, found {error}") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """Red, green and blue; what is transparent gets a paper that shows its ink."""
    if image.mode.startswith("I"):  # of any range; Pillow's conversion would cut it off at 255
        levels = np.asarray(image, np.float64)
        image = Image.fromarray(np.uint8((levels - levels.min()) / (np.ptp(levels) or 1) * 255))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        grey, alpha = np.asarray(image.convert("LA")).transpose(2, 0, 1)
        light = np.multiply(grey, alpha, dtype=np.uint16).sum()
        paper = "white" if light <= 127.5 * alpha.sum() else "black"
        image = Image.alpha_composite(Image.new("RGBA", image.size, paper), image)
    return image.convert("RGB")


def on_black(image: Image.Image) -> np.ndarray:
    """A picture as Fashion-MNIST's are, bright on black: uint8, shape (28, 28)."""
    levels = np.asarray(image.convert("L"))
    image = Image.fromarray(255 - levels if np.median(_border(levels)) > 127 else levels)
    return np.array(ImageOps.pad(image, (SIDE, SIDE), Image.Resampling.BICUBIC, color=0))


def extract_digit(image: Image.Image) -> np.ndarray:
    """Cut the digit out of a picture and set it as MNIST's are set.

    Parameters
    ----------
    image : Image
        In RGB, of any size, with one digit darker than its background or lighter.

    Returns
    -------
    ndarray of uint8, shape (28, 28)
        0 (background) to 255 (ink). As MNIST's makers have it, the ink is fitted into 20 x 20
        pixels, and its centre of mass is in the middle.

    Raises
    ------
    UserError
        Where the picture is too small, has no ink, or a frame around it.
    """
    if max(image.size) < SMALLEST:
        size = "{} × {}".format(*image.size)
        raise UserError(f"expected a picture of {SMALLEST} pixels or more, found {size}")
    image.thumbnail((WORKING, WORKING), Image.Resampling.BOX, reducing_gap=None)
    pixels = np.asarray(image, np.float64) / 255
    if (ink := _isolate(_ink(pixels))) is None:
        framed = abs(np.median(_border(pixels)) - np.median(pixels)) > 0.5
        raise UserError(
            "expected a digit on paper that reaches the border, found "
            + ("a picture in a frame, or under a title" if framed else "a blank picture")
        )
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if max(ink.shape) < LEAST_INK:
        size = "{1} × {0}".format(*ink.shape)
        raise UserError(f"expected a digit of {LEAST_INK} pixels or more, found ink on {size}")
    return _center(_thicken(ink))


def _ink(pixels: np.ndarray) -> np.ndarray:
    """How far each pixel departs from its paper towards the ink: paper is about 0, shape (h, w).

    The three colours stay apart until the paper is gone, and then the one that shows the ink best
    decides: red ink on blue paper may have no contrast in grey.
    """
    pixels = pixels * _polarity(pixels)
    longer, window = max(pixels.shape), max(pixels.shape) // 3
    # An opening removes what is brighter and narrower than its window, which is the ink, and
    # follows gradients and shadows: odd reflection has them go on behind the border. The blur
    # keeps single noisy pixels from deciding it.
    smooth = ndimage.gaussian_filter(pixels, (longer / 100, longer / 100, 0))
    smooth = np.pad(smooth, (*2 * [(window, window)], (0, 0)), "reflect", reflect_type="odd")
    paper = ndimage.grey_opening(smooth, size=(window, window, 1))[window:-window, window:-window]
    ink = (pixels - paper).max(axis=2)
    # The last bits depend on the processor; rounded, they decide no threshold that follows.
    return np.round(ink - np.median(ink), 6)


def _polarity(pixels: np.ndarray) -> np.ndarray:
    """For each colour 1 where the ink is lighter than its paper, -1 where darker: shape (3,).

    Ink is narrow: it departs from the median of what is around it, and further than noise
    does, which the third power brings out.
    """
    small = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
    small.thumbnail((COARSE, COARSE), Image.Resampling.BOX, reducing_gap=None)
    pixels = np.asarray(small, np.float64) / 255
    longer = max(pixels.shape)
    # A margin of paper, because a digit that fills its picture leaves too little around it.
    margin = longer // 8
    pixels = pixels - np.median(_border(pixels), axis=0)
    pixels = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)))
    around = ndimage.median_filter(pixels, (longer // 2, longer // 2, 1))
    return np.where(((pixels - around) ** 3).sum(axis=(0, 1)) > 0, 1, -1)


def _border(pixels: np.ndarray) -> np.ndarray:
    """Those of the first and last rows and columns: shape (n, ...)."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])


def _isolate(ink: np.ndarray) -> np.ndarray | None:
    """The ink of the digit alone, 0 to 1: no noise, specks or shadows at the border. Or None."""
    longer = max(ink.shape)
    soft = ndimage.gaussian_filter(ink, longer / WORKING)
    # The paper is most of the picture, so medians are the paper's; 1.4826 makes of the median
    # deviation the standard deviation of normal noise.
    floor = max(FAINTEST, 5 * 1.4826 * np.median(np.abs(soft - np.median(soft))))
    if soft.max() <= floor:
        return None
    level = np.quantile(soft[soft > floor], 0.98)
    parts, count = ndimage.label(soft > max(floor, 0.35 * level), np.ones((3, 3)))
    numbers, areas = np.arange(1, count + 1), np.bincount(parts.ravel())[1:]
    inside = ~np.isin(numbers, _border(parts))
    boxes = ndimage.find_objects(parts)
    spans = np.array([max(y.stop - y.start, x.stop - x.start) for y, x in boxes])
    # What touches the border is a shadow or a table, unless nothing else can be the digit.
    if (spans[inside] >= max(LEAST_INK, longer / 10)).any():
        areas = areas * inside
    # Specks go; the bar of a 5 that the pen left apart is more than a twentieth.
    digit = np.isin(parts, numbers[areas >= areas.max() / 20])
    rim = ndimage.binary_dilation(digit, np.ones((3, 3)))  # anti-aliased
    full = np.quantile(ink[digit], 0.9)
    return np.where(rim & (ink > floor / 2), np.clip(ink / full, 0, 1), 0)


def _thicken(ink: np.ndarray) -> np.ndarray:
    """The same strokes, but a fine pen's as wide as MNIST's pens wrote them.

    A hairline, reduced to 20 pixels, would be a faint shade that no MNIST image has.
    """
    mask = ink > 0.5
    pixel = max(ink.shape) / BOX  # of MNIST, in pixels of this picture
    # Across a stroke of width w the distances to the paper have a mean of about (w + 2) / 4.
    width = 4 * ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask].mean() - 2
    if width >= THINNEST * pixel:
        return ink
    grown = (PEN * pixel - width) / 2
    ink, mask = (np.pad(array, int(np.ceil(grown))) for array in (ink, mask))
    return np.maximum(ink, np.clip(grown + 1 - ndimage.distance_transform_edt(~mask), 0, 1))


def _center(ink: np.ndarray) -> np.ndarray:
    """Fitted into MNIST's box, on its page, with the centre of mass, to the pixel, at (14, 14)."""
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    small = Image.fromarray(ink.astype(np.float32))
    ink = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
    ink = np.clip(ink / np.quantile(ink[ink > 0], 0.9), 0, 1)  # the darkest tenth is 1
    top, left = (
        int(np.clip(round(SIDE / 2 - centre), 0, SIDE - side))
        for centre, side in zip(ndimage.center_of_mass(ink), ink.shape, strict=True)
    )
    page = np.zeros((SIDE, SIDE), np.uint8)
    page[top : top + height, left : left + width] = np.rint(ink * 255)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="photo.png")
    parser.add_argument("--model", type=Path, default=MODEL, help="default: %(default)s")
    parser.add_argument(
        "--save", type=Path, metavar="FILE.png", help="picture of what the network saw, to write"
    )
    with one_line("predict"):
        sys.exit(not predict(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
