"""Letters as a hand might write them: endless labelled images, and no digit among them.

A letter of a font is thinned to the path that a pen would follow. The path is bent, slanted and
stretched at random, then written with a round pen into a picture with MNIST's geometry.
"""

import unicodedata
from functools import cache, partial
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageFont
from scipy.sparse.csgraph import connected_components
from torch import Tensor

# TrueType files that Matplotlib ships.
FONTS = (
    "DejaVuSans", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Italic", "STIXGeneral",
    "STIXGeneralItalic", "cmmi10", "cmr10", "cmss10", "cmti10", "cmtt10",
)  # fmt: skip
UNSEEN_FONTS = ("DejaVuSans-Bold", "DejaVuSerif-BoldItalic", "STIXGeneralBol", "cmb10")
# First and last letters of the scripts that DejaVu draws well.
ALPHABETS = {
    "Latin": "AZ az", "Phonetic": "\u0250\u02af", "Greek": "ΑΩ αω", "Cyrillic": "Ѐџ",
    "Armenian": "ԱՖ աֆ", "Hebrew": "\u05d0\u05ea", "Georgian": "ⴀⴥ აჰ",
    "N'Ko": "\u07ca\u07ea", "Tifinagh": "\u2d30\u2d65",
}  # fmt: skip
FONT_FOLDER = Path(matplotlib.get_data_path(), "fonts/ttf")
BOX = 48  # pixels of the longer side of a letter when it is thinned
POINTS = 224  # on a path; the few longer ones lose some, evenly
SIDE, INK = 28, 20  # MNIST's: the picture, and the box that the ink is fitted into
ALIKE = 0.94  # correlation of two pictures from which they count as one shape


def alphabet() -> list[str]:
    """List the letters: Unicode's letter categories, without accented forms and numbers."""
    ends = [pair for pairs in ALPHABETS.values() for pair in pairs.split()]
    signs = [chr(code) for first, last in ends for code in range(ord(first), ord(last) + 1)]
    letters = [one for one in signs if unicodedata.category(one) in ("Lu", "Ll", "Lo")]
    return [one for one in letters if not unicodedata.decomposition(one)]


@cache
def trace(fonts: tuple[str, ...], signs: str = "") -> tuple[Tensor, Tensor]:
    """Turn every letter that a font has, or each of some other signs, into the path of a pen.

    Returns
    -------
    paths : Tensor of float32, shape (glyphs, POINTS, 3)
        x and y in [-1, 1], y downwards, and 1.0, or 0.0 for a spare point.
    letters : Tensor of int64, shape (glyphs,)
        Each glyph's place in the alphabet, or in `signs`.
    """
    bitmaps, letters = [], []
    for name in fonts:
        font = ImageFont.truetype(FONT_FOLDER / f"{name}.ttf", 2 * BOX)
        missing = bytes(font.getmask("\uffff"))
        for place, letter in enumerate(signs or alphabet()):
            mask = font.getmask(letter)
            # Under the codes of other scripts the Computer Modern fonts have unrelated symbols.
            known = letter.isascii() or not name.startswith("cm")
            if known and mask.getbbox() and bytes(mask) != missing:
                bitmaps.append(_bitmap(mask))
                letters.append(place)
    skeletons = thin(torch.stack(bitmaps))
    enough = skeletons.sum((1, 2)) >= 20  # or nothing is left of a letter but its dots
    paths = torch.stack([_path(skeleton) for skeleton in skeletons[enough]])
    return paths, torch.tensor(letters)[enough]


def _bitmap(mask: "Image.core.ImagingCore") -> Tensor:
    """Fit a glyph into a bool page, (BOX + 2, BOX + 2), with an empty border."""
    glyph = Image.frombytes("L", mask.size, bytes(mask)).crop(mask.getbbox())
    shrink = BOX / max(glyph.size)
    # A thin letter keeps four pixels: resizing must not lose it altogether.
    size = [max(4, round(side * shrink)) for side in glyph.size]
    glyph = glyph.resize(size, Image.Resampling.BOX)
    page = torch.zeros(BOX + 2, BOX + 2, dtype=torch.bool)
    page[1 : glyph.height + 1, 1 : glyph.width + 1] = torch.from_numpy(np.asarray(glyph) > 127)
    return page


def thin(ink: Tensor) -> Tensor:
    """Peel shapes, bool, (n, height, width), with an empty border, to lines one pixel wide.

    T. Y. Zhang and C. Y. Suen, "A Fast Parallel Algorithm for Thinning Digital Patterns",
    Communications of the ACM 27 (1984), 236-239.
    """
    clockwise = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
    previous = torch.zeros_like(ink)
    while not torch.equal(ink, previous):
        previous = ink
        for south_east in (True, False):
            ring = [ink.roll((-down, -right), (1, 2)) for down, right in clockwise]
            north, east, south, west = ring[::2]
            neighbours = sum(pixel.byte() for pixel in ring)
            crossings = sum((~a & b).byte() for a, b in zip(ring, ring[1:] + ring[:1], strict=True))
            inside = east & south & (north | west) if south_east else north & west & (east | south)
            ink = ink & ~((neighbours >= 2) & (neighbours <= 6) & (crossings == 1) & ~inside)
    return ink


def _path(skeleton: Tensor) -> Tensor:
    """Points of a skeleton, (POINTS, 3), scaled to [-1, 1] about the middle of its box."""
    yx = skeleton.nonzero()
    yx = yx[torch.linspace(0, len(yx) - 1, min(len(yx), POINTS)).long()]
    xy = yx.flip(1) - (yx.amin(0) + yx.amax(0)).flip(0) / 2
    path = torch.zeros(POINTS, 3)
    # Spare points lie on the first one, so that they do not widen the box around the path.
    path[:, :2] = xy[0] / (BOX / 2)
    path[: len(xy), :2] = xy / (BOX / 2)
    path[: len(xy), 2] = 1.0
    return path


@cache
def shapes() -> Tensor:
    """Number the shapes of letters: O, omicron and o have the same one.

    Returns
    -------
    Tensor of int64, shape (letters in the alphabet,)
        From 0 without gaps, by the first glyph of a letter; -1 for a letter that no font has.
    """
    paths, letters = trace(FONTS)
    present, first = np.unique(letters, return_index=True)
    alike = _correlations(paths[first]) > ALIKE
    _, groups = connected_components(alike, directed=False)
    classes = torch.full((len(alphabet()),), -1)
    classes[present] = torch.from_numpy(groups).long()
    return classes


@cache
def look_alikes(signs: str) -> list[dict[str, object]]:
    """Name the letters that look most like each sign.

    Returns
    -------
    list of dict
        ``digit`` (the sign), ``letters`` (the nearest one first, then all others of its shape, in
        one string) and ``correlation`` of the two pictures, of whatever fonts.
    """
    paths, letters = trace(FONTS)
    sign_paths, places = trace(FONTS, signs)
    alike = _correlations(torch.cat((sign_paths, paths)))[: len(sign_paths), len(sign_paths) :]
    names, classes, rows = alphabet(), shapes(), []
    for place, sign in enumerate(signs):
        nearness = alike[places == place].max(0)
        nearest = int(letters[nearness.argmax()])
        same = (classes == classes[nearest]).nonzero()[:, 0].tolist()
        similar = names[nearest] + "".join(names[one] for one in same if one != nearest)
        rows.append({"digit": sign, "letters": similar, "correlation": float(nearness.max())})
    return rows


def _correlations(paths: Tensor) -> np.ndarray:
    """Of every two glyphs, written by an even pen: float64, shape (n, n)."""
    even = torch.ones(len(paths))
    pictures = write(paths, width=3 * even, edge=2 * even).flatten(1)
    # NumPy's: PyTorch's square root depends on the processor.
    return np.corrcoef(pictures.double().numpy())


def draw(
    paths: Tensor, classes: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Write letters, each class as often as any other; `generator` decides all of it.

    Parameters
    ----------
    paths : Tensor of float32, shape (glyphs, POINTS, 3)
    classes : Tensor of int64, shape (glyphs,)

    Returns
    -------
    images : Tensor of uint8, shape (count, 1, 28, 28)
        White (255) on black (0), as MNIST.
    labels : Tensor of int64, shape (count,)
    """
    normal, uniform = (
        partial(law, count, generator=generator, device=paths.device)
        for law in (torch.randn, torch.rand)
    )
    rarity = 1.0 / torch.bincount(classes).float()[classes]
    glyphs = torch.multinomial(rarity, count, replacement=True, generator=generator)
    xy, ink = paths[glyphs].split((2, 1), dim=2)

    # Four waves in random directions bend the path; an affine map turns, slants and stretches it.
    phase = 2 * torch.pi * uniform(1, 4)
    xy = xy + torch.sin(xy @ (2.5 * normal(2, 4)) + phase) @ (0.07 * normal(4, 2))
    turn, stretch, slant = 0.12 * normal(), torch.exp(0.2 * normal()), 0.3 * normal()
    cos, sin = turn.cos(), turn.sin()
    across = torch.stack((cos * stretch, sin * stretch), 1)
    down = torch.stack((-slant * cos - sin, -slant * sin + cos), 1)
    xy = xy @ torch.stack((across, down), 1)

    pressure = torch.exp(0.2 * torch.sin(xy @ (2 * normal(2, 1)) + 2 * torch.pi * uniform(1, 1)))
    width = 2.4 * torch.exp(0.25 * normal()).clamp(0.5, 2)
    edge = 0.6 + 0.6 * uniform()
    images = write(torch.cat((xy, ink * pressure), 2), width, edge)
    return images.mul(255).round().byte().unsqueeze(1), classes[glyphs]


def write(paths: Tensor, width: Tensor, edge: Tensor) -> Tensor:
    """Follow paths with a pen: ink in a box of 20 x 20 pixels, its centre of mass in the middle.

    Parameters
    ----------
    paths : Tensor of float32, shape (n, POINTS, 3)
        x, y and the ink of each point; neighbours are 2 / BOX apart, up to the stretching.
    width, edge : Tensor of float32, shape (n,)
        Width of a stroke and of the grey ramp along its sides, in pixels.

    Returns
    -------
    Tensor of float32, shape (n, 28, 28), in [0, 1]
    """
    xy, ink = paths.split((2, 1), dim=2)
    width, edge = width[:, None, None], edge[:, None, None]
    scale = (INK - width) / (xy.amax(1) - xy.amin(1)).amax(1)[:, None, None]
    centre = (xy * ink).sum(1, keepdim=True) / ink.sum(1, keepdim=True)
    xy = (xy - centre) * scale + (SIDE - 1) / 2

    # Every point drops a Gaussian of ink. It is a function of x times one of y, so one matrix
    # product sums all drops. Along a straight stroke they add up to a ridge of height 1, which
    # falls to a half at half the pen's width, where its slope is 1.386 / width.
    spread = width / 2.355
    grid = torch.arange(SIDE, device=xy.device)
    x, y = (torch.exp(-0.5 * ((at - grid) / spread) ** 2) for at in xy.split(1, dim=2))
    ridge = (y * ink * (scale * 2 / BOX) / (spread * (2 * torch.pi) ** 0.5)).transpose(1, 2) @ x
    steepness = (width / (1.386 * edge)).clamp(min=1)  # any less and the paper would turn grey
    return ((ridge - 0.5) * steepness + 0.5).clamp(0, 1)
