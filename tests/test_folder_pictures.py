"""One picture file becomes pixels: every mode and orientation, antialiased, nothing cropped."""

import io
import re
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from torch.nn.functional import interpolate

from taller.data import all_pictures, pictures
from taller.program.errors import Problem

RANDOM = np.random.default_rng(0)
GREYS = RANDOM.integers(0, 256, (12, 16), dtype=np.uint8)
COLOURS = RANDOM.integers(0, 256, (12, 16, 3), dtype=np.uint8)


def on_paper(levels, alpha):
    """What is seen of levels, (h, w, 3), that let white through; in floats."""
    share = alpha[..., np.newaxis] / 255
    return levels * share + 255 * (1 - share)


def inside(levels, width, height):
    """What of (channels, side, side) a picture of so many pixels takes, as (h, w, channels)."""
    side = levels.shape[1]
    top, left = (side - height) // 2, (side - width) // 2
    around = np.ones((side, side), bool)
    around[top : top + height, left : left + width] = False
    assert (levels[:, around] == 128).all()
    return levels[:, top : top + height, left : left + width].transpose(1, 2, 0)


def seen(image, tmp_path, form="PNG", side=16, channels=3, **options):
    """Pixels of a picture that has gone through a file of its own size: it is not resized."""
    file = tmp_path / f"picture.{form.lower()}"
    image.save(file, form, **options)
    levels = pictures.pixels(file, side, channels)
    assert (levels.dtype, levels.shape) == (np.uint8, (channels, side, side))
    assert levels.flags.c_contiguous
    with Image.open(file) as opened:
        np.testing.assert_array_equal(pictures.pixels(opened, side, channels), levels)
    return inside(levels, 16, 12)


def in_three(greys):
    return np.repeat(greys[..., np.newaxis], 3, axis=2)


def test_opaque_modes_keep_their_levels(tmp_path):
    bits = Image.fromarray(GREYS).convert("1")
    np.testing.assert_array_equal(seen(bits, tmp_path), in_three(255 * np.asarray(bits, np.uint8)))
    np.testing.assert_array_equal(seen(Image.fromarray(GREYS), tmp_path), in_three(GREYS))
    np.testing.assert_array_equal(seen(Image.fromarray(COLOURS), tmp_path), COLOURS)
    few = Image.fromarray(COLOURS).quantize(16)
    np.testing.assert_array_equal(seen(few, tmp_path), np.asarray(few.convert("RGB")))
    inks = Image.fromarray(COLOURS).convert("CMYK")
    np.testing.assert_array_equal(seen(inks, tmp_path, "TIFF"), COLOURS)
    lab = Image.frombytes("LAB", (16, 12), COLOURS.tobytes())
    assert seen(lab, tmp_path, "TIFF").shape == (12, 16, 3)
    luma = Image.fromarray(COLOURS).convert("YCbCr")
    near = seen(luma, tmp_path, "TIFF").astype(int) - COLOURS
    assert abs(near).max() <= 3


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_lies_on_white(tmp_path, mode):
    alpha = RANDOM.integers(0, 256, (12, 16), dtype=np.uint8)
    levels = COLOURS if mode == "RGBA" else GREYS[..., np.newaxis]
    image = Image.fromarray(np.concatenate([levels, alpha[..., np.newaxis]], 2))
    assert image.mode == mode
    expected = on_paper(COLOURS if mode == "RGBA" else in_three(GREYS), alpha)
    assert abs(seen(image, tmp_path) - expected).max() <= 1


def test_transparent_colours_of_palettes_and_of_png_lie_on_white(tmp_path):
    few = Image.fromarray(COLOURS).quantize(8)
    levels, places = np.asarray(few.convert("RGB")), np.asarray(few)
    clear = np.where(places == 3, 0, 255)
    for form in ("PNG", "GIF"):
        got = seen(few, tmp_path, form, transparency=3)
        np.testing.assert_array_equal(got[places == 3], 255)
        np.testing.assert_array_equal(got[places != 3], levels[places != 3])
    halves = np.where(places == 2, 100, clear)
    table = bytes([255, 255, 100, 0, 255, 255, 255, 255])
    got = seen(few, tmp_path, transparency=table)
    assert abs(got - on_paper(levels, halves)).max() <= 1
    got = seen(Image.fromarray(GREYS), tmp_path, transparency=int(GREYS[0, 0]))
    np.testing.assert_array_equal(got, in_three(np.where(GREYS[0, 0] == GREYS, 255, GREYS)))
    colour = tuple(COLOURS[0, 0].tolist())
    got = seen(Image.fromarray(COLOURS), tmp_path, transparency=colour)
    same = (COLOURS[0, 0] == COLOURS).all(2, keepdims=True)
    np.testing.assert_array_equal(got, np.where(same, 255, COLOURS))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_become_the_nearest_eight(tmp_path, form):
    deep = RANDOM.integers(0, 65536, (12, 16)).astype(np.uint16)
    deep[0, :4] = 0, 65535, 128, 129
    expected = np.rint(deep / 257)
    assert expected[0, :4].tolist() == [0, 255, 0, 1]
    np.testing.assert_array_equal(seen(Image.fromarray(deep), tmp_path, form), in_three(expected))
    clear = {"transparency": 65535} if form == "PNG" else {}
    deep[0, 1] = 65535
    got = seen(Image.fromarray(deep), tmp_path, form, **clear)
    np.testing.assert_array_equal(got, in_three(expected))
    wide = Image.fromarray(deep.astype(np.int32))
    assert wide.mode == "I"
    np.testing.assert_array_equal(seen(wide, tmp_path, "TIFF"), in_three(expected))


def test_big_endian_sixteen_bits(tmp_path):
    deep = RANDOM.integers(0, 65536, (12, 16)).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 16 12 65535\n" + deep.tobytes())
    got = inside(pictures.pixels(tmp_path / "a.pgm", 16, 1), 16, 12)
    np.testing.assert_array_equal(got[..., 0], np.rint(deep / 257))
    image = Image.frombytes("I;16B", (16, 12), deep.tobytes())
    np.testing.assert_array_equal(inside(pictures.pixels(image, 16, 1), 16, 12), got)


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        (np.zeros((4, 4), np.float32), "floats of 32"),
        (np.full((4, 4), 65536, np.int32), "32, with levels of 65536 to 65536"),
        (np.full((4, 4), -1, np.int32), "32, with levels of -1 to -1"),
    ],
)
def test_more_than_sixteen_bits_are_refused(tmp_path, levels, found):
    file = tmp_path / "deep.tiff"
    Image.fromarray(levels).save(file)
    line = re.escape(f"{file}: expected 8 or 16 bits a channel, found {found}")
    with pytest.raises(Problem, match=f"^{line}$"):
        pictures.pixels(file, 8, 3)
    with pytest.raises(Problem, match=r"^picture: expected 8 or 16 bits"):
        pictures.pixels(Image.fromarray(levels), 8, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_as_its_exif_tells(tmp_path, form, orientation):
    flower = Image.fromarray(load_sample_images().images[1]).resize((150, 100))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned"
    flower.save(file, form, exif=exif)
    with Image.open(file) as opened:
        upright = ImageOps.exif_transpose(opened)
    assert upright.size == ((100, 150) if orientation > 4 else (150, 100))
    read = pictures.read(file, 90, 3)
    np.testing.assert_array_equal(read.pixels, pictures.pixels(upright, 90, 3))
    assert read.size == upright.size


def test_broken_exif_turns_nothing(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=b"Exif\0\0nonsense")
    got = inside(pictures.pixels(tmp_path / "a.png", 16, 3), 16, 12)
    np.testing.assert_array_equal(got, COLOURS)


@pytest.mark.parametrize(
    ("form", "more"), [("GIF", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]
)
def test_the_first_of_several_frames(tmp_path, form, more):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "many", form, save_all=True, append_images=frames[1:], **more)
    read = pictures.read(tmp_path / "many", 8, 3)
    assert read.several and (read.pixels == np.array([255, 0, 0])[:, None, None]).all()
    frames[0].save(tmp_path / "one", form)
    assert not pictures.read(tmp_path / "one", 8, 3).several


def test_a_photograph_keeps_its_aspect_and_is_antialiased():
    photo = load_sample_images().images[0]
    assert photo.shape == (427, 640, 3)
    small = inside(pictures.pixels(Image.fromarray(photo), 64, 3), 64, 43)
    planes = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].double()
    other = interpolate(planes, (43, 64), mode="bicubic", antialias=True)[0].clamp(0, 255)
    assert abs(other.permute(1, 2, 0).numpy() - small).max() <= 1.5
    tall = inside(pictures.pixels(Image.fromarray(photo.transpose(1, 0, 2)), 64, 3), 43, 64)
    assert abs(tall.transpose(1, 0, 2).astype(int) - small).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_that_is_decoded_smaller_is_the_same_picture(tmp_path, orientation):
    photo = Image.fromarray(load_sample_images().images[0])
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo.save(tmp_path / "a.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "a.jpg") as opened:
        opened.load()  # from here on a smaller one cannot be asked for
        whole = pictures.pixels(opened, 32, 3)
    drafted = pictures.read(tmp_path / "a.jpg", 32, 3)
    assert drafted.size == ((640, 427) if orientation < 5 else (427, 640))
    # Off by a part of a pixel, as without its last eighths, it would be 1.9.
    assert 0 < abs(drafted.pixels.astype(int) - whole).mean() < 0.5


def test_tiny_and_thin_pictures_fill_the_square():
    dot = Image.new("RGB", (1, 1), (10, 20, 30))
    assert (pictures.pixels(dot, 32, 3) == np.array([10, 20, 30])[:, None, None]).all()
    line = inside(pictures.pixels(Image.new("L", (1000, 2), 7), 32, 1), 32, 1)
    assert (line == 7).all()
    odd = inside(pictures.pixels(Image.new("L", (3, 2), 7), 32, 1), 32, 21)
    assert (odd == 7).all()


def test_grey_is_the_same_by_either_way():
    photo = Image.fromarray(load_sample_images().images[0]).convert("L")
    one, three = (pictures.pixels(photo, 48, channels) for channels in (1, 3))
    np.testing.assert_array_equal(np.repeat(one, 3, 0), three)
    np.testing.assert_array_equal(pictures.pixels(photo.convert("RGB"), 48, 1), one)
    colour = Image.new("RGB", (4, 4), (200, 100, 50))
    assert (pictures.pixels(colour, 4, 1) == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)).all()


def bomb() -> bytes:
    """A PNG of 200 megapixels, all one colour, in a few bytes."""
    file = io.BytesIO()
    Image.new("1", (8, 8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = (20000).to_bytes(4, "big") + (10000).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


def cut_jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(load_sample_images().images[0]).save(file, "JPEG")
    return file.getvalue()[:20_000]


def cut_png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(COLOURS).save(file, "PNG")
    return file.getvalue()[:300]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "expected a picture, found an empty file"),
        (b"Dear reader", "expected a picture, found something else"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "expected a picture, found some.*"),
        (bomb(), "expected at most 178 megapixels, found 200"),
        (cut_jpeg(), r"expected a whole picture, found: image file is truncated \(\d+ .*\)"),
        (cut_png(), "expected a whole picture, found: image file is truncated.*"),
    ],
    ids=["empty", "text", "postscript", "bomb", "jpeg", "png"],
)
def test_what_is_no_whole_picture_is_told(tmp_path, data, told):
    file = tmp_path / "a.jpg"
    file.write_bytes(data)
    with pytest.raises(Problem, match=f"^{re.escape(str(file))}: {told}$"):
        pictures.pixels(file, 8, 3)


def test_damaged_files_never_end_in_another_error(tmp_path):
    file, whole = tmp_path / "a", {}
    for form in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "ICO", "JPEG2000", "TGA", "PCX"):
        Image.fromarray(COLOURS).resize((32, 32)).save(file, form)
        whole[form] = file.read_bytes()
    for data in whole.values():
        for _ in range(25):
            damaged = np.frombuffer(data, np.uint8).copy()
            places = RANDOM.integers(0, min(len(damaged), 200), 3)
            damaged[places] = RANDOM.integers(0, 256, 3)
            file.write_bytes(damaged.tobytes())
            try:
                assert pictures.pixels(file, 8, 3).shape == (3, 8, 8)
            except Problem as problem:
                assert "\n" not in str(problem) and ": expected " in str(problem)


def test_a_large_picture_warns_nobody(tmp_path, recwarn):
    Image.new("1", (10_000, 9_000)).save(tmp_path / "a.png")
    assert not pictures.pixels(tmp_path / "a.png", 8, 1)[:, 1:-1].any()
    assert not recwarn.list


def test_any_number_of_workers_reads_the_same(tmp_path):
    paths = []
    for place in range(80):
        form = ("png", "jpg", "webp", "gif")[place % 4]
        levels = RANDOM.integers(0, 256, (20 + place, 90 - place, 3), dtype=np.uint8)
        paths.append(tmp_path / f"{place}.{form}")
        Image.fromarray(levels).save(paths[-1])
    paths[5].write_bytes(b"broken")
    names = [path.name for path in paths]
    one, two = (
        all_pictures.read_all(paths, names, side=24, channels=3, workers=workers)
        for workers in (1, 2)
    )
    np.testing.assert_array_equal(one.images, two.images)
    assert (one.digests, one.sizes, one.several) == (two.digests, two.sizes, two.several)
    problems = {"5.jpg": "expected a picture, found something else"}
    assert one.problems == two.problems == problems
    for place in (0, 1, 2, 3, 79):
        alone = pictures.pixels(paths[place], 24, 3)
        np.testing.assert_array_equal(two.images[place], alone)


def test_pictures_wait_for_room(tmp_path, monkeypatch):
    """With room for less than one picture they go one after the other, and all arrive."""
    monkeypatch.setattr(all_pictures, "PIXELS", 10)
    paths = [tmp_path / f"{place}.png" for place in range(70)]
    for place, path in enumerate(paths):
        Image.new("L", (5, 5), place).save(path)
    read = all_pictures.read_all(paths, map(str, paths), side=5, channels=1, workers=4)
    assert read.images[:, 0, 0, 0].tolist() == list(range(70))
