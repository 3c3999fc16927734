"""Pictures of one's own: what the network is shown, and what the program says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from drawings import DRAWINGS, Drawing, black_on_white, flat, ink, noise, painted, rgb
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_sample_images

from taller.data import idx, idx_source
from taller.data.idx_sets import FASHION, MNIST
from taller.data.pictures import pixels
from taller.models import architectures, simple_nn, store
from taller.models.scaling import Scaling
from taller.program.errors import Problem
from taller.training import engine, numerics
from taller.training.adamw import AdamW
from taller.training.batches import Batches
from tools import handwriting, predict

ROOT = Path(__file__).parents[1]
DIGITS = MNIST.classes
FINAL = ROOT / "modelos/modelo_final.pth"


SCALING = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))
ARGUMENTS = {"classes": 10, "shape": (1, 28, 28)}


@pytest.fixture(scope="session")
def small_model(mnist_raw, tmp_path_factory) -> Path:
    """A SimpleNN after four epochs on 20,000 images, in a file like the pipeline's."""
    training, _ = idx_source.read(MNIST, mnist_raw)
    training, cpu = training.take(slice(20_000)), torch.device("cpu")
    recipe = engine.Recipe(
        make_model=lambda: simple_nn.build(**ARGUMENTS),
        make_optimizer=lambda network: AdamW(network.parameters(), 3e-3, weight_decay=0.0),
        epochs=4, schedule="one_cycle",
    )  # fmt: skip
    images, labels = torch.from_numpy(training.images), torch.from_numpy(training.labels)
    data = Batches(images, labels, torch.arange(len(labels)), 128, cpu, SCALING)
    with numerics.threads(1):
        fit = engine.fit(recipe, data, seed=0, device=cpu)
    path = tmp_path_factory.mktemp("models") / "small.pth"
    store.save(path, "SimpleNN", ARGUMENTS, SCALING, training.names, fit.model.state_dict())
    return path


@pytest.fixture(params=["small", "final"])
def classifier(request):
    if request.param == "small":
        return store.load(request.getfixturevalue("small_model"), architectures.ALL)
    if not FINAL.exists():
        pytest.skip(f"{FINAL.relative_to(ROOT)} is not there: the final model was NOT tested")
    return store.load(FINAL, architectures.ALL)


def alike(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two pictures, at best of nine shifts by up to a pixel.

    A centre of mass between two pixels is rounded to either of them.
    """
    shifted = [np.roll(second, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(np.corrcoef(first.ravel(), other.ravel())[0, 1] for other in shifted)


def drawing(size=(200, 200), box=(0.3, 0.25, 0.4, 0.5), pen=10.0, digit=5) -> Image.Image:
    cover = ink(digit, size, box, pen)
    return rgb(painted(cover, flat(cover, [230] * 3), [60] * 3))


def run_here(monkeypatch, cwd: Path, *arguments) -> object:
    """The program in this process, where torch is there already: what it exits with."""
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        predict.main()
    return caught.value.code


def run(*arguments, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "tools.predict", *map(str, arguments)],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda one: f"{one.digit}-{one.make.__name__}")
def test_drawn_digits_are_read(classifier, drawing: Drawing):
    chances = predict.probabilities(classifier, handwriting.digit(drawing.make())[np.newaxis])
    assert chances.argmax() == drawing.digit
    assert chances.max() >= predict.SURE
    assert chances.sum() == pytest.approx(1)


@pytest.mark.parametrize("one", DRAWINGS, ids=lambda one: one.make.__name__)
def test_pictures_have_mnists_geometry(one: Drawing):
    picture = handwriting.digit(one.make())
    assert picture.shape == (28, 28) and picture.dtype == np.uint8
    assert picture.max() == 255
    boxes = [np.flatnonzero(picture.any(axis=axis)) for axis in (0, 1)]
    assert 19 <= max(np.ptp(box) + 1 for box in boxes) <= 20
    assert np.abs(np.subtract(ndimage.center_of_mass(picture), 14)).max() < 0.55


def test_mnists_own_images_pass_nearly_unchanged(mnist_raw):
    """But for the specks that a few of them have."""
    images = idx.read(mnist_raw / "train-images-idx3-ubyte")[:300]
    passed = np.stack([handwriting.digit(Image.fromarray(image)) for image in images])
    likeness = np.array([alike(*pair) for pair in zip(images, passed, strict=True)])
    assert np.median(likeness) > 0.999
    assert np.mean(likeness > 0.99) > 0.95
    centres = np.array([ndimage.center_of_mass(picture) for picture in passed])
    assert np.abs(centres - 14).max() < 0.52
    for axis in (1, 2):
        assert passed.any(axis=axis).sum(axis=1).max() <= 20


@pytest.mark.parametrize("one", DRAWINGS, ids=lambda one: one.make.__name__)
def test_dark_and_light_are_the_same(one: Drawing):
    pixels = handwriting._pixels(one.make())
    picture, negative = (rgb(255 * levels) for levels in (pixels, 1 - pixels))
    assert alike(handwriting.digit(picture), handwriting.digit(negative)) > 0.999


# At a quarter the digit is 25 pixels high, and its strokes are no longer sharp.
@pytest.mark.parametrize(
    ("factor", "least"), [(0.25, 0.85), (0.5, 0.97), (1.7, 0.97), (4, 0.97), (15, 0.97)]
)
def test_size_does_not_matter(factor, least):
    side = round(200 * factor)
    scaled = drawing().resize((side, side), Image.Resampling.BICUBIC, reducing_gap=None)
    assert alike(handwriting.digit(drawing()), handwriting.digit(scaled)) > least


@pytest.mark.parametrize("corner", [(0.05, 0.05), (0.55, 0.1), (0.05, 0.45), (0.55, 0.45)])
def test_place_does_not_matter(corner):
    moved = drawing(box=(*corner, 0.4, 0.5))
    assert alike(handwriting.digit(drawing()), handwriting.digit(moved)) > 0.99


@pytest.mark.parametrize("added", [-40, 20])
def test_brightness_does_not_matter(added):
    brighter = rgb(np.asarray(drawing(), np.float64) + added)
    np.testing.assert_array_equal(handwriting.digit(drawing()), handwriting.digit(brighter))


def test_shape_of_the_picture_does_not_matter():
    wide = Image.new("RGB", (600, 200), (230, 230, 230))
    wide.paste(drawing(), (350, 0))
    assert alike(handwriting.digit(drawing()), handwriting.digit(wide)) > 0.98


def test_the_detached_bar_of_a_five_stays_and_specks_go():
    cover = ink(5, (256, 256), (0.3, 0.22, 0.4, 0.55), 12, seed=5)
    assert ndimage.label(cover > 0.5)[1] == 2, "the drawing's bar is not detached"
    clean = handwriting.digit(rgb(painted(cover, flat(cover, [255] * 3), [0] * 3)))
    assert ndimage.label(clean > 127)[1] == 2
    cover[20:24, 30:34] = cover[200:203, 220:223] = cover[240:256, 100:220] = 1
    dirty = handwriting.digit(rgb(painted(cover, flat(cover, [255] * 3), [0] * 3)))
    assert alike(dirty, clean) > 0.999


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "CMYK", "I", "F", "YCbCr", "HSV"])
def test_modes_are_the_same(mode):
    if mode == "LA":
        grey = black_on_white()
        converted = Image.merge("LA", [Image.new("L", grey.size), grey.point(lambda v: 255 - v)])
    else:
        converted = black_on_white().convert("RGB" if mode == "HSV" else "L").convert(mode)
    assert alike(handwriting.digit(black_on_white()), handwriting.digit(converted)) > 0.999


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_formats_are_the_same(suffix, tmp_path):
    path = tmp_path / f"five.{suffix}"
    drawing().save(path)
    assert alike(handwriting.digit(drawing()), handwriting.digit(handwriting.read(path))) > 0.99


def test_a_photo_is_turned_the_way_it_was_taken(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    drawing().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "five.png", exif=exif)
    turned = handwriting.digit(handwriting.read(tmp_path / "five.png"))
    np.testing.assert_array_equal(turned, handwriting.digit(drawing()))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (Image.new("L", (100, 80), 255), "found a blank picture (contrast 0%)"),
        (Image.new("RGBA", (100, 80)), "found a blank picture (contrast 0%)"),
        (rgb(128 + noise(np.zeros((90, 90)), 20)), "found a blank picture"),
        (rgb(np.linspace(50, 250, 300 * 200 * 3).reshape(200, 300, 3)), "found a blank picture"),
        (Image.new("L", (5, 9)), "expected a picture of 12 pixels or more, found 5 × 9"),
        (drawing((30, 30), (0.4, 0.4, 0.1, 0.15), 1), "expected a digit of 8 pixels or more"),
    ],
    ids=["white", "transparent", "noise", "gradient", "tiny", "tiny-ink"],
)
def test_pictures_without_a_digit_are_refused(picture, message):
    with pytest.raises(Problem, match=re.escape(message)):
        handwriting.digit(picture)


@pytest.fixture
def bad_files(tmp_path) -> dict[str, str]:
    """Files that hold no picture, each with what is said of it."""
    drawing().save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    drawing().save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    Image.new("L", (50, 50)).save(tmp_path / "blank.png")
    return {
        "cut.png": "found one that cannot be read (",
        "cut.jpg": "found one that cannot be read (",
        "text.png": "found something else",
        "empty.png": "found an empty file",
        "folder.png": "found a folder",
        "missing.png": "found nothing",
        "blank.png": "found a blank picture",
    }


def test_bad_files_get_a_line_each_and_good_ones_an_answer(
    bad_files, small_model, tmp_path, monkeypatch, capsys
):
    black_on_white().save(tmp_path / "zero.png")
    told = (*bad_files, "zero.png", "--model", small_model, "--save", "seen.png")
    assert run_here(monkeypatch, tmp_path, *told) == 1
    done = capsys.readouterr()
    lines = done.err.splitlines()
    assert len(lines) == len(bad_files)
    for line, (name, found) in zip(lines, bad_files.items(), strict=True):
        assert line.startswith(f"predict: {name}: expected a ") and found in line
    assert done.out.startswith("zero.png: 0\n")
    seen = np.asarray(Image.open(tmp_path / "seen.png"))[::8, ::8]
    np.testing.assert_array_equal(seen, handwriting.digit(black_on_white()))


def test_the_program_prints_the_digit_and_ten_probabilities(small_model, tmp_path):
    names = []
    for one, suffix in zip(DRAWINGS[2:4], ("png", "jpg"), strict=True):
        names.append(f"a photo {one.digit}.{suffix}")
        one.make().save(tmp_path / names[-1])
    done = run(*names, "--model", small_model, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[::3] == ["a photo 2.png: 2", "a photo 3.jpg: 3"]
    assert max(map(len, lines)) <= 80
    percents = [float(cell) for cell in lines[2].split()[1:]]
    assert len(percents) == 10 and sum(percents) == pytest.approx(100, abs=0.5)


def test_below_four_fifths_it_says_that_it_is_unsure():
    chances = np.full(10, 0.01)
    chances[[7, 1]] = 0.79, 0.13
    assert predict.described_digit(Path("a.png"), chances, DIGITS).startswith(
        "a.png: 7  (unsure; perhaps 1)\n"
    )
    chances[[7, 1]] = 0.80, 0.12
    assert predict.described_digit(Path("a.png"), chances, DIGITS).startswith("a.png: 7\n")


def test_what_is_no_model_gets_one_line(tmp_path, monkeypatch):
    (tmp_path / "bad.pth").write_text("not a model")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    for name in ("bad.pth", "tensor.pth", "missing.pth"):
        with pytest.raises(Problem, match=f"{name}: expected a model"):
            predict.predict([tmp_path / "a.png"], tmp_path / name)
    message = run_here(monkeypatch, tmp_path, "a.png", "--model", "missing.pth")
    assert message.startswith("predict: missing.pth: ") and "\n" not in message


@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_of_other_classes_sees_a_picture_as_its_training_did(tmp_path, capsys, channels):
    names, side = ("llave", "taza", "pez"), 40
    arguments = {"classes": len(names), "shape": (channels, side, side)}
    scaling, network = Scaling((0.5,), (0.5,), (side, side)), simple_nn.build(**arguments)
    store.save(tmp_path / "m.pth", "SimpleNN", arguments, scaling, names, network.state_dict())
    paths = []
    for number, photograph in enumerate(load_sample_images().images):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(photograph).save(paths[-1])
    assert predict.predict(paths, tmp_path / "m.pth", tmp_path / "seen.png")
    lines = capsys.readouterr().out.splitlines()
    for path, line in zip(paths, lines, strict=True):
        seen = torch.from_numpy(pixels(path, side, channels)[None])
        with torch.inference_mode():
            chances = network.eval()(scaling(seen))[0].double().softmax(0)
        first, second = chances.argsort(descending=True)[:2].tolist()
        told = [f"{names[one]} {100 * chances[one]:.1f} %" for one in (first, second)]
        assert line.startswith(f"{path}: {', '.join(told)}")
        assert line.endswith("(unsure)") == bool(chances[first] < predict.SURE)
    assert Image.open(tmp_path / "seen.png").size == (2 * 5 * side, 5 * side)


def test_a_model_of_the_catalogues_other_sets_sees_bright_on_black(tmp_path, mnist_raw):
    network = simple_nn.build(10, (1, 28, 28), hidden=[2], dropout=0.0)
    scaling = Scaling(mean=(0.5,), std=(0.5,), size=(28, 28))
    arguments = {"classes": 10, "shape": (1, 28, 28), "hidden": [2], "dropout": 0.0}
    store.save(
        tmp_path / "m.pth", "SimpleNN", arguments, scaling, FASHION.classes, network.state_dict()
    )
    model = store.load(tmp_path / "m.pth", architectures.ALL)
    image = idx.read(mnist_raw / "t10k-images-idx3-ubyte")[0]
    for name, levels in ("dark", image), ("light", 255 - image):
        Image.fromarray(levels).save(tmp_path / f"{name}.png")
        assert (predict.prepared(tmp_path / f"{name}.png", model)[0] == image).all()
    wide = np.full((56, 112), 250, np.uint8)
    wide[10:40, 30:80] = 20
    Image.fromarray(wide).convert("RGBA").save(tmp_path / "wide.png")
    seen = predict.prepared(tmp_path / "wide.png", model)[0]
    assert seen[:6].max() == seen[-6:].max() == 0  # what is laid around it
    assert seen[14, 14] > 200 and seen[14, 1] < 20


def test_a_model_of_pictures_that_are_not_square_is_refused(tmp_path):
    arguments = {"classes": 2, "shape": (3, 20, 24)}
    state, scaling = simple_nn.build(**arguments).state_dict(), Scaling((0.5,), (0.5,), (20, 24))
    store.save(tmp_path / "m.pth", "SimpleNN", arguments, scaling, ("a", "b"), state)
    black_on_white().save(tmp_path / "zero.png")
    assert not predict.predict([tmp_path / "zero.png"], tmp_path / "m.pth")


class Hostile:
    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_a_hostile_model_runs_nothing(tmp_path, monkeypatch):
    torch.save({"architecture": "SimpleNN", "state_dict": Hostile()}, tmp_path / "hostile.pth")
    message = run_here(monkeypatch, tmp_path, "a.png", "--model", "hostile.pth")
    assert message.startswith("predict: hostile.pth: expected a model")
    assert not (tmp_path / "pwned").exists()


def test_a_picture_that_cannot_be_written_gets_one_line(small_model, tmp_path):
    black_on_white().save(tmp_path / "zero.png")
    for save in ("seen.unknown", "no/folder/seen.png"):
        with pytest.raises(Problem, match=f"{save}: expected a picture that can be written"):
            predict.predict([tmp_path / "zero.png"], small_model, tmp_path / save)


def test_help_states_the_rule():
    assert f"Below a probability of {predict.SURE:.0%}".replace("%", " %") in predict.__doc__


@pytest.mark.skipif(shutil.which("make") is None, reason="make is NOT installed: not tested")
def test_make_predict_without_a_picture_tells_its_usage():
    # Under `make test` this make would be a submake, and say where it is.
    ours = ("IMAGE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        ["make", "predict"], cwd=ROOT, env=clean, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "usage: make predict IMAGE=photo.png"
    assert done.stdout == ""
