"""The many ways in which files hold pictures, made two: upright, opaque, grey or in colour."""

import numpy as np
from PIL import ExifTags, Image

from taller.program.errors import Problem

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Those that swap width and height, and those after which the first column, or row, is the last.
SIDEWAYS, FROM_RIGHT, FROM_BELOW = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


def upright(
    image: Image.Image, part: tuple[float, float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Turn, or mirror, a loaded image as its EXIF orientation tells.

    Parameters
    ----------
    part : tuple of float
        Width and height that count, from the left and the top.

    Returns
    -------
    Image, tuple of float
        And where that part is in it: left, top, right and bottom.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whose EXIF is broken is taken as it lies, as every viewer does
        orientation = None
    if orientation not in TURNS:
        return image, (0, 0, *part)
    turned = image.transpose(TURNS[orientation])
    width, height = part[::-1] if orientation in SIDEWAYS else part
    left = turned.width - width if orientation in FROM_RIGHT else 0
    top = turned.height - height if orientation in FROM_BELOW else 0
    return turned, (left, top, left + width, top + height)


def flat(image: Image.Image) -> Image.Image:
    """Make of an image of any mode one of mode L if that mode is grey, of RGB if not.

    What is transparent shows white; 16 bits become the nearest 8.

    Raises
    ------
    Problem
        What was expected and what was found, where a level has more than 16 bits.
    """
    if image.mode == "F":
        raise Problem("expected 8 or 16 bits a channel, found floats of 32")
    if image.mode.startswith("I"):
        return _eight_bits(image)
    if image.has_transparency_data:
        seen = image if image.mode == "RGBA" else image.convert("RGBA")
        paper = Image.new("RGB", seen.size, "white")
        paper.paste(seen, mask=seen)
        return paper
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise Problem(f"expected 8 or 16 bits a channel, found 32, with levels of {low} to {high}")
    levels = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # to the nearest
    if isinstance(clear := image.info.get("transparency"), int):
        levels[values == clear] = 255
    return Image.fromarray(levels)
