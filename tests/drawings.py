"""Digits drawn by code as a hand might: strokes of a round pen, on all kinds of paper."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import make_interp_spline

FINE = 4  # a picture is drawn so many times as large, then reduced

# Strokes of each digit through points (x, y), 0 to 1, y downwards. A smooth curve goes through
# three points or more, so that a corner is where one stroke ends and the next begins.
STROKES = {
    0: [[(0.55, 0.02), (0.2, 0.2), (0.13, 0.6), (0.4, 0.97), (0.75, 0.8), (0.85, 0.4), (0.5, 0.0)]],
    1: [[(0.56, 0.0), (0.5, 0.5), (0.45, 1.0)]],
    2: [
        [(0.15, 0.25), (0.4, 0.02), (0.75, 0.15), (0.7, 0.45), (0.4, 0.75), (0.12, 0.97)],
        [(0.12, 0.97), (0.5, 0.93), (0.9, 0.96)],
    ],
    3: [
        [(0.18, 0.12), (0.5, 0.0), (0.76, 0.18), (0.6, 0.4), (0.38, 0.46)],
        [(0.38, 0.46), (0.7, 0.52), (0.82, 0.75), (0.5, 1.0), (0.12, 0.88)],
    ],
    4: [[(0.3, 0.02), (0.1, 0.55)], [(0.1, 0.55), (0.85, 0.52)], [(0.72, 0.05), (0.62, 1.0)]],
    # The bar is left apart from the rest, as a quick hand leaves it.
    5: [
        [(0.36, 0.06), (0.85, 0.0)],
        [(0.25, 0.22), (0.2, 0.46)],
        [(0.2, 0.46), (0.55, 0.4), (0.78, 0.62), (0.6, 0.92), (0.15, 0.95)],
    ],
    6: [
        [(0.66, 0.0), (0.3, 0.3), (0.16, 0.7), (0.4, 0.99), (0.72, 0.82), (0.64, 0.56), (0.2, 0.68)]
    ],
    7: [[(0.12, 0.05), (0.5, 0.06), (0.85, 0.03)], [(0.85, 0.03), (0.55, 0.5), (0.38, 1.0)]],
    8: [
        [
            (0.72, 0.12), (0.4, 0.02), (0.28, 0.25), (0.55, 0.48), (0.76, 0.75), (0.45, 1.0),
            (0.2, 0.78), (0.48, 0.48), (0.76, 0.22), (0.66, 0.08),
        ]
    ],
    9: [
        [(0.74, 0.18), (0.4, 0.02), (0.2, 0.25), (0.4, 0.48), (0.72, 0.25), (0.76, 0.1)],
        [(0.76, 0.1), (0.72, 0.5), (0.6, 1.0)],
    ],
}  # fmt: skip


def ink(
    digit: int,
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    pen: float,
    seed: int = 0,
    slant: float = 0.0,
) -> np.ndarray:
    """Write a digit: how much of each pixel the ink covers, 0 to 1.

    Parameters
    ----------
    size : (width, height) of the picture, in pixels
    box : (left, top, width, height) of the digit, as shares of the picture
    pen : width of the strokes, in pixels
    seed : decides how the hand trembles
    slant : how far the top leans to the right, as a share of the digit's height

    Returns
    -------
    ndarray of float64, shape (height, width)
    """
    generator = np.random.default_rng(seed)
    canvas = Image.new("L", (size[0] * FINE, size[1] * FINE))
    brush, radius = ImageDraw.Draw(canvas), pen * FINE / 2
    for stroke in STROKES[digit]:
        points = np.array(stroke) + generator.normal(0, 0.012, (len(stroke), 2))
        points[:, 0] += slant * (0.5 - points[:, 1])
        points = (points * box[2:] + box[:2]) * canvas.size
        curve = make_interp_spline(np.linspace(0, 1, len(points)), points, min(2, len(points) - 1))
        for x, y in curve(np.linspace(0, 1, 2 * max(canvas.size))):
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX), np.float64) / 255


def painted(cover: np.ndarray, paper: np.ndarray, colour: Sequence[float]) -> np.ndarray:
    """Lay ink of one `colour` (3 grey levels) on `paper` (height, width, 3): float64 levels."""
    return paper + cover[..., np.newaxis] * (np.asarray(colour) - paper)


def flat(cover: np.ndarray, colour: Sequence[float]) -> np.ndarray:
    """Paper of one colour: shape (height, width, 3)."""
    return np.broadcast_to(np.asarray(colour, np.float64), (*cover.shape, 3))


def rgb(levels: np.ndarray) -> Image.Image:
    """A picture of levels 0 to 255, cut off at both ends."""
    return Image.fromarray(np.rint(np.clip(levels, 0, 255)).astype(np.uint8))


def noise(cover: np.ndarray, deviation: float) -> np.ndarray:
    """Grain of the same kind in every picture: shape (height, width, 3)."""
    return np.random.default_rng(1).normal(0, deviation, (*cover.shape, 3))


def shade(cover: np.ndarray, low: float, high: float) -> np.ndarray:
    """Light that falls from one corner: factors, shape (height, width, 1)."""
    y, x = np.mgrid[-1 : 1 : 1j * cover.shape[0], -1 : 1 : 1j * cover.shape[1]]
    return (low + (high - low) * (0.5 + (x + y) / 4))[..., np.newaxis]


def black_on_white() -> Image.Image:
    """0: the plain case, grey mode."""
    cover = ink(0, (200, 200), (0.25, 0.2, 0.5, 0.6), 11)
    return rgb(painted(cover, flat(cover, [255] * 3), [0] * 3)).convert("L")


def white_on_black() -> Image.Image:
    """1: light on dark, small, and only one bit per pixel."""
    cover = ink(1, (40, 64), (0.2, 0.2, 0.5, 0.6), 4, slant=0.1)
    return rgb(painted(cover, flat(cover, [0] * 3), [255] * 3)).convert("1", dither=0)


def under_a_lamp() -> Image.Image:
    """2: pencil on paper in light that falls off to a third, with grain."""
    cover = ink(2, (640, 480), (0.3, 0.2, 0.35, 0.6), 22, seed=2)
    paper = flat(cover, [235, 230, 215])
    return rgb(painted(cover, paper, [70, 70, 75]) * shade(cover, 1.0, 0.35) + noise(cover, 8))


def chalk() -> Image.Image:
    """3: chalk on a green board, grainy, off the centre."""
    cover = ink(3, (320, 240), (0.6, 0.4, 0.27, 0.45), 10, seed=3)
    return rgb(painted(cover, flat(cover, [35, 75, 55]), [225, 230, 220]) + noise(cover, 18))


def blue_pen_with_a_shadow() -> Image.Image:
    """4: a fine pen; the photographer's shadow, with a hard edge, and specks of dust."""
    cover = ink(4, (1000, 1400), (0.3, 0.35, 0.3, 0.25), 12, seed=4)
    levels = painted(cover, flat(cover, [240, 238, 230]), [30, 40, 150])
    y, x = np.mgrid[:1400, :1000]
    levels = levels * np.where(x + 0.4 * y < 500, 0.55, 1.0)[..., np.newaxis]
    for row, column in np.random.default_rng(4).integers(20, 980, (30, 2)):
        levels[row : row + 5, column : column + 5] = 90
    return rgb(levels)


def transparent() -> Image.Image:
    """5: a drawing program's white ink on nothing, with an alpha channel."""
    cover = ink(5, (256, 256), (0.3, 0.22, 0.4, 0.55), 12, seed=5)
    levels = np.dstack([np.full((*cover.shape, 3), 255.0), 255 * cover])
    return rgb(levels)


def red_on_blue() -> Image.Image:
    """6: colours that are alike in grey."""
    cover = ink(6, (150, 180), (0.2, 0.25, 0.55, 0.55), 11, seed=6)
    return rgb(painted(cover, flat(cover, [70, 90, 210]), [215, 60, 50]) + noise(cover, 5))


def in_sixteen_colours() -> Image.Image:
    """7: a palette picture."""
    cover = ink(7, (120, 160), (0.25, 0.15, 0.55, 0.7), 9, seed=7)
    levels = painted(cover, flat(cover, [250, 220, 120]) * shade(cover, 0.8, 1), [90, 30, 20])
    return rgb(levels).quantize(16)


def hairline() -> Image.Image:
    """8: one pixel's pen in a large picture, light on dark, with light from a side."""
    cover = ink(8, (500, 500), (0.35, 0.3, 0.3, 0.4), 2.5, seed=8)
    return rgb(painted(cover, flat(cover, [70, 60, 60]) * shade(cover, 0.5, 1.3), [240] * 3))


def marker_at_the_edge() -> Image.Image:
    """9: a thick pen, cut so close that the ink touches the border; 16 bits of grey."""
    cover = ink(9, (90, 140), (-0.1, 0.04, 1.1, 0.94), 14, seed=9)
    levels = painted(cover, flat(cover, [200] * 3), [25] * 3)[..., 0]
    return Image.fromarray(np.rint(levels * 257).astype(np.uint16))


@dataclass(frozen=True)
class Drawing:
    digit: int
    make: Callable[[], Image.Image]


DRAWINGS = [
    Drawing(digit, make)
    for digit, make in enumerate([
        black_on_white, white_on_black, under_a_lamp, chalk, blue_pen_with_a_shadow,
        transparent, red_on_blue, in_sixteen_colours, hairline, marker_at_the_edge,
    ])
]  # fmt: skip
