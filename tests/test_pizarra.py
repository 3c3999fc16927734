"""The board without a browser: what it answers, what it refuses, and in which words."""

import base64
import http.client
import io
import re
import shutil
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import results
import yaml
from PIL import Image
from results import CNN, DIGITS, SIMPLE

from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.networks import simple_nn
from taller.report.language import Language
from taller.training import store
from taller.training.batches import Scaling
from tools import pizarra, predict

ROOT = Path(__file__).parents[1]


def write(names=DIGITS, shape=(1, 28, 28), **facts) -> tuple[Dataset, dict]:
    """Noise as training images, and two SimpleNN that always give the first or the second class.

    Returns the images, and the weights of the first one, which is the winner.
    """
    results.write(SIMPLE, CNN, names=names, shape=shape, **facts)
    images = np.random.default_rng(0).integers(0, 256, (50, *shape), np.uint8)
    dataset.save(pizarra.TRAIN, data := Dataset(images, np.arange(50) % len(names), names))
    states = []
    for place, one in enumerate((SIMPLE, CNN)):
        arguments = {"classes": len(names), "shape": shape, "hidden": [30], "dropout": 0.0}
        side = shape[1] // (1 + place)  # the second one sees half as many pixels
        network = simple_nn.build(**arguments | {"shape": (shape[0], side, side)})
        network.net[-1].bias.data[place] += 9
        states.append(network.state_dict())
        scaling = Scaling((0.5,), (0.5,), (side, side))
        store.save(one.contestant.model, "simple_nn", arguments, scaling, names, states[-1])
    shutil.copy(SIMPLE.contestant.model, predict.MODEL)
    return data, states[0]


def file(image: Image.Image) -> bytes:
    image.save(content := io.BytesIO(), "png")
    return content.getvalue()


def test_own_pictures_get_names_the_pixels_that_are_seen_and_the_nearest(workdir):
    data, state = write(("<manzana>", "pera", "higo"), (3, 40, 40), dataset="fruta")
    html = pizarra.Board().answer(file(Image.fromarray(data.images[7].transpose(1, 2, 0))))
    assert "No están de acuerdo: &lt;manzana&gt; · pera</h1>" in html and "<manzana>" not in html
    assert re.findall('<article (.*)>\n +<h2>(.*)</h2>', html) == [
        ("", "SimpleNN"), ('class="odd"', "CNN"),
    ]  # fmt: skip
    sources = re.findall('base64,([^"]+)', html)
    seen = [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in sources]
    seen = [one.transpose(2, 0, 1) for one in seen]
    np.testing.assert_array_equal(seen[0], data.images[7])
    halved = data.images[7].reshape(3, 20, 2, 20, 2).mean((2, 4))
    assert seen[1].shape == (3, 20, 20) and np.corrcoef(seen[1].flat, halved.flat)[0, 1] > 0.9
    inputs = (data.images.reshape(50, -1) / 255 - 0.5) / 0.5
    weight, bias = (state[f"net.1.{name}"].double().numpy() for name in ("weight", "bias"))
    features = np.maximum(inputs @ weight.T + bias, 0)
    cosines = features @ features[7] / np.linalg.norm(features, axis=1)
    nearest = np.argsort(-cosines)[:6]
    np.testing.assert_array_equal(seen[2:], data.images[nearest])
    assert nearest[0] == 7 and html.count("<figure>") == 6 and "Buscadas entre 50." in html


@pytest.mark.parametrize("language", ["es", "en"])
def test_what_cannot_be_read_gets_words_of_the_language(workdir, language):
    write()
    settings = yaml.safe_load(Path("params.yaml").read_text())
    settings["compare"]["language"] = language
    Path("params.yaml").write_text(yaml.safe_dump(settings))
    asked, words, say = pizarra.Board(), pizarra.WORDS[language], Language(language)
    assert f'<html lang="{language}">' in str(asked.page) and words["draw"] in str(asked.page)
    assert words["differ"] in asked.answer((ROOT / "docs/digit.png").read_bytes())
    wrong = {
        "blank": file(Image.new("L", (300, 300), 255)),
        "tiny": file(Image.new("L", (5, 9))),
        "framed": (ROOT / "resultados/ejemplo_mnist.png").read_bytes(),
        "damaged": b"no picture",
    }
    for key, content in wrong.items():
        assert asked.answer(content).lower() == f"<h1>{say(key, pixels=12, ink=8)}.</h1>".lower()


def test_only_the_boards_own_page_is_served(workdir):
    class Silent:
        page, answer = "page", len

    server = ThreadingHTTPServer(("127.0.0.1", 0), pizarra.Handler)
    server.board = Silent()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own = f"127.0.0.1:{server.server_address[1]}"

    def status(method: str, host: str = own, **headers) -> int:
        connection = http.client.HTTPConnection(own, timeout=20)
        connection.request(method, "/", headers={"Host": host, **headers})
        return connection.getresponse().status

    assert status("GET") == status("GET", host="localhost:80") == 200
    assert status("GET", host="board.example") == status("GET", host="1.example:80") == 403
    assert status("POST", Origin="http://page.example") == 403
    assert status("POST", **{"Content-Length": "20000001"}) == 413
    server.shutdown()
    server.server_close()


def test_missing_and_older_models_are_one_line(workdir):
    write()
    predict.MODEL.write_bytes(b"older")
    with pytest.raises(UserError, match="expected models of data/train, found others; run make re"):
        pizarra.Board()
    CNN.contestant.model.unlink()
    with pytest.raises(UserError, match=r"^modelos/scratch/cnn\.pth: missing; run make repro$"):
        pizarra.Board()
