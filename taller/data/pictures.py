"""One picture file as a network sees it: upright, whole, on a square of so many pixels.

The data set and a picture to predict go through the same function, so that both look alike.
"""

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from taller.data import picture_modes
from taller.program import reading
from taller.program.errors import Problem

GREY = 128  # of the square around a picture: what networks' inputs are centred on
Image.init()
# All that Pillow opens but what it has drawn by another program, of whatever version is there.
FORMATS = sorted({*Image.OPEN} - {"EPS", "WMF"})
MEGAPIXELS = 2 * Image.MAX_IMAGE_PIXELS // 10**6  # from which on Pillow refuses

Room = Callable[[int], AbstractContextManager]


@dataclass(frozen=True)
class Picture:
    """What is kept of a picture file.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (channels, side, side)
    size : tuple of int
        Width and height of the upright original, in pixels.
    several : bool
        Whether the file has frames (or pages) behind the one that is taken, the first.
    digest : bytes
        SHA-256 of the file.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    several: bool
    digest: bytes


def pixels(picture: Path | Image.Image, side: int, channels: int) -> np.ndarray:
    """The levels of a picture on a square; none of it is cropped.

    The picture is turned as its EXIF orientation tells and laid on white where it is transparent;
    16 bits become 8. Its longer side becomes `side`, also if it was smaller; around it is grey.

    Parameters
    ----------
    picture : Path or PIL.Image.Image
        A file that Pillow opens, or what it opened; that is then loaded, a big JPEG smaller than
        it is.
    side : int
        Of the square, in pixels.
    channels : int
        1 for grey, 3 for red, green and blue.

    Returns
    -------
    ndarray of uint8, shape (channels, side, side)

    Raises
    ------
    Problem
        Naming the file, what was expected and what was found.
    """
    is_open = isinstance(picture, Image.Image)
    name = (getattr(picture, "filename", "") or "picture") if is_open else picture
    try:
        with quiet(), _told():
            if is_open:
                return _prepared(picture, side, channels, nullcontext)[0]
            return read(picture, side, channels).pixels
    except Problem as problem:
        raise Problem(f"{name}: {problem}") from None


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of odd metadata, and of pictures half as large as are refused; for all threads.

    So it is for the thread that started the others, around all that they do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read(path: Path, side: int, channels: int, room: Room = nullcontext) -> Picture:
    """Read a picture file; as `pixels`, and what else is told of it.

    Parameters
    ----------
    room : callable
        Gives a context, for so many pixels, within which they are decoded.

    Raises
    ------
    Problem
        What was expected and what was found, without the file's name.
    """
    with _told(), _opened(path) as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        if not file.tell():
            raise Problem("expected a picture, found an empty file")
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            return Picture(*_prepared(image, side, channels, room), digest)


def recognised(path: Path) -> bool:
    """Whether a file begins as a picture does; raises as `read` does where it cannot be read."""
    with quiet(), _told(), _opened(path) as file:
        try:
            with Image.open(file, formats=FORMATS):
                return True
        except Image.UnidentifiedImageError:
            return False


def _opened(path: Path) -> BinaryIO:
    try:
        return reading.opened(path)
    except Problem as problem:
        raise Problem(str(problem).removeprefix(f"{path}: ")) from None


@contextmanager
def _told() -> Iterator[None]:
    """Say of any error that a picture can cause what was expected and what was found."""
    try:
        yield
    except Problem:
        raise
    except MemoryError:
        raise Problem("expected memory for its pixels, found too little") from None
    except Image.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        found = f"{int(found[0]) / 1e6:.0f}" if found else "more"
        raise Problem(f"expected at most {MEGAPIXELS} megapixels, found {found}") from None
    except Image.UnidentifiedImageError:
        raise Problem("expected a picture, found something else") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        if isinstance(error, OSError) and error.errno is not None:
            raise Problem(f"expected access, found: {error.strerror}") from None
        found = reading.shown(str(error) or type(error).__name__, quoted=False)
        raise Problem(f"expected a whole picture, found: {found}") from None


def _prepared(
    image: Image.Image, side: int, channels: int, room: Room
) -> tuple[np.ndarray, tuple[int, int], bool]:
    several = bool(getattr(image, "is_animated", False))
    if several:
        image.seek(0)
    whole, (width, height) = image.size, _fitted(image.size, side)
    # A JPEG can be decoded at an eighth of its size; at twice what is wanted nothing is lost.
    drafted = image.draft(None, (2 * width, 2 * height))
    # A progressive one is held in full all the same.
    decoded = whole if image.info.get("progressive") else image.size
    with room(decoded[0] * decoded[1]):
        image.load()
        # Of its last row and column a part, where eighths of the original end within them.
        part = drafted[1][2:] if drafted else image.size
        upright, box = picture_modes.upright(image, part)
        size = upright.size
        if drafted:
            size = whole if upright.size == image.size else whole[::-1]
        flat = picture_modes.flat(upright)
        # Not Lanczos, whose sines may differ in the last bit from one processor to another.
        small = flat.resize(_fitted(size, side), Image.Resampling.BICUBIC, box)
    square = Image.new(small.mode, (side, side), (GREY,) * len(small.getbands()))
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    levels = np.array(square.convert("L" if channels == 1 else "RGB"))
    levels = np.ascontiguousarray(levels.reshape(side, side, channels).transpose(2, 0, 1))
    return levels, size, several


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height, the longer of them `side`, the other one rounded to at least 1."""
    longer = max(size)
    width, height = (max(1, (2 * side * one + longer) // (2 * longer)) for one in size)
    return width, height
