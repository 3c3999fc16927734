"""A picture of a handwritten digit, made into what MNIST's images are.

MNIST's own makers describe theirs: "The original black and white (bilevel) images from NIST were
size normalized to fit in a 20x20 pixel box while preserving their aspect ratio. The resulting
images contain grey levels as a result of the anti-aliasing technique used by the normalization
algorithm. the images were centered in a 28x28 image by computing the center of mass of the
pixels, and translating the image so as to position this point at the center of the 28x28 field."
(Yann LeCun, Corinna Cortes, Christopher Burges: The MNIST database of handwritten digits,
http://yann.lecun.com/exdb/mnist/)
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

from taller.program.errors import Problem

SIDE, BOX = 28, 20  # MNIST's pixels: of the picture, and of the box that the ink is fitted into
WORKING = 400  # pixels of the longer side, above which a picture is reduced first
COARSE = 64  # the same, where it is only asked whether the ink is dark or light
SMALLEST = 12  # pixels of the longer side of a picture that can hold a digit
LEAST_INK = 8  # pixels of the longer side of a digit
FAINTEST = 0.1  # contrast between ink and paper, of the span between black and white
THINNEST, PEN = 2.0, 2.4  # MNIST pixels: strokes that are thinner are brought to the second width


def read(path: Path) -> Image.Image:
    """Read a picture, turned the way it was taken.

    Raises
    ------
    Problem
        When the file is missing, is no picture, or is broken.
    """
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        found = "nothing"
    except IsADirectoryError:
        found = "a folder"
    except Image.UnidentifiedImageError:
        found = "something else" if path.stat().st_size else "an empty file"
    # The readers of the formats tell of a broken file in all of these ways.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        found = f"one that cannot be read ({error})"
    raise Problem(f"{path}: expected a picture (PNG, JPEG, ...), found {found}")


def digit(image: Image.Image) -> np.ndarray:
    """Cut the digit out of a picture and set it as MNIST's are set.

    Parameters
    ----------
    image : Image
        Of any mode and size, with one digit darker than its background or lighter.

    Returns
    -------
    ndarray of uint8, shape (28, 28)
        0 (background) to 255 (ink).

    Raises
    ------
    Problem
        When the picture is too small or too large, or has no ink.
    """
    if max(image.size) < SMALLEST:
        size = "{} × {}".format(*image.size)
        raise Problem(f"expected a picture of {SMALLEST} pixels or more, found {size}")
    ink = _written(_ink(_pixels(image)))
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if max(ink.shape) < LEAST_INK:
        size = "{1} × {0}".format(*ink.shape)
        raise Problem(f"expected a digit of {LEAST_INK} pixels or more, found ink on {size}")
    return _centred(_boxed(_thickened(ink)))


def _pixels(image: Image.Image) -> np.ndarray:
    """Red, green and blue, 0 to 1: float64, shape (height, width, 3)."""
    if image.mode[0] in "IF":  # of any range; Pillow's conversion would cut it off at 255
        levels = np.asarray(image, np.float64)
        span = np.ptp(levels) or 1.0
        image = Image.fromarray(np.uint8((levels - levels.min()) / span * 255))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        grey, alpha = np.asarray(image.convert("LA"), np.float64).transpose(2, 0, 1)
        # White behind dark ink, black behind light ink, so that neither vanishes.
        behind = 255 if np.sum(grey * alpha) <= 127.5 * np.sum(alpha) else 0
        image = Image.alpha_composite(Image.new("RGBA", image.size, (behind,) * 3), image)
    image = image.convert("RGB")
    image.thumbnail((WORKING, WORKING), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(image, np.float64) / 255


def _ink(pixels: np.ndarray) -> np.ndarray:
    """How far each pixel departs from its paper towards the ink: paper is about 0, shape (h, w).

    The three colours are kept apart until the paper is gone, and then the one that shows the
    ink best speaks: red ink on blue paper may have no contrast in grey.
    """
    pixels = _levelled(pixels * _polarity(pixels))
    longer = max(pixels.shape)
    # An opening removes what is brighter and narrower than its window, which is the ink, and
    # follows gradients and shadows. The blur keeps single noisy pixels from deciding it.
    window = longer // 3
    smooth = ndimage.gaussian_filter(pixels, (longer / 100, longer / 100, 0))
    paper = ndimage.grey_opening(smooth, size=(window, window, 1))
    ink = (pixels - paper).max(axis=2)
    # The last bits depend on the processor; rounded, they decide no threshold that follows.
    return np.round(ink - np.median(ink), 6)


def _levelled(pixels: np.ndarray) -> np.ndarray:
    """Without the plane through its border, where the opening could not follow a gradient."""
    height, width, colours = pixels.shape
    y, x = np.mgrid[:height, :width].reshape(2, -1)
    plane = np.stack([np.ones(y.size), y, x], axis=1)
    border = (y == 0) | (y == height - 1) | (x == 0) | (x == width - 1)
    levels = pixels.reshape(-1, colours)
    fitted = np.linalg.lstsq(plane[border], levels[border])[0]
    return (levels - plane @ fitted).reshape(pixels.shape)


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
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    margin = longer // 8
    pixels = pixels - np.median(border, axis=0)
    pixels = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)))
    around = ndimage.median_filter(pixels, (longer // 2, longer // 2, 1))
    return np.where(((pixels - around) ** 3).sum(axis=(0, 1)) > 0, 1, -1)


def _written(ink: np.ndarray) -> np.ndarray:
    """The ink of the digit alone, 0 to 1: no noise, specks or shadows at the border.

    Raises
    ------
    Problem
        When there is none.
    """
    longer = max(ink.shape)
    soft = ndimage.gaussian_filter(ink, longer / WORKING)
    # The paper is most of the picture, so medians are the paper's; 1.4826 makes of the median
    # deviation the standard deviation of normal noise.
    noise = 1.4826 * np.median(np.abs(soft - np.median(soft)))
    floor = max(FAINTEST, 5 * noise)
    if soft.max() <= floor:
        raise Problem(f"expected a digit, found a blank picture (contrast {soft.max():.0%})")
    level = np.quantile(soft[soft > floor], 0.98)
    parts, count = ndimage.label(soft > max(floor, 0.35 * level), np.ones((3, 3)))
    numbers = np.arange(1, count + 1)

    areas = np.bincount(parts.ravel())[1:]
    edge = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    inside = ~np.isin(numbers, edge)
    boxes = ndimage.find_objects(parts)
    spans = np.array([max(y.stop - y.start, x.stop - x.start) for y, x in boxes])
    # What touches the border is a shadow or a table, unless nothing else can be the digit.
    if (spans[inside] >= max(LEAST_INK, longer / 10)).any():
        areas = areas * inside
    # Specks are dropped; the bar of a 5 that the pen left apart is more than a twentieth.
    kept = np.isin(parts, numbers[areas >= areas.max() / 20])
    # The neighbours of what is kept are its anti-aliased rim.
    rim = ndimage.binary_dilation(kept, np.ones((3, 3)))
    full = np.quantile(ink[kept], 0.9)
    return np.where(rim & (ink > floor / 2), np.clip(ink / full, 0, 1), 0)


def _thickened(ink: np.ndarray) -> np.ndarray:
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


def _boxed(ink: np.ndarray) -> np.ndarray:
    """Scaled, with anti-aliasing, so that the longer side has 20 pixels; the darkest tenth is 1."""
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    small = Image.fromarray(ink.astype(np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    ink = np.asarray(small)
    return np.clip(ink / np.quantile(ink[ink > 0], 0.9), 0, 1)


def _centred(ink: np.ndarray) -> np.ndarray:
    """Set on 28 × 28 pixels with the centre of mass, to the pixel, at (14, 14), as MNIST's is."""
    top, left = (
        int(np.clip(round(SIDE / 2 - centre), 0, SIDE - side))
        for centre, side in zip(ndimage.center_of_mass(ink), ink.shape, strict=True)
    )
    picture = np.zeros((SIDE, SIDE), np.uint8)
    picture[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink * 255)
    return picture
