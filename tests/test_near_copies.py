"""Which pictures show one shot: copies that were changed, and not what merely looks alike."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from taller.datasets import near_copies

WHOLE = [Image.fromarray(one) for one in load_sample_images().images]
PLACES = [(left, top) for left in range(0, 541, 90) for top in range(0, 331, 66)]
CUTS = [whole.crop((left, top, left + 96, top + 96)) for whole in WHOLE for left, top in PLACES]


def array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC)).transpose(
        2, 0, 1
    )


def find(changed: list[Image.Image]) -> near_copies.NearCopies:
    return near_copies.find(array(one) for one in CUTS + changed)


def coarse(picture: Image.Image) -> Image.Image:
    picture.save(file := io.BytesIO(), "JPEG", quality=60)
    return Image.open(file)


CHANGES = {
    "smaller": lambda one: one.resize((24, 24)),
    "encoded again": coarse,
    "larger": lambda one: one.resize((200, 200)),
    "a moment later": lambda one: one.crop((1, 1, 96, 96)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_nothing_else(change):
    copies = find([CHANGES[change](one) for one in CUTS])
    expected = np.stack([np.arange(len(CUTS)), np.arange(len(CUTS)) + len(CUTS)], axis=1)
    pairs = {*map(tuple, copies.pairs.tolist())}
    assert len(pairs & {*map(tuple, expected.tolist())}) > 0.9 * len(CUTS)
    assert pairs <= {*map(tuple, expected.tolist())} and copies.dissolved == 0
    assert len({*copies.groups}) == 2 * len(CUTS) - len(pairs)


def test_things_before_one_plain_background_are_no_copies():
    random, drawn = np.random.default_rng(0), []
    for _ in range(100):
        picture = Image.fromarray(random.integers(225, 235, (96, 96, 3), dtype=np.uint8))
        x, y = random.integers(20, 60, 2)
        box = (x, y, x + random.integers(15, 40), y + random.integers(15, 40))
        ImageDraw.Draw(picture).ellipse(box, fill=tuple(random.integers(0, 200, 3).tolist()))
        drawn.append(picture)
    copies = find(drawn)
    assert len(copies.pairs) <= 2 and copies.dissolved == 0


def test_a_burst_in_a_small_set_stays_together():
    burst = [array(one) for one in (CUTS[0], *(change(CUTS[0]) for change in CHANGES.values()))]
    found = near_copies.find([array(one) for one in CUTS[1:20]] + burst)
    assert len({*found.groups[19:]}) == 1 and not {*found.groups[:19]} & {*found.groups[19:]}


def test_small_pictures_of_one_class_are_no_copies(mnist):
    digits = mnist[0].images[:2000]
    again = np.asarray(Image.fromarray(digits[7, 0]).resize((56, 56)).resize((28, 28)))
    pairs = near_copies.find([*digits, again[np.newaxis]]).pairs
    assert [7, 2000] in pairs.tolist() and len(pairs) < 10


def test_a_group_that_is_too_large_is_dissolved_and_others_stay():
    blank = [Image.new("L", (64, 64), level) for level in (0, 0, 200, 255)]  # like nothing
    video = [CUTS[0].crop((0, 0, 96 - place % 2, 96)) for place in range(20)]
    copies = find([*video, CUTS[50].convert("L"), *blank])
    assert copies.dissolved == 21 and copies.groups[50] == copies.groups[len(CUTS) + 20]
    assert len({*copies.groups}) == len(CUTS) + 24 and [50, len(CUTS) + 20] in copies.pairs.tolist()
    assert np.bincount(copies.groups).max() == 2
