"""Picture files as a network sees them: upright, complete, on a square of so many pixels.

The data set and a picture to predict go through the same function, so that both look alike.
"""

import hashlib
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
from PIL import ExifTags, Image

from taller.common import progress
from taller.common.errors import UserError, printable
from taller.datasets.dataset import empty

GREY = 128  # of the square around a picture: what networks' inputs are centred on
Image.init()
# All that Pillow opens but what another program draws for it, of whatever version is there.
FORMATS = sorted({*Image.OPEN} - {"EPS", "WMF"})
# A larger picture is decoded while no other large one is: up to 8 bytes a pixel are in memory.
LARGE, ONE_LARGE = 12_500_000, threading.Lock()
THREADS = 8  # at most; Pillow decodes and resizes outside Python's lock
# The C library gives pieces of memory as large as this back at once; small ones it would hoard.
Image.core.set_block_size(64 * 2**20)
warnings.filterwarnings("ignore", module=r"PIL\.")  # odd metadata, and half as large as is refused
# What mends EXIF's orientations from 2 on. Some swap width and height; after some the first
# column, or row, is the last.
TURNS = "FLIP_LEFT_RIGHT ROTATE_180 FLIP_TOP_BOTTOM TRANSPOSE ROTATE_270 TRANSVERSE ROTATE_90"
SIDEWAYS, FROM_RIGHT, FROM_BELOW = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)


@dataclass(frozen=True)
class Facts:
    """What is known of a picture file, apart from its pixels."""

    size: tuple[int, int]  # width and height of the upright original, in pixels
    several: bool  # whether frames (or pages) follow the first, which is taken
    digest: bytes  # SHA-256 of the file


def pixels(path: Path, side: int, channels: int) -> np.ndarray:
    """The levels of a picture on a square: uint8, shape (channels, side, side).

    The picture is turned as its EXIF orientation says and laid on white where it is transparent;
    16 bits become 8. Its longer side becomes `side` pixels, also if it was smaller; nothing is
    cropped, and around it is grey. Channels are 1 for grey, 3 for red, green and blue. A
    `UserError` names a file that Pillow cannot read.
    """
    return read(path, str(path), side, channels)[0]


def read(path: Path, name: str, side: int, channels: int) -> tuple[np.ndarray, Facts]:
    """Read a picture file as `pixels` does, and its facts; errors call it `name`."""
    with _one_line(name), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            several = bool(getattr(image, "is_animated", False))
            if several:
                image.seek(0)
            levels, size = _on_square(image, side, channels)
            return levels, Facts(size, several, digest)


def read_all(
    paths: Sequence[Path], names: Sequence[str], side: int, channels: int
) -> tuple[np.ndarray, list[Facts | UserError]]:
    """Read many pictures on all cores, in memory that does not grow with their originals.

    Returns their levels, uint8 of shape (n, channels, side, side), which are mapped where they are
    many (`dataset.empty`); and the facts of each file, or what is wrong with it.
    """
    images = empty((len(paths), channels, side, side))

    def one(place: int) -> Facts | UserError:
        try:
            images[place], facts = read(paths[place], names[place], side, channels)
        except UserError as error:
            return error
        return facts

    every, pool = [], ThreadPoolExecutor(min(THREADS, joblib.cpu_count()))
    try:
        with progress.bar(len(paths), "pictures", "picture") as bar:
            for facts in pool.map(one, range(len(paths))):
                every.append(facts)
                bar.update(1)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C
    return images, every


def is_picture(path: Path) -> bool:
    """Whether a file begins as a picture does."""
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Exception:  # whatever Pillow makes of it
        return False


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Say of any error that a picture can cause what was expected and what was found."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except Image.UnidentifiedImageError:
        raise UserError(f"{name}: expected a picture, found something else") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file leads them to
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{name}: expected access, found: {error.strerror}") from None
        message = printable(str(error) or type(error).__name__)
        raise UserError(f"{name}: expected a complete picture, found: {message}") from None


def _on_square(image: Image.Image, side: int, channels: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The levels, and width and height of the upright original."""
    original, (width, height) = image.size, _fitted(image.size, side)
    # A JPEG can be decoded at an eighth of its size; at twice what is wanted nothing is lost.
    drafted = image.draft(None, (2 * width, 2 * height))
    # A progressive one is held in full all the same.
    decoded = original if image.info.get("progressive") else image.size
    with ONE_LARGE if decoded[0] * decoded[1] > LARGE else nullcontext():
        image.load()
        # Of its last row and column a part, where eighths of the original end within them.
        upright, box = _upright(image, drafted[1][2:] if drafted else image.size)
        size = upright.size
        if drafted:
            size = original if upright.size == image.size else original[::-1]
        # Not Lanczos, whose sines may differ in the last bit from one processor to another.
        small = flat(upright).resize(_fitted(size, side), Image.Resampling.BICUBIC, box)
    square = Image.new(small.mode, (side, side), (GREY,) * len(small.getbands()))
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    levels = np.array(square.convert("L" if channels == 1 else "RGB"))
    return np.ascontiguousarray(levels.reshape(side, side, channels).transpose(2, 0, 1)), size


def _fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height, the longer of them `side`, the other one rounded to at least 1."""
    longer = max(size)
    width, height = (max(1, (2 * side * one + longer) // (2 * longer)) for one in size)
    return width, height


def _upright(
    image: Image.Image, part: tuple[float, float]
) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """Turn, or mirror, a loaded image as its EXIF orientation says.

    `part` is the width and height that count, from the left and the top. Returns where that part
    is afterwards, too: left, top, right and bottom.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whose EXIF is broken is taken as it lies, as every viewer does
        orientation = None
    if orientation not in range(2, 9):
        return image, (0, 0, *part)
    turned = image.transpose(Image.Transpose[TURNS.split()[orientation - 2]])
    width, height = part[::-1] if orientation in SIDEWAYS else part
    left = turned.width - width if orientation in FROM_RIGHT else 0
    top = turned.height - height if orientation in FROM_BELOW else 0
    return turned, (left, top, left + width, top + height)


def flat(image: Image.Image) -> Image.Image:
    """Make of an image of any mode one of mode L if that mode is grey, of RGB if not.

    What is transparent shows white; 16 bits become the nearest 8. More are a `UserError`.
    """
    if image.mode == "F":
        raise UserError("expected 8 or 16 bits a channel, found floats of 32")
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
        raise UserError(
            f"expected 8 or 16 bits a channel, found 32, with levels of {low} to {high}"
        )
    levels = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # to the nearest
    if isinstance(clear := image.info.get("transparency"), int):
        levels[values == clear] = 255
    return Image.fromarray(levels)
