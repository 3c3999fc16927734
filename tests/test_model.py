"""The final model for others: ONNX Runtime gives our answers, and the card says how and of whom."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import results
import torch
from PIL import Image
from results import CNN, FRUIT, SIMPLE, Made
from scipy import stats
from sklearn.datasets import load_sample_image
from sklearn.metrics import accuracy_score
from statsmodels.stats.proportion import proportion_confint

from taller.common import params
from taller.datasets import pictures
from taller.report.contents import context
from taller.report.language import Language, render
from taller.report.model import to_onnx
from taller.sources.catalogue import EFFICIENTNET_LITE0, MNIST
from taller.statistics.comparison import read
from taller.training import engine, store
from taller.training.batches import Scaling

ROOT = Path(__file__).parents[1]
LOW, HIGH = [0.95, 0.951, 0.952], [0.98, 0.981, 0.9825]
NOTHING = pd.DataFrame()


def answers(classifier: store.Classifier, images: np.ndarray) -> np.ndarray:
    """Probabilities as `evaluate` has them: float64, shape (n, classes)."""
    inputs = classifier.scaling(torch.from_numpy(images))
    return engine.predict(classifier.network, [inputs]).double().softmax(1).numpy()


# The sides of stored images, and those that the network sees: the same, fewer, more.
@pytest.mark.parametrize(
    ("network", "shape", "size"),
    [
        ("simple_nn", (1, 28, 28), (28, 28)),
        ("cnn", (3, 40, 31), (24, 18)),
        ("resnet18", (1, 28, 28), (33, 40)),
        ("efficientnet_lite0", (3, 65, 65), (48, 48)),
    ],
)
def test_onnx_runtime_gives_the_networks_probabilities(tmp_path, network, shape, size):
    channels, height, width = shape
    picture = np.moveaxis(load_sample_image("china.jpg"), -1, 0)[:channels]
    images = np.stack([picture[:, 50 * n :, 90 * n :][:, :height, :width] for n in range(6)])
    module = store.network_module(network).build(classes=5, shape=(channels, *size))
    scaling = Scaling((0.4, 0.5, 0.6)[:channels], (0.2, 0.3, 0.25)[:channels], size)
    with torch.no_grad():  # means and variances of batch normalisation that are not 0 and 1
        module.train()(scaling(torch.from_numpy(images)))
    arguments, path = {"classes": 5, "shape": shape}, tmp_path / "model.pth"
    store.save(path, network, arguments, scaling, FRUIT, module.state_dict())

    session = onnxruntime.InferenceSession(to_onnx(path, "fruta"))
    expected = answers(store.load(path), images)
    assert np.ptp(expected, axis=0).max() > 1e-3  # pictures differ
    for count in (1, 6):
        (given,) = session.run(["probabilities"], {"images": images[:count]})
        np.testing.assert_allclose(given, expected[:count], rtol=0, atol=1e-5)


def test_the_file_has_the_weights_as_they_are_and_says_nothing_of_where_it_was_made(tmp_path):
    arguments, path = {"classes": 2, "shape": (3, 20, 24)}, tmp_path / "model.pth"
    state = store.network_module("cnn").build(**arguments).state_dict()
    state = {name: torch.rand(part.shape).to(part.dtype) for name, part in state.items()}
    scaling = Scaling((0.5,), (0.5,), (20, 24))
    store.save(path, "cnn", arguments, scaling, ("ñu", "oca"), state)
    content = to_onnx(path, "granja")
    assert content == to_onnx(path, "granja")
    assert b".py" not in content and str(ROOT).encode() not in content
    onnx.checker.check_model(model := onnx.load_from_string(content), full_check=True)
    # Folded into each other they would depend on the processor's square root.
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    counted = {name for name in state if name.endswith("num_batches_tracked")}
    assert {*weights} == {f"network.{name}" for name in {*state} - counted}
    assert all(np.array_equal(state[name[8:]], part) for name, part in weights.items())
    facts = {one.key: one.value for one in model.metadata_props}
    assert facts == {"classes": '["ñu", "oca"]', "dataset": "granja"}


def card(language: str = "es") -> str:
    """The model card of the results in the current folder."""
    facts = context(read(params.contestants(), 0.005, "accuracy"), (), NOTHING, NOTHING)
    sha256 = {"modelo_final.onnx": "ab" * 32}
    return render("ficha", Language(language), facts | {"sha256": sha256})


def own_picture(path: Path, side: int, channels: int, fit: str) -> np.ndarray:
    """A photograph that lies on its side, and the pixels that the network should see of it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(load_sample_image("flower.jpg")[:300, 100:500]).save(path, exif=exif)
    return pictures.pixels(path, side, channels, fit)


@pytest.mark.parametrize(
    ("language", "fit", "shape"),
    [
        ("es", None, (1, 28, 28)),
        ("en", "crop", (3, 40, 40)),
    ],
)
def test_the_cards_code_runs_without_the_project(workdir, mnist, language, fit, shape):
    data = {"dataset": "fruta", "names": FRUIT, "pictures": {"fit": fit}} if fit else {}
    results.write(CNN, shape=shape, **data)
    text, folder = card(language), workdir / "elsewhere"
    folder.mkdir()
    (folder / "modelo_final.onnx").write_bytes(to_onnx(CNN.contestant.model, "MNIST"))
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert code.count("\n") == 5
    path = folder / re.search(r'open\("(\w+\.png)"\)', code)[1]
    levels = own_picture(path, shape[1], shape[0], fit) if fit else mnist[1].images[0]
    if not fit:
        Image.fromarray(levels[0]).save(path)

    alone = code + "import importlib.util; assert not importlib.util.find_spec('taller')"
    printed = subprocess.check_output([sys.executable, "-c", alone], cwd=folder, encoding="utf-8")
    classifier = store.load(CNN.contestant.model)
    expected = dict(zip(classifier.names, answers(classifier, levels[None])[0], strict=True))
    assert ast.literal_eval(printed) == pytest.approx(expected, rel=0, abs=1e-5)


def test_the_cards_numbers_are_those_of_the_winner(workdir):
    labels, log = results.write(SIMPLE.but(scores=LOW), CNN.but(scores=HIGH))["cnn"]
    text = card()
    assert "# CNN: imágenes de MNIST\n" in text and "la que más acierta de dos" in text
    margin = stats.t.ppf(0.975, 2) * np.std(HIGH, ddof=1) * np.sqrt(1 / 3 + 200 / 400)
    right = accuracy_score(labels, log.argmax(axis=1))
    wilson = proportion_confint(round(right * len(labels)), len(labels), method="wilson")
    cells = [[np.mean(HIGH), np.mean(HIGH) - margin, np.mean(HIGH) + margin], [right, *wilson]]
    rows = re.findall(r"^\| (?:Validación|Prueba).*? \| (.*)\s% \| de (.*) a (.*)\s%", text, re.M)
    given = [[float(one.replace(",", ".")) / 100 for one in row] for row in rows]
    np.testing.assert_allclose(given, cells, rtol=0, atol=5.1e-5)
    assert "600 de MNIST, dígitos manuscritos (LeCun et al., 1998), de 539 escritores" in text
    assert f"| `modelo_final.onnx` | `{'ab' * 32}` |" in text


LITE0 = Made("lite0", "efficientnet_lite0", "imagenet")


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize(
    ("winner", "item", "data"), [(CNN, MNIST, "MNIST"), (LITE0, EFFICIENTNET_LITE0, "fruta")]
)
def test_the_card_has_the_catalogues_licences(workdir, language, winner, item, data):
    results.write(winner, dataset=data, pictures={"fit": "pad"} if data == "fruta" else None)
    licences = re.search(r"^## Licenc.*?(?=^## )", card(language), re.MULTILINE | re.DOTALL)[0]
    owner, licence = re.search(r"[A-Z]\w+", item.licence)[0], item.licence.split("; ")[-1]
    (line,) = (
        one for one in licences.splitlines() if one[:2] == "- " and licence in one and owner in one
    )
    assert ("non-commercial" in line or "no comerciales" in line) == (winner is not CNN)


@pytest.mark.parametrize(
    ("made", "limit"),
    [
        ([SIMPLE.but(scores=[0.96]), CNN.but(scores=[0.97])], "- **Sin conclusión.** "),
        ([CNN.but(metrics={"largest_class": 0.95})], "- **No se recomienda.** "),
        ([CNN.but(scores=HIGH)], "- Solo conoce esas clases"),
    ],
)
def test_the_card_begins_with_what_limits_the_model(workdir, made, limit):
    results.write(*made, groups=None)
    assert f"## Límites\n\n{limit}" in card()
