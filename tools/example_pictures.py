"""Draw pictures to try the pipeline with that are not MNIST: 1,500 of six kinds of things.

Each thing (an origin) is seen on ten pictures: turned, lit and set before another part of the
photographs that scikit-learn and Matplotlib ship. Things of a kind differ in colour and
proportions, so that recognising a thing again is not recognising its kind: its pictures lie in a
folder of their own, which keeps them together. Then: dataset: cosas in params.yaml, make repro.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import cbook
from PIL import Image, ImageDraw, ImageFilter
from sklearn.datasets import load_sample_images

from taller.program.errors import Problem
from taller.program.progress import bar

THINGS, SHOTS = 25, 10  # of each kind, of each thing
SIDE = 512  # pixels that a thing is drawn on, before it is reduced
ROTATED = {0: 1, 90: 6, 180: 3, 270: 8}  # by which a camera was turned, as EXIF tells it
ORIENTATION = 0x0112

Draw = Callable[[ImageDraw.ImageDraw, np.random.Generator, tuple, tuple], None]


def cup(
    draw: ImageDraw.ImageDraw, random: np.random.Generator, first: tuple, second: tuple
) -> None:
    top, low, narrow = random.integers(110, 190), random.integers(360, 440), random.integers(0, 60)
    draw.ellipse(
        (300, top + 40, 300 + random.integers(110, 170), low - 50), outline=first, width=34
    )
    draw.polygon([(120, top), (360, top), (360 - narrow, low), (120 + narrow, low)], fill=first)
    draw.ellipse((120, top - 25, 360, top + 25), fill=second)


def key(
    draw: ImageDraw.ImageDraw, random: np.random.Generator, first: tuple, second: tuple
) -> None:
    bow, thick = random.integers(60, 100), random.integers(26, 44)
    draw.rectangle((160, 256 - thick // 2, 470, 256 + thick // 2), fill=first)
    for left in (350, 400, 446)[: random.integers(2, 4)]:
        draw.rectangle(
            (left, 256, left + 24, 256 + thick // 2 + random.integers(30, 70)), fill=first
        )
    draw.ellipse((130 - bow, 256 - bow, 130 + bow, 256 + bow), outline=first, width=thick)
    draw.ellipse((110, 236, 150, 276), outline=second, width=8)


def house(
    draw: ImageDraw.ImageDraw, random: np.random.Generator, first: tuple, second: tuple
) -> None:
    left, eaves = random.integers(80, 150), random.integers(210, 270)
    draw.rectangle((left, eaves, 512 - left, 440), fill=first)
    roof = [(left - 40, eaves), (552 - left, eaves), (256, eaves - random.integers(90, 170))]
    draw.polygon(roof, fill=second)
    draw.rectangle((230, 340, 290, 440), fill=second)
    for window in (left + 30, 440 - left):
        draw.rectangle((window, eaves + 40, window + 44, eaves + 84), fill=(235, 235, 200))


def fish(
    draw: ImageDraw.ImageDraw, random: np.random.Generator, first: tuple, second: tuple
) -> None:
    high, tail = random.integers(60, 120), random.integers(50, 110)
    draw.polygon([(360, 256), (490, 256 - tail), (490, 256 + tail)], fill=second)
    draw.polygon([(230, 262 - high), (300, 150 - high // 3), (320, 256)], fill=second)
    draw.ellipse((60, 256 - high, 400, 256 + high), fill=first)
    draw.ellipse((110, 220, 142, 252), fill=(250, 250, 250))
    draw.ellipse((120, 228, 136, 244), fill=(10, 10, 10))


def tree(
    draw: ImageDraw.ImageDraw, random: np.random.Generator, first: tuple, second: tuple
) -> None:
    trunk = random.integers(20, 44)
    draw.rectangle((256 - trunk, 300, 256 + trunk, 480), fill=second)
    for _ in range(random.integers(5, 9)):
        x, y, size = random.integers(150, 362), random.integers(110, 280), random.integers(60, 110)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=first)


def clock(
    draw: ImageDraw.ImageDraw, random: np.random.Generator, first: tuple, second: tuple
) -> None:
    radius = random.integers(150, 210)
    draw.ellipse((256 - radius, 256 - radius, 256 + radius, 256 + radius), fill=first)
    inner = radius - random.integers(16, 40)
    draw.ellipse((256 - inner, 256 - inner, 256 + inner, 256 + inner), fill=(240, 238, 228))
    for length, width in ((0.85, 12), (0.55, 18)):
        angle = random.uniform(0, 2 * np.pi)
        end = 256 + inner * length * np.cos(angle), 256 + inner * length * np.sin(angle)
        draw.line((256, 256, *end), fill=second, width=width)


KINDS: dict[str, Draw] = {
    "árbol": tree, "casa": house, "llave": key, "pez": fish, "reloj": clock, "taza": cup,
}  # fmt: skip


def backgrounds() -> list[Image.Image]:
    """Real photographs, in colour."""
    found = [Image.fromarray(one) for one in load_sample_images().images]
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return [*found, Image.open(file).convert("RGB")]


def drawn(kind: str, random: np.random.Generator) -> Image.Image:
    """One thing, on nothing: RGBA of `SIDE` pixels."""
    first, second = (tuple(int(one) for one in random.integers(20, 236, 3)) for _ in range(2))
    thing = Image.new("RGBA", (SIDE, SIDE))
    KINDS[kind](ImageDraw.Draw(thing), random, first, second)
    return thing


def shot(
    thing: Image.Image, photographs: list[Image.Image], random: np.random.Generator
) -> Image.Image:
    """A picture of the thing: turned, lit from one side, before a part of a photograph."""
    size = tuple(int(one) for one in random.integers(180, 340, 2))
    behind = photographs[random.integers(len(photographs))]
    left, top = (int(random.integers(0, whole - part)) for whole, part in zip(
        behind.size, size, strict=True))  # fmt: skip
    picture = behind.crop((left, top, left + size[0], top + size[1]))
    side = int(min(size) * random.uniform(0.6, 0.95))
    turned = thing.rotate(random.uniform(-35, 35), Image.Resampling.BICUBIC).resize((side, side))
    place = tuple(int(random.integers(0, whole - side + 1)) for whole in size)
    picture.paste(turned, place, turned)
    across = np.linspace(*random.uniform(0.55, 1.25, 2), size[0])[None, :, None]
    down = np.linspace(*random.uniform(0.75, 1.15, 2), size[1])[:, None, None]
    lit = np.asarray(picture) * across * down + random.normal(0, 6, (size[1], size[0], 1))
    seen = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))
    return seen.filter(ImageFilter.GaussianBlur(random.uniform(0, 1.2)))


def make(raw: Path, seed: int = 0) -> None:
    """Write the pictures into the folder `raw`, which must not be there yet.

    Raises
    ------
    Problem
        Where there is something already.
    """
    if raw.exists():
        raise Problem(
            f"{raw}: expected nothing yet, found a {'folder' if raw.is_dir() else 'file'}"
        )
    random, photographs = np.random.default_rng(seed), backgrounds()
    with bar(len(KINDS) * THINGS * SHOTS, "pictures", "picture") as shown:
        for kind in KINDS:
            for number in range(1, THINGS + 1):
                thing = drawn(kind, random)
                folder = raw / kind / f"{kind}-{number:02}"
                folder.mkdir(parents=True)
                for one in range(1, SHOTS + 1):
                    turn = int(random.choice([0, 0, 0, 90, 180, 270]))
                    # As a camera does that was turned: the pixels as they came, and a note.
                    picture = shot(thing, photographs, random).rotate(turn, expand=True)
                    exif = Image.Exif()
                    exif[ORIENTATION] = ROTATED[turn]
                    picture.save(folder / f"{one:02}.jpg", quality=88, exif=exif)
                    shown.update(1)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.example_pictures", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "raw", type=Path, nargs="?", default=Path("data/cosas/raw"),
        help="the folder to make (default: %(default)s)",
    )  # fmt: skip
    try:
        make(parser.parse_args().raw)
    except Problem as problem:
        sys.exit(f"example_pictures: {problem}")


if __name__ == "__main__":
    main()
