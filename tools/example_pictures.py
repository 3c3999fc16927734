"""Draw pictures to try the pipeline with that are not MNIST: 1,500 of six kinds of things.

Each thing (a group) is seen on ten pictures: turned, lit and set before another part of the
photographs that scikit-learn and Matplotlib ship. Things of a kind differ in colour and
proportions, so that recognising a thing again is not recognising its kind: its pictures lie in a
folder of their own, which puts them into one fold. Then: make use DATASET=cosas.
"""

import argparse
from pathlib import Path

import stages  # noqa: F401 (pins what Matplotlib and NumPy read when they are imported)

# isort: split
import numpy as np
from matplotlib import cbook
from PIL import Image, ImageDraw, ImageFilter
from PIL.ImageDraw import ImageDraw as Pen
from sklearn.datasets import load_sample_images

from taller.common.stage import one_line
from taller.common.terminal import UserError, bar

THINGS, SHOTS = 25, 10  # of each kind, of each thing
SIDE = 512  # pixels that a thing is drawn on, before it is reduced
ROTATED = {0: 1, 90: 6, 180: 3, 270: 8}  # by which a camera was turned, as EXIF says it
ORIENTATION = 0x0112
Random = np.random.Generator


def cup(pen: Pen, random: Random, first: tuple, second: tuple) -> None:
    top, low, narrow = random.integers(110, 190), random.integers(360, 440), random.integers(0, 60)
    pen.ellipse((300, top + 40, 300 + random.integers(110, 170), low - 50), outline=first, width=34)
    pen.polygon([(120, top), (360, top), (360 - narrow, low), (120 + narrow, low)], fill=first)
    pen.ellipse((120, top - 25, 360, top + 25), fill=second)


def key(pen: Pen, random: Random, first: tuple, second: tuple) -> None:
    bow, thick = random.integers(60, 100), random.integers(26, 44)
    low = 256 + thick // 2
    pen.rectangle((160, 256 - thick // 2, 470, low), fill=first)
    for left in (350, 400, 446)[: random.integers(2, 4)]:
        pen.rectangle((left, 256, left + 24, low + random.integers(30, 70)), fill=first)
    pen.ellipse((130 - bow, 256 - bow, 130 + bow, 256 + bow), outline=first, width=thick)
    pen.ellipse((110, 236, 150, 276), outline=second, width=8)


def house(pen: Pen, random: Random, first: tuple, second: tuple) -> None:
    left, eaves = random.integers(80, 150), random.integers(210, 270)
    pen.rectangle((left, eaves, 512 - left, 440), fill=first)
    roof = [(left - 40, eaves), (552 - left, eaves), (256, eaves - random.integers(90, 170))]
    pen.polygon(roof, fill=second)
    pen.rectangle((230, 340, 290, 440), fill=second)
    for window in (left + 30, 440 - left):
        pen.rectangle((window, eaves + 40, window + 44, eaves + 84), fill=(235, 235, 200))


def fish(pen: Pen, random: Random, first: tuple, second: tuple) -> None:
    high, tail = random.integers(60, 120), random.integers(50, 110)
    pen.polygon([(360, 256), (490, 256 - tail), (490, 256 + tail)], fill=second)
    pen.polygon([(230, 262 - high), (300, 150 - high // 3), (320, 256)], fill=second)
    pen.ellipse((60, 256 - high, 400, 256 + high), fill=first)
    pen.ellipse((110, 220, 142, 252), fill=(250, 250, 250))
    pen.ellipse((120, 228, 136, 244), fill=(10, 10, 10))


def tree(pen: Pen, random: Random, first: tuple, second: tuple) -> None:
    trunk = random.integers(20, 44)
    pen.rectangle((256 - trunk, 300, 256 + trunk, 480), fill=second)
    for _ in range(random.integers(5, 9)):
        x, y, size = random.integers(150, 362), random.integers(110, 280), random.integers(60, 110)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=first)


def clock(pen: Pen, random: Random, first: tuple, second: tuple) -> None:
    radius = random.integers(150, 210)
    pen.ellipse((256 - radius, 256 - radius, 256 + radius, 256 + radius), fill=first)
    inner = radius - random.integers(16, 40)
    pen.ellipse((256 - inner, 256 - inner, 256 + inner, 256 + inner), fill=(240, 238, 228))
    for length, width in ((0.85, 12), (0.55, 18)):
        angle, radius = random.uniform(0, 2 * np.pi), inner * length
        end = 256 + radius * np.cos(angle), 256 + radius * np.sin(angle)
        pen.line((256, 256, *end), fill=second, width=width)


KINDS = {"árbol": tree, "casa": house, "llave": key, "pez": fish, "reloj": clock, "taza": cup}


def thing(kind: str, random: Random) -> Image.Image:
    """One thing, on nothing: RGBA of `SIDE` pixels."""
    first, second = (tuple(int(one) for one in random.integers(20, 236, 3)) for _ in range(2))
    drawn = Image.new("RGBA", (SIDE, SIDE))
    KINDS[kind](ImageDraw.Draw(drawn), random, first, second)
    return drawn


def shot(drawn: Image.Image, photographs: list[Image.Image], random: Random) -> Image.Image:
    """A picture of the thing: turned, lit from one side, before a part of a photograph."""
    width, height = size = tuple(int(one) for one in random.integers(180, 340, 2))
    behind = photographs[random.integers(len(photographs))]
    left = int(random.integers(0, behind.width - width))
    top = int(random.integers(0, behind.height - height))
    picture = behind.crop((left, top, left + width, top + height))
    side = int(min(size) * random.uniform(0.6, 0.95))
    turned = drawn.rotate(random.uniform(-35, 35), Image.Resampling.BICUBIC).resize((side, side))
    place = tuple(int(random.integers(0, one - side + 1)) for one in size)
    picture.paste(turned, place, turned)
    across = np.linspace(*random.uniform(0.55, 1.25, 2), width)[None, :, None]
    down = np.linspace(*random.uniform(0.75, 1.15, 2), height)[:, None, None]
    lit = np.asarray(picture) * across * down + random.normal(0, 6, (height, width, 1))
    seen = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
    return seen.filter(ImageFilter.GaussianBlur(random.uniform(0, 1.2)))


def make(raw: Path, seed: int = 0) -> None:
    """Write the pictures into the folder `raw`, which must not be there yet."""
    if raw.exists():
        raise UserError(f"{raw}: expected nothing yet, found something; choose another folder")
    random = np.random.default_rng(seed)
    photographs = [Image.fromarray(one) for one in load_sample_images().images]
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        photographs.append(Image.open(file).convert("RGB"))
    with bar(len(KINDS) * THINGS * SHOTS, "pictures", "picture") as shown:
        for kind in KINDS:
            for number in range(1, THINGS + 1):
                folder, drawn = raw / kind / f"{kind}-{number:02}", thing(kind, random)
                folder.mkdir(parents=True)
                for one in range(1, SHOTS + 1):
                    turn = int(random.choice([0, 0, 0, 90, 180, 270]))
                    # As a camera does that was turned: the pixels as they came, and a note.
                    picture = shot(drawn, photographs, random).rotate(turn, expand=True)
                    exif = Image.Exif()
                    exif[ORIENTATION] = ROTATED[turn]
                    picture.save(folder / f"{one:02}.jpg", quality=88, exif=exif)
                    shown.update(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tools.example_pictures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = Path("data/cosas/raw")
    parser.add_argument("raw", type=Path, nargs="?", default=default, help=f"default: {default}")
    with one_line("example_pictures"):
        make(parser.parse_args().raw)
