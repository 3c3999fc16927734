"""One picture file becomes pixels: every mode and orientation, antialiased, on a square."""

import io
import re
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.datasets import load_sample_images
from torch.nn.functional import interpolate

from taller.common.terminal import UserError
from taller.datasets import pictures

RANDOM = np.random.default_rng(0)
GREYS = RANDOM.integers(0, 256, (12, 16), dtype=np.uint8)
COLOURS = RANDOM.integers(0, 256, (12, 16, 3), dtype=np.uint8)
PHOTO = Image.fromarray(load_sample_images().images[0])  # 640 x 427


def on_paper(levels, alpha):
    """What is seen of levels, (h, w, 3), that let white through; in floats."""
    share = alpha[..., np.newaxis] / 255
    return levels * share + 255 * (1 - share)


def seen(image, tmp_path, form="PNG", side=16, size=(16, 12), channels=3, **options):
    """Levels of a picture behind a file, padded, (h, w, channels), without the grey around it."""
    file = tmp_path / f"picture.{form.lower()}"
    image.save(file, form, **options)
    levels = pictures.pixels(file, side, channels, "pad")
    assert (levels.dtype, levels.shape) == (np.uint8, (channels, side, side))
    assert levels.flags.c_contiguous
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    around = np.ones((side, side), bool)
    around[top : top + size[1], left : left + size[0]] = False
    assert (levels[:, around] == 128).all()
    return levels[:, top : top + size[1], left : left + size[0]].transpose(1, 2, 0)


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
    grey = seen(Image.fromarray(COLOURS), tmp_path, channels=1)[..., 0]
    assert abs(grey - COLOURS @ [0.299, 0.587, 0.114]).max() <= 1


def test_what_is_transparent_lies_on_white(tmp_path):
    alpha = RANDOM.integers(0, 256, (12, 16), dtype=np.uint8)
    for levels, expected in ((COLOURS, COLOURS), (GREYS[..., np.newaxis], in_three(GREYS))):
        image = Image.fromarray(np.concatenate([levels, alpha[..., np.newaxis]], 2))
        assert abs(seen(image, tmp_path) - on_paper(expected, alpha)).max() <= 1
    few = Image.fromarray(COLOURS).quantize(8)
    levels, places = np.asarray(few.convert("RGB")), np.asarray(few)
    for form in ("PNG", "GIF"):
        got = seen(few, tmp_path, form, transparency=3)
        expected = np.where(places[..., np.newaxis] == 3, 255, levels)
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_become_the_nearest_eight(tmp_path, form):
    deep = RANDOM.integers(0, 65536, (12, 16)).astype(np.uint16)
    deep[0, :4] = 0, 65535, 128, 129
    expected = in_three(np.rint(deep / 257))
    assert expected[0, :4, 0].tolist() == [0, 255, 0, 1]
    np.testing.assert_array_equal(seen(Image.fromarray(deep), tmp_path, form), expected)
    (tmp_path / "a.pgm").write_bytes(b"P5 16 12 65535\n" + deep.astype(">u2").tobytes())
    got = pictures.pixels(tmp_path / "a.pgm", 16, 1, "pad")[0, 2:14]
    np.testing.assert_array_equal(got, np.rint(deep / 257))


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_stands_as_its_exif_says(tmp_path, form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "turned"
    PHOTO.resize((150, 100)).save(file, form, exif=exif)
    with Image.open(file) as opened:
        upright = ImageOps.exif_transpose(opened)
    upright.save(tmp_path / "upright.png", exif=b"")
    levels, facts = pictures.read(file, "turned", 90, 3, "crop")
    np.testing.assert_array_equal(levels, pictures.pixels(tmp_path / "upright.png", 90, 3, "crop"))
    assert facts.size == upright.size == ((100, 150) if orientation > 4 else (150, 100))


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_that_is_decoded_smaller_is_the_same_picture(tmp_path, orientation, fit):
    exif = Image.Exif()
    exif[0x0112] = orientation
    PHOTO.save(tmp_path / "a.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "a.jpg") as opened:
        opened.load()  # from here on a smaller one cannot be asked for
        opened.save(tmp_path / "a.png", exif=exif)
    levels, facts = pictures.read(tmp_path / "a.jpg", "a", 32, 3, fit)
    assert facts.size == ((640, 427) if orientation < 5 else (427, 640))
    # Off by a part of a pixel, as without its last eighths, it would be 1.9.
    off = abs(levels.astype(int) - pictures.pixels(tmp_path / "a.png", 32, 3, fit)).mean()
    assert 0 < off < 0.5


@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_the_first_of_several_frames(tmp_path, form):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "many", form, save_all=True, append_images=frames[1:])
    levels, facts = pictures.read(tmp_path / "many", "many", 8, 3)
    assert facts.several and (levels == np.array([255, 0, 0])[:, None, None]).all()
    frames[0].save(tmp_path / "one", form)
    assert not pictures.read(tmp_path / "one", "one", 8, 3)[1].several


def test_a_photograph_keeps_its_aspect_and_is_antialiased(tmp_path):
    small = seen(PHOTO, tmp_path, side=64, size=(64, 43))
    planes = torch.from_numpy(np.array(PHOTO)).permute(2, 0, 1)[None].double()
    other = interpolate(planes, (43, 64), mode="bicubic", antialias=True)[0].clamp(0, 255)
    assert abs(other.permute(1, 2, 0).numpy() - small).max() <= 1.5
    for size, fitted in (((1000, 2), (32, 1)), ((1, 1), (32, 32)), ((3, 2), (32, 21))):
        assert (seen(Image.new("L", size, 7), tmp_path, side=32, size=fitted) == 7).all()


def test_a_square_is_cut_from_the_middle_or_holds_all_of_it_deformed(tmp_path):
    for size in ((150, 100), (100, 150)):
        PHOTO.resize(size).save(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as opened:
            middle = opened.crop(((size[0] - 100) // 2, (size[1] - 100) // 2,
                                  (size[0] + 100) // 2, (size[1] + 100) // 2))  # fmt: skip
            for fit, whole in (("crop", middle), ("squash", opened)):
                expected = np.asarray(whole.resize((50, 50), Image.Resampling.BICUBIC), int)
                levels = pictures.pixels(tmp_path / "a.png", 50, 3, fit).transpose(1, 2, 0)
                # Unlike this one, ours has what is beyond the cut to interpolate from.
                inside = abs(levels - expected)[2:-2, 2:-2]
                assert inside.max() <= 1 if fit == "crop" else (levels == expected).all()
    for size in ((1000, 2), (1, 1), (2, 3)):
        Image.new("L", size, 7).save(tmp_path / "thin.png")
        assert (pictures.pixels(tmp_path / "thin.png", 32, 1) == 7).all()


def encoded(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def tiff(level: float, dtype: type) -> bytes:
    return encoded(Image.fromarray(np.full((4, 4), level, dtype)), "TIFF")


def bomb() -> bytes:
    """A PNG of 200 megapixels, all one colour, in a few bytes."""
    data = bytearray(encoded(Image.new("1", (8, 8)), "PNG"))
    data[16:24] = (20000).to_bytes(4, "big") + (10000).to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"Dear reader", "expected a picture, found something else"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0",
            "expected a .* that Pillow reads, found HEIC: save it as J.*",
        ),
        (bomb(), r"expected a complete picture, found: Image size \(200000000 pixels\) exceeds.*"),
        (encoded(PHOTO, "JPEG")[:20_000], "expected a complete picture, found: .*truncated.*"),
        (tiff(65536, np.int32), "expected 8 or 16 bits a channel, found 32, with levels of 65.*"),
        (tiff(0.0, np.float32), "expected 8 or 16 bits a channel, found floats of 32"),
    ],
)
def test_what_is_no_picture_is_one_line(tmp_path, data, line):
    file = tmp_path / "a.jpg"
    file.write_bytes(data)
    with pytest.raises(UserError, match=f"^{re.escape(str(file))}: {line}$"):
        pictures.pixels(file, 8, 3)


def test_many_at_once_are_each_as_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "LARGE", 3000)  # some of them are decoded one after the other
    paths = [tmp_path / f"{place}.{('png', 'jpg', 'webp')[place % 3]}" for place in range(40)]
    for place, path in enumerate(paths):
        levels = RANDOM.integers(0, 256, (20 + place, 90 - place, 3), dtype=np.uint8)
        Image.fromarray(levels).save(path)
    paths[5].write_bytes(b"broken")
    images, facts, _ = pictures.read_all(paths, [path.name for path in paths], 24, 3, "pad")
    assert str(facts[5]) == "5.webp: expected a picture, found something else"
    for place in {*range(40)} - {5}:
        levels, alone = pictures.read(paths[place], "", 24, 3, "pad")
        assert alone == facts[place] and np.array_equal(images[place], levels)
