"""Pictures of one's own: what the network sees of them, and what the program says."""

import json
import re
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import downloaded
from PIL import Image
from scipy import ndimage

from taller.common.terminal import UserError
from taller.datasets import dataset, pictures
from taller.datasets.dataset import Dataset
from taller.networks import simple_nn
from taller.report.language import Language
from taller.sources import catalogue
from taller.training import engine, store
from taller.training.batches import Batches, Scaling, tensor
from tools import predict

ROOT = Path(__file__).parents[1]
SCALING = Scaling((0.5,), (0.5,), (28, 28))
SHOWN = {5: 4}  # of the images of each digit, where the first is one that people doubt, too


@cache
def written() -> Dataset:
    return dataset.read_idx("MNIST", downloaded(catalogue.MNIST))[0]


def ink(digit: int, size=(200, 200), box=(0.3, 0.25, 0.4, 0.5)) -> np.ndarray:
    """A digit as somebody wrote it, in `box`, shares of the picture: the ink's share of pixels."""
    image = written().images[np.flatnonzero(written().labels == digit)[SHOWN.get(digit, 0)], 0]
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    left, top, width, height = np.rint(np.multiply(box, [*size, *size])).astype(int)
    canvas = Image.new("L", size)
    canvas.paste(
        Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC), (left, top)
    )
    return np.clip(3 * np.asarray(canvas, np.float64) / 255 - 1, 0, 1)  # with sharp edges


def paint(cover: np.ndarray, paper, colour) -> np.ndarray:
    """Ink of one colour on paper of one: levels, shape (height, width, 3)."""
    return np.asarray(paper) + cover[..., None] * (np.asarray(colour) - np.asarray(paper, float))


def rgb(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(levels, 0, 255)).astype(np.uint8))


def grain(cover: np.ndarray, deviation: float) -> np.ndarray:
    return np.random.default_rng(1).normal(0, deviation, (*cover.shape, 3))


def light(cover: np.ndarray, low: float, high: float) -> np.ndarray:
    """Light that falls from one corner: factors, shape (height, width, 1)."""
    y, x = np.mgrid[-1 : 1 : 1j * cover.shape[0], -1 : 1 : 1j * cover.shape[1]]
    return (low + (high - low) * (0.5 + (x + y) / 4))[..., None]


def plain(digit: int = 0) -> Image.Image:
    return rgb(paint(ink(digit), [255] * 3, [0] * 3))


def pencil_under_a_lamp() -> Image.Image:
    cover = ink(2, (640, 480), (0.3, 0.2, 0.35, 0.6))
    levels = paint(cover, [235, 230, 215], [70, 70, 75])
    return rgb(levels * light(cover, 1.0, 0.35) + grain(cover, 8))


def chalk() -> Image.Image:
    cover = ink(3, (320, 240), (0.6, 0.4, 0.27, 0.45))
    return rgb(paint(cover, [35, 75, 55], [225, 230, 220]) + grain(cover, 18))


def fine_pen_and_a_shadow() -> Image.Image:
    cover = ink(4, (1000, 1400), (0.3, 0.35, 0.3, 0.25))
    y, x = np.mgrid[:1400, :1000]
    shadow = np.where(x + 0.4 * y < 500, 0.55, 1.0)[..., None]
    levels = paint(cover, [240, 238, 230], [30, 40, 150]) * shadow
    for row, column in np.random.default_rng(4).integers(20, 980, (30, 2)):
        levels[row : row + 5, column : column + 5] = 90  # specks of dust
    return rgb(levels)


def white_on_nothing() -> Image.Image:
    cover = ink(5, (256, 256), (0.3, 0.22, 0.4, 0.55))
    return rgb(np.dstack([np.full((*cover.shape, 3), 255.0), 255 * cover]))


DRAWINGS = {
    0: plain, 2: pencil_under_a_lamp, 3: chalk, 4: fine_pen_and_a_shadow, 5: white_on_nothing,
}  # fmt: skip


def extract(image: Image.Image) -> np.ndarray:
    return predict.extract_digit(predict.to_rgb(image))


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation at best of nine shifts: a centre between two pixels is rounded to either."""
    shifts = [np.roll(second, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return max(np.corrcoef(first.ravel(), one.ravel())[0, 1] for one in shifts)


def save(path: Path, names, shape, scaling: Scaling, state=None) -> Path:
    """Store a SimpleNN; without a state an untrained one."""
    arguments = {"classes": len(names), "shape": shape, "hidden": [64], "dropout": 0.0}
    state = simple_nn.build(**arguments).state_dict() if state is None else state
    store.save(path, "simple_nn", arguments, scaling, names, state)
    return path


@pytest.fixture(autouse=True)
def in_spanish(workdir):
    """Whatever the params.yaml of this folder asks for."""


@pytest.fixture(scope="session")
def small_model(mnist, tmp_path_factory) -> Path:
    """A SimpleNN after four epochs on 8,000 images."""
    train: Dataset = mnist[0].take(slice(8_000))
    images, labels, cpu = tensor(train.images), tensor(train.labels), torch.device("cpu")
    data = Batches(images, labels, torch.arange(len(labels)), 128, cpu, SCALING)
    with engine.threads(1):
        fit = engine.fit(
            lambda: simple_nn.build(10, (1, 28, 28), [64], 0.0),
            lambda network: torch.optim.Adam(network.parameters(), 3e-3),
            [data] * 4, schedule="one_cycle", seed=0, device=cpu,
        )  # fmt: skip
    path = tmp_path_factory.mktemp("models") / "small.pth"
    return save(path, train.names, (1, 28, 28), SCALING, fit.model.state_dict())


@pytest.fixture(params=["small", "final"])
def model(request) -> Path:
    if request.param == "small":
        return request.getfixturevalue("small_model")
    path, params = ROOT / predict.MODEL, (ROOT / "params.yaml").read_text("utf-8")
    preset = (ROOT / "presets/mnist.yaml").read_text("utf-8")
    if not path.exists() or yaml.safe_load(params) != yaml.safe_load(preset):
        pytest.skip(f"{predict.MODEL} is of other params or missing: it was NOT tested")
    return path


def test_drawings_are_read(model, tmp_path, capsys):
    paths = [tmp_path / f"{digit}.png" for digit in DRAWINGS]
    for path, draw in zip(paths, DRAWINGS.values(), strict=True):
        draw().save(path)
    capsys.readouterr()  # MNIST may have been downloaded to draw them
    assert predict.predict(paths, model)
    lines = capsys.readouterr().out.splitlines()
    assert [re.match(r".*/(\d)\.png: (\d)", line).groups() for line in lines[::2]] == [
        (str(digit), str(digit)) for digit in DRAWINGS
    ]
    assert max(map(len, lines[1::2])) <= 80


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=lambda one: one.__name__)
def test_they_get_mnists_geometry_and_their_negatives_the_same(draw):
    picture, image = extract(draw()), np.asarray(predict.to_rgb(draw()), np.float64)
    assert (picture.shape, picture.dtype, picture.max()) == ((28, 28), np.uint8, 255)
    boxes = [np.flatnonzero(picture.any(axis=axis)) for axis in (0, 1)]
    assert 19 <= max(np.ptp(box) + 1 for box in boxes) <= 20
    assert np.abs(np.subtract(ndimage.center_of_mass(picture), 14)).max() < 0.55
    assert likeness(picture, extract(rgb(255 - image))) > 0.99


def test_mnists_own_images_pass_nearly_unchanged(mnist):
    images = mnist[0].images[:200, 0]
    alike = np.array([likeness(image, extract(Image.fromarray(image))) for image in images])
    assert np.median(alike) > 0.999
    assert np.mean(alike > 0.99) > 0.95  # but for the specks that a few of them have


@pytest.mark.parametrize(("factor", "least"), [(0.25, 0.85), (15, 0.97)])
def test_size_place_and_brightness_do_not_matter(factor, least):
    digit = extract(rgb(paint(ink(5), [230] * 3, [60] * 3)))
    scaled = rgb(paint(ink(5, box=(0.05, 0.45, 0.4, 0.5)), [190] * 3, [20] * 3))
    side = round(200 * factor)
    scaled = scaled.resize((side, side), Image.Resampling.BICUBIC)
    assert likeness(digit, extract(scaled)) > least


def test_the_detached_bar_of_a_five_stays_and_specks_go():
    cover = ink(5, (256, 256), (0.3, 0.22, 0.4, 0.55))
    cover[80:96] = 0
    clean = extract(rgb(paint(cover, [255] * 3, [0] * 3)))
    assert ndimage.label(clean > 127)[1] == 2
    cover[20:24, 30:34] = cover[240:256, 100:220] = 1
    assert likeness(extract(rgb(paint(cover, [255] * 3, [0] * 3))), clean) > 0.999


@pytest.mark.parametrize("mode", ["1", "LA", "P", "CMYK"])
def test_modes_and_orientations_are_the_same(mode, tmp_path, small_model):
    grey = plain(5).convert("L")
    other = grey.convert(mode)
    if mode == "LA":
        other = Image.merge("LA", [Image.new("L", grey.size), grey.point(lambda v: 255 - v)])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    other.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "5.tif", exif=exif)
    picture = predict.prepare(tmp_path / "5.tif", store.load(small_model), "MNIST")
    assert likeness(picture[0], extract(plain(5))) > 0.99


def test_the_project_ships_a_digit_to_try_and_says_what_its_example_is(model, capsys):
    paths = [ROOT / "docs/digit.png", ROOT / "resultados/ejemplo_mnist.png"]
    assert not predict.predict(paths, model)
    said = capsys.readouterr()
    assert said.out.startswith(f"{paths[0]}: 3\n")
    assert said.err == (
        f"predict: {paths[1]}: parece tener un marco o un título: el papel debe llegar al borde\n"
        "predict: para comparar, docs/digit.png se lee bien\n"
    )


def test_bad_files_get_a_line_each_and_good_ones_an_answer(
    small_model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    plain().save("0.png")
    whole = Path("0.png").read_bytes()
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("HEIC.png").write_text("not a picture")
    Path("folder.png").mkdir()
    Image.new("L", (50, 50)).save("white.png")
    rgb(128 + grain(np.zeros((90, 90)), 20)).save("noise.png")
    Image.new("L", (5, 9)).save("tiny.png")
    rgb(paint(ink(5, (30, 30), (0.4, 0.4, 0.1, 0.15)), [230] * 3, [60] * 3)).save("speck.png")
    bad = {
        "cut": (damaged := "está dañado, o no es una imagen que se pueda leer"),
        "HEIC": damaged, "folder": "no existe, o no se deja leer",
        "missing": "no existe, o no se deja leer", "white": "ahí no hay nada escrito",
        "noise": "ahí no hay nada escrito",
        "tiny": (tiny := "es demasiado pequeño: hacen falta 12 píxeles, y 8 de tinta"),
        "speck": tiny,
    }  # fmt: skip
    arguments = [f"{name}.png" for name in (*bad, "0")]
    monkeypatch.setattr(
        sys, "argv", ["predict", *arguments, "--model", str(small_model), "--save", "images.png"]
    )
    with pytest.raises(SystemExit) as end:
        predict.main()
    assert end.value.code == 1
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert lines.pop() == "predict: para comparar, docs/digit.png se lee bien"
    assert lines == [f"predict: {name}.png: {text}" for name, text in bad.items()]
    assert said.out.startswith("0.png: 0\n")
    images = np.asarray(Image.open("images.png"))
    np.testing.assert_array_equal(images[::8, ::8], extract(plain()))
    with pytest.raises(UserError, match=r"images\.png: expected nothing there yet, found a file"):
        predict.predict([Path("0.png")], small_model, Path("images.png"))
    with pytest.raises(UserError, match=r"x\.unknown: expected a picture that can be written"):
        predict.predict([Path("0.png")], small_model, Path("x.unknown"))


def test_below_four_fifths_it_is_unsure():
    probabilities, names = np.full(10, 0.01), dataset.CLASSES["MNIST"]
    for first, second, said in (
        (0.79, 0.13, "7  (inseguro; quizá 1)\n  7: 79,0\u00a0%   1: 13,0\u00a0%"),
        (0.80, 0.12, "7\n"),
    ):  # fmt: skip
        probabilities[[7, 1]] = first, second
        answer = predict.describe(Path("a.png"), probabilities, names, Language("es"))
        assert answer.startswith(f"a.png: {said}")


def test_a_model_of_an_image_folder_sees_a_picture_as_its_training_did(tmp_path, capsys):
    names, side = ("llave", "taza", "pez"), 40
    scaling = Scaling((0.5,), (0.5,), (side, side))
    model = save(tmp_path / "m.pth", names, (3, side, side), scaling)
    paths = [tmp_path / "chalk.png", tmp_path / "lamp.jpg"]
    for path, draw in zip(paths, (chalk, pencil_under_a_lamp), strict=True):
        draw().save(path)
    assert predict.predict(paths, model, tmp_path / "images.png")
    lines, network = capsys.readouterr().out.splitlines(), store.load(model).network.eval()
    for path, line in zip(paths, lines[1::2], strict=True):
        image = torch.from_numpy(pictures.pixels(path, side, 3)[None])
        with torch.inference_mode():
            expected = network(scaling(image))[0].double().softmax(0)
        parts = [part.split(": ") for part in line.strip().split("   ")]
        assert [name for name, _ in parts] == [names[one] for one in expected.argsort().flip(0)]
        percents = [float(part.rstrip("\u00a0%").replace(",", ".")) for _, part in parts]
        np.testing.assert_allclose(percents, 100 * expected.sort(descending=True)[0], atol=0.06)
    assert Image.open(tmp_path / "images.png").size == (2 * 5 * side, 5 * side)


@pytest.mark.parametrize(("fit", "white"), [("crop", None), ("pad", 4095)])
def test_the_pipelines_model_gets_squares_as_preprocess_made_them(workdir, fit, white):
    save(predict.MODEL, ("a", "b"), (3, 40, 40), Scaling((0.5,), (0.5,), (40, 40)))
    predict.FACTS.parent.mkdir()
    facts = {"dataset": "cosas", "pictures": {"fit": fit, "white": white, "duplicates": 0}}
    predict.FACTS.write_text(json.dumps(facts))
    grey = np.asarray(chalk().convert("L"), np.uint16)
    Image.fromarray(grey * 16).save("wide.png")  # 12 bits in 16
    assert predict.predict([Path("wide.png")], save=Path("seen.png"))
    seen = np.asarray(Image.open("seen.png"))[::5, ::5].transpose(2, 0, 1)
    np.testing.assert_array_equal(
        seen, pictures.pixels(Path("wide.png"), 40, 3, fit, white or 65535)
    )


def test_a_model_of_the_catalogues_other_sets_sees_bright_on_black(tmp_path, mnist):
    names, image = dataset.CLASSES["FashionMNIST"], mnist[1].images[0, 0]
    model = store.load(save(tmp_path / "m.pth", names, (1, 28, 28), SCALING))
    assert predict.dataset_of(model, tmp_path / "m.pth") == "FashionMNIST"
    for name, levels in ("dark", image), ("light", 255 - image):
        Image.fromarray(levels).save(tmp_path / f"{name}.png")
        picture = predict.prepare(tmp_path / f"{name}.png", model, "FashionMNIST")[0]
        np.testing.assert_array_equal(picture, image)


def test_digits_of_an_image_folder_are_no_mnist(workdir, small_model):
    predict.MODEL.parent.mkdir()
    shutil.copy(small_model, predict.MODEL)
    model = store.load(predict.MODEL)
    assert predict.dataset_of(model, predict.MODEL) == "MNIST"
    predict.FACTS.parent.mkdir()
    for name, expected in ("cifras", None), ("MNIST", "MNIST"):
        predict.FACTS.write_text(json.dumps({"dataset": name}))
        assert predict.dataset_of(model, predict.MODEL) == expected


def test_what_is_no_model_gets_one_line(workdir, monkeypatch):
    torch.save(torch.zeros(3), "m.pth")
    monkeypatch.setattr(sys, "argv", ["predict", "a.png", "--model", "m.pth"])
    with pytest.raises(SystemExit, match=r"^predict: m\.pth: expected a model[^\n]*$"):
        predict.main()
