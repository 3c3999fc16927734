"""Show on a page what each contestant reads in a digit that one draws, or in a picture.

Beside every contestant's probabilities the page has the pixels that it sees; and, for the winner,
the training images most like the picture: by the cosine between the inputs of its last layer.
Nothing is kept of a picture, and the page has nothing from elsewhere. It is for this machine alone;
with --host 0.0.0.0 for all phones in a classroom.
"""

import argparse
import base64
import copy
import io
import re
import socket
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import stages  # noqa: F401 (pins the numerics, before anything else imports NumPy)

# isort: split
import jinja2
import numpy as np
import torch
from PIL import Image
from torch import nn

from taller.common import params
from taller.common.stage import one_line
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.report.language import Language, LanguageName
from taller.statistics.results import read_all
from taller.training import engine, freezing, store
from taller.training.store import Classifier
from tools import predict

TRAIN, PAGE = Path("data/train"), Path(__file__).with_suffix(".html")
DRAWN = ("MNIST", "KMNIST")  # data sets that a hand can draw an image of
MEGAPIXELS, MEGABYTES = 25, 20  # of a picture: a larger one is not decoded, or not read
NEAREST = 6  # training images
SEARCH_SECONDS, PROBE = 8.0, 64  # to prepare the search in; images that say how many those are
# The browser refuses whatever is not on the page, or of this server.
POLICY = "default-src 'none'; img-src data: blob:; connect-src 'self'; script-src 'unsafe-inline'; "
POLICY += "style-src 'unsafe-inline'"
WORDS = {
    "es": {
        "title": "La pizarra", "clear": "Borrar", "choose": "Elegir imagen", "of": "de",
        "draw": "Dibuja un dígito, con el ratón o el dedo, o suelta una imagen.",
        "drop": "Suelta una imagen, o elige una.", "start": "La pizarra está en blanco.",
        "agree": "Todos responden", "differ": "No están de acuerdo:", "unsure": "Inseguro.",
        "best": "El modelo final.", "other": "≠ No responde como el modelo final.",
        "sees": "lo que ve", "near": "Las imágenes de entrenamiento que más se le parecen, según",
        "among": "Buscadas entre", "silent": "El programa no contesta: ¿sigue en marcha?",
        "large": f"Es demasiado grande: más de {MEGABYTES} MB.",
    },
    "en": {
        "title": "The board", "clear": "Clear", "choose": "Choose a picture", "of": "of",
        "draw": "Draw a digit, with mouse or finger, or drop a picture.",
        "drop": "Drop a picture, or choose one.", "start": "The board is blank.",
        "agree": "All answer", "differ": "They disagree:", "unsure": "Unsure.",
        "best": "The final model.", "other": "≠ Not the final model's answer.",
        "sees": "what it sees", "near": "The training images most like it, according to",
        "among": "Searched among", "silent": "No answer: does the program still run?",
        "large": f"It is too large: over {MEGABYTES} MB.",
    },
}  # fmt: skip


class Neighbours:
    """The training images as a network's last layer sees them: those that take a few seconds."""

    def __init__(self, classifier: Classifier, data: Dataset) -> None:
        layers = classifier.network.named_modules()
        last = [name for name, layer in layers if isinstance(layer, nn.Linear)][-1]
        body = copy.deepcopy(classifier.network)
        body.set_submodule(last, nn.Identity())
        self._body, self._scaling = nn.Sequential(body), classifier.scaling
        for _ in range(2):  # the first pass is slower
            start = time.perf_counter()
            self._features(data.images[:PROBE])
        fit = int(PROBE * SEARCH_SECONDS / (time.perf_counter() - start))
        self.count = min(len(data), max(PROBE, fit))
        evenly = np.arange(self.count) * len(data) // self.count
        self._data = data if self.count == len(data) else data.take(evenly)
        self._gallery = self._features(self._data.images)

    def _features(self, images: np.ndarray) -> np.ndarray:
        """Of length 1: float32, shape (n, features)."""
        cpu = torch.device("cpu")
        features = freezing.activations(self._body, images, self._scaling, cpu)
        features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return features

    def of(self, image: np.ndarray) -> list[tuple[np.ndarray, str]]:
        """The nearest ones and the names of their classes, the nearest first."""
        likeness = self._gallery @ self._features(image[np.newaxis])[0]
        rows = np.argsort(-likeness, kind="stable")[:NEAREST]
        data = self._data
        return [(data.images[row], data.names[data.labels[row]]) for row in rows]


class Board:
    """The page, and what answers its visitors; a `UserError` where a model is missing or old."""

    def __init__(self) -> None:
        contestants = params.contestants()
        paths = [path for one in contestants for path in (one.model, one.cv, one.test)]
        for path in (predict.MODEL, TRAIN, *paths):
            if not path.exists():
                raise UserError(f"{path}: missing; run make repro")
        data, final = dataset.load(TRAIN), predict.MODEL.read_bytes()
        classifiers = [store.load(one.model) for one in contestants]
        forms = {(one.names, one.shape) for one in classifiers}
        best = [one.model.read_bytes() == final for one in contestants]
        if forms != {(data.names, data.shape)} or not any(best):
            raise UserError(f"modelos: expected models of {TRAIN}, found others; run make repro")
        names = [one.model for one in read_all(contestants)]
        self._models, self._lock = dict(zip(names, classifiers, strict=True)), threading.Lock()
        self._winner = classifiers[best.index(True)]
        self._dataset = predict.dataset_of(self._winner, predict.MODEL)
        self._neighbours = Neighbours(self._winner, data)
        language = params.read("compare.language", LanguageName)
        self._say = say = Language(language)
        environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
        environment.filters |= {"png": png, "percent": say.percent, "thousands": say.thousands}
        facts = WORDS[language] | {
            "language": language, "winner": names[best.index(True)], "sure": predict.SURE,
            "draws": self._dataset in DRAWN, "most": MEGABYTES * 10**6,
            "searched": self._neighbours.count, "images": len(data),
        }  # fmt: skip
        # Its body is the page, and its macro writes the answers.
        self.page = environment.from_string(PAGE.read_text(encoding="utf-8")).make_module(facts)

    def answer(self, picture: bytes) -> str:
        """What the contestants read in a picture file, or why they do not: HTML."""
        with self._lock, tempfile.NamedTemporaryFile() as file:  # one at a time is in memory
            file.write(picture)
            file.flush()
            fitting, path = predict.fitting(predict.MODEL), Path(file.name)
            try:
                image = predict.prepare(path, self._winner, self._dataset, **fitting)
            except UserError as error:
                text = predict.refusal(path, error, self._say)
                return f"<h1>{text[0].upper()}{text[1:]}.</h1>"
            reads = {name: read(model, image) for name, model in self._models.items()}
            return self.page.answer(reads, self._neighbours.of(image))


def read(classifier: Classifier, image: np.ndarray) -> dict:
    """What a network makes of a prepared picture, and the pixels that it sees."""
    chances = predict.classify(classifier, image)
    likely = np.argsort(-chances, kind="stable")[: predict.SHOWN]
    rows = [(classifier.names[label], chances[label]) for label in likely]
    resize = replace(classifier.scaling, mean=(0.0,), std=(1.0,))  # what remains of the scaling
    pixels = resize(torch.from_numpy(image[np.newaxis]))[0].mul(255).round().clamp(0, 255).byte()
    return {"answer": rows[0][0], "chance": rows[0][1], "rows": rows, "pixels": pixels.numpy()}


def png(levels: np.ndarray) -> str:
    """A picture of uint8, shape (channels, height, width), as the address of an image."""
    file = io.BytesIO()
    Image.fromarray(np.moveaxis(levels, 0, -1).squeeze()).save(file, "png")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


class Handler(BaseHTTPRequestHandler):
    """Answer with the page, or to a picture; `board` is the server's."""

    timeout = 30  # seconds, after which a visitor who sends nothing is cut off

    def do_GET(self) -> None:
        if self._trusted():
            self._send(str(self.server.board.page))

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,15}", size) or int(size) > MEGABYTES * 10**6:
            self.send_error(413, f"expected a Content-Length of at most {MEGABYTES} MB")
        elif self._trusted():
            self._send(self.server.board.answer(self.rfile.read(int(size))))

    def _trusted(self) -> bool:
        """Whether the board's own page asks: another can name this machine, by DNS rebinding."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        address = re.fullmatch(r"(localhost|[0-9.]+)(:[0-9]+)?", host)
        if address and origin in (None, f"http://{host}"):
            return True
        self.send_error(403, "expected the address that make pizarra prints, found another")
        return False

    def _send(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(text.encode())


def serve(host: str, port: int) -> None:
    """Serve the board until Ctrl-C."""
    Image.MAX_IMAGE_PIXELS = MEGAPIXELS * 10**6 // 2  # Pillow decodes none of more than twice that
    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"{host}:{port}: expected a free port of this machine: {error}") from None
    with engine.threads(1), server:  # PyTorch would start others for the thread of each visitor
        server.board, (address, port) = Board(), server.server_address
        if address == "0.0.0.0":
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way, suppress(OSError):
                way.connect(("192.0.2.1", 9))  # sends nothing, and says by which address it would
                address = way.getsockname()[0]
            print("pizarra: all in this network can open it and send pictures, without a password")
        print(f"pizarra: http://{address}:{port}/ (Ctrl-C ends it)", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.pizarra", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    with one_line("pizarra"):
        serve(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
