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
from functools import partial
from pathlib import Path
from typing import Literal

import joblib
import numpy as np
from PIL import ExifTags, Image

from taller.common import terminal
from taller.common.terminal import UserError, printable
from taller.datasets.dataset import empty

# What a picture that is no square becomes one by: what is beyond its middle is cut off; it is
# deformed; or it lies on grey.
Fit = Literal["crop", "squash", "pad"]
GREY = 128  # of the square around a picture: what networks' inputs are centred on
WHITE = 65535  # of 16 bits
Image.init()
# All that Pillow opens but what another program draws for it, of whatever version is there; and
# what it knows, but cannot read.
FORMATS = sorted({*Image.OPEN} - {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
# How a telephone's pictures begin that Pillow does not read, after four bytes.
HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1"))
EXTENSIONS = {one for one, of in Image.registered_extensions().items() if of in FORMATS}
EXTENSIONS |= {".heic", ".heif", ".mpo"}
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
    highest: int  # level of a picture of 16 bits, before they become 8; 0 for others


def pixels(
    path: Path, side: int, channels: int, fit: Fit = "crop", white: int = WHITE
) -> np.ndarray:
    """The levels of a picture on a square: uint8, shape (channels, side, side).

    The picture is turned as its EXIF orientation says and laid on white where it is transparent;
    of 16 bits, 0 to `white` become 8. `fit` says how it becomes a square: "crop" takes the largest
    one in its middle, "squash" all of it, deformed, and "pad" all of it, with grey around it.
    Channels are 1 for grey, 3 for red, green and blue. A `UserError` names a file that Pillow
    cannot read.
    """
    return read(path, str(path), side, channels, fit, white)[0]


def read(
    path: Path, name: str, side: int, channels: int, fit: Fit = "crop", white: int = WHITE
) -> tuple[np.ndarray, Facts]:
    """Read a picture file as `pixels` does, and its facts; errors call it `name`."""
    with _one_line(name), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0)
        if file.read(12)[4:].startswith(HEIC):
            raise UserError("expected a picture that Pillow reads, found HEIC: save it as JPEG")
        file.seek(0)
        with Image.open(file, formats=FORMATS) as image:
            several = bool(getattr(image, "is_animated", False))
            if several:
                image.seek(0)
            levels, size, highest = _on_square(image, side, channels, fit, white)
            return levels, Facts(size, several, digest, highest)


def read_all(
    paths: Sequence[Path], names: Sequence[str], side: int, channels: int, fit: Fit
) -> tuple[np.ndarray, list[Facts | UserError], int]:
    """Read many pictures on all cores, in memory that does not grow with their originals.

    Returns their levels, uint8 of shape (n, channels, side, side), which are mapped where they are
    many (`dataset.empty`); the facts of each file, or what is wrong with it; and what was taken
    for white in those of 16 bits: a camera's 12 bits in 16 would be all but black.
    """
    images, every = empty((len(paths), channels, side, side)), [None] * len(paths)

    def one(white: int, place: int) -> None:
        try:
            images[place], every[place] = read(
                paths[place], names[place], side, channels, fit, white
            )
        except UserError as error:
            every[place] = error

    def all_of(places: Sequence[int], white: int = WHITE) -> None:
        pool = ThreadPoolExecutor(min(THREADS, joblib.cpu_count()))
        try:
            with terminal.bar(len(places), "pictures", "picture") as bar:
                for _ in pool.map(partial(one, white), places):
                    bar.update(1)
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C

    all_of(range(len(paths)))
    highest = [getattr(facts, "highest", 0) for facts in every]
    white = max(255, 2 ** max(highest, default=0).bit_length() - 1) if any(highest) else WHITE
    if white < WHITE:
        all_of([place for place, level in enumerate(highest) if level], white)
    return images, every, white


def is_picture(path: Path) -> bool:
    """Whether a file is called, or else begins, as a picture does."""
    if path.suffix.lower() in EXTENSIONS:
        return True
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
            expected = "this file" if isinstance(error, FileNotFoundError) else "access"
            raise UserError(f"{name}: expected {expected}, found: {error.strerror}") from None
        message = printable(str(error) or type(error).__name__)
        raise UserError(f"{name}: expected a complete picture, found: {message}") from None


def _on_square(
    image: Image.Image, side: int, channels: int, fit: Fit, white: int
) -> tuple[np.ndarray, tuple[int, int], int]:
    """The levels, width and height of the upright original, and its highest level of 16 bits."""
    original, (width, height) = image.size, _scaled(image.size, side, fit)
    # A JPEG can be decoded at an eighth of its size; at twice what is wanted nothing is lost.
    drafted = image.draft(None, (2 * width, 2 * height))
    # A progressive one is held in full all the same.
    decoded = original if image.info.get("progressive") else image.size
    with ONE_LARGE if decoded[0] * decoded[1] > LARGE else nullcontext():
        image.load()
        highest = int(np.asarray(image).max()) if image.mode.startswith("I") else 0
        # Eighths of the original may end within the last row and column, of which a part is left.
        upright, box = _upright(image, drafted[1][2:] if drafted else image.size)
        size = upright.size
        if drafted:
            size = original if upright.size == image.size else original[::-1]
        if fit == "crop":
            box = _middle(box)
        wanted = _scaled(size, side, fit) if fit == "pad" else (side, side)
        # Not Lanczos, whose sines may differ in the last bit from one processor to another.
        small = flat(upright, white).resize(wanted, Image.Resampling.BICUBIC, box)
    square = Image.new(small.mode, (side, side), (GREY,) * len(small.getbands()))
    square.paste(small, ((side - small.width) // 2, (side - small.height) // 2))
    levels = np.array(square.convert("L" if channels == 1 else "RGB"))
    levels = np.ascontiguousarray(levels.reshape(side, side, channels).transpose(2, 0, 1))
    return levels, size, highest


def _scaled(size: tuple[int, int], side: int, fit: Fit) -> tuple[int, int]:
    """Width and height that the whole picture would have, each rounded to at least 1."""
    if fit == "squash":
        return side, side
    whole = max(size) if fit == "pad" else min(size)  # what becomes `side`
    width, height = (max(1, (2 * side * one + whole) // (2 * whole)) for one in size)
    return width, height


def _middle(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The largest square in the middle of a box: left, top, right and bottom."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    across, down = max(0, width - height) / 2, max(0, height - width) / 2
    return left + across, top + down, right - across, bottom - down


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


def flat(image: Image.Image, white: int) -> Image.Image:
    """Make of an image of any mode one of mode L if that mode is grey, of RGB if not.

    What is transparent shows white; of 16 bits 0 to `white` become the nearest of 0 to 255. More
    bits are a `UserError`.
    """
    if image.mode == "F":
        raise UserError("expected 8 or 16 bits a channel, found floats of 32")
    if image.mode.startswith("I"):
        return _eight_bits(image, white)
    if image.has_transparency_data:
        seen = image if image.mode == "RGBA" else image.convert("RGBA")
        paper = Image.new("RGB", seen.size, "white")
        paper.paste(seen, mask=seen)
        return paper
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _eight_bits(image: Image.Image, white: int) -> Image.Image:
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise UserError(
            f"expected 8 or 16 bits a channel, found 32, with levels of {low} to {high}"
        )
    levels = (values.astype(np.uint32) * 255 + white // 2) // white  # to the nearest
    levels = np.minimum(levels, 255).astype(np.uint8)
    if isinstance(clear := image.info.get("transparency"), int):
        levels[values == clear] = 255
    return Image.fromarray(levels)
