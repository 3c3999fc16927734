"""The board in a real browser, with the real models: drawn on, and given picture files."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from taller.common import params
from taller.report.language import Language
from tools import pizarra

ROOT = Path(__file__).parents[2]
# How a hand writes each digit, and a dot: strokes through points, in hundredths of the paper,
# y downwards.
HAND = {
    0: ["55,18 42,20 33,32 30,48 33,66 42,79 55,82 66,74 72,58 71,40 65,25 53,18"],
    1: ["40,32 53,19 53,82"],
    2: ["32,33 38,22 52,18 64,24 66,37 58,50 44,65 31,80 70,80"],
    3: ["33,24 48,17 62,23 64,35 56,45 45,48 59,52 67,63 62,77 47,83 32,77"],
    4: ["45,17 40,35 32,54 72,54", "62,38 60,60 58,86"],
    5: ["66,19 40,20 36,46 50,42 63,49 67,63 60,77 46,82 32,76"],
    6: ["62,17 48,26 38,44 34,62 39,77 51,83 63,77 66,64 58,55 45,56 36,66"],
    7: ["30,22 69,21 60,42 51,63 46,84"],
    8: ["63,26 52,18 40,23 39,35 50,46 62,57 65,70 56,81 43,80 36,69 41,57 54,45 63,34 63,25"],
    9: ["65,31 55,20 42,22 36,34 41,46 53,48 63,39 66,28 65,50 62,68 57,84"],
    "dot": ["50,50"],
}
LANGUAGE = params.load(ROOT / "params.yaml")["compare"]["language"]
SAID, SAY = pizarra.WORDS[LANGUAGE], Language(LANGUAGE)


class Visitor:
    """A browser that has opened the board, driven by the DevTools protocol over a pipe."""

    def __init__(self, program: str, profile: Path, address: str, width: int) -> None:
        (read, self.out), (self.answers, write) = os.pipe(), os.pipe()
        command = [
            program, "--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}",
            "--disable-background-networking", "--no-proxy-server", "--remote-debugging-pipe",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]  # fmt: skip
        shell = ["bash", "-c", f'exec "$@" 3<&{read} 4>&{write}', "bash", *command]
        self.process = subprocess.Popen(shell, pass_fds=(read, write), stderr=subprocess.DEVNULL)
        os.close(read), os.close(write)
        self.session, self.events = {}, []
        target = self.call("Target.createTarget", url="about:blank")
        self.session = self.call("Target.attachToTarget", **target, flatten=True)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        for domain in ("Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=address)

    def call(self, method: str, **arguments) -> dict:
        message = {"id": 1, "method": method, "params": arguments, **self.session}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            text = b""
            while not text.endswith(b"\0"):
                text += os.read(self.answers, 1) or pytest.fail("the browser ended")
            if "id" in (answer := json.loads(text[:-1])):
                return answer["result"]
            self.events.append(answer)

    def js(self, script: str):
        how = {"returnByValue": True, "awaitPromise": True}
        return self.call("Runtime.evaluate", expression=script, **how)["result"].get("value")

    def answer(self) -> list[str]:
        """The lines of the answer, once it is there."""
        end = time.monotonic() + 60
        while self.js("globalThis.answer?.ariaBusy") != "false":
            assert time.monotonic() < end
            time.sleep(0.05)
        return self.js("answer.innerText").split("\n")

    def draw(self, name: int | str) -> list[str]:
        self.js("clear.click()")
        box = self.js("JSON.stringify(document.querySelector('canvas').getBoundingClientRect())")
        left, top, side = (json.loads(box)[key] for key in ("x", "y", "width"))
        for stroke in HAND[name]:
            points = re.findall(r"(\d+),(\d+)", stroke)
            kinds = ["mousePressed"] + ["mouseMoved"] * len(points) + ["mouseReleased"]
            for kind, (x, y) in zip(kinds, [points[0], *points, points[-1]], strict=True):
                place = {"x": left + int(x) * side / 100, "y": top + int(y) * side / 100}
                held = {"button": "left", "buttons": 1, "clickCount": 1}
                self.call("Input.dispatchMouseEvent", type=kind, **place, **held)
        return self.answer()

    def choose(self, path: Path) -> list[str]:
        node = self.call("Runtime.evaluate", expression="file")["result"]["objectId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], objectId=node)
        return self.answer()


@pytest.fixture(scope="module")
def server():
    """The process that serves the final models, and its address."""
    facts = ROOT / "resultados/datos.json"
    if not facts.exists() or json.loads(facts.read_text("utf-8"))["dataset"] != "MNIST":
        pytest.skip("no models of MNIST: the board was NOT seen")
    command = [sys.executable, "-m", "tools.pizarra", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8") as process:
        yield process, re.search(r"http:\S+", process.stdout.readline())[0]
        process.terminate()


@pytest.fixture(scope="module", params=[1920, 390])
def visitors(request, browser, server, tmp_path_factory):
    """Two at once, with a projector or a phone."""
    folder = tmp_path_factory.mktemp("profiles")
    both = [Visitor(browser, folder / name, server[1], request.param) for name in "ab"]
    yield both
    for one in both:
        one.call("Browser.close")
        one.process.wait(60)


def test_ten_drawn_digits_are_read_and_a_second_visitor_sees_none(visitors):
    first, second = visitors
    assert first.answer() == second.answer() == [SAID["start"]]
    for digit in range(10):
        said = first.draw(digit)
        assert said[0] == f"{SAID['agree']} {digit}", said
    assert second.draw(7)[0] == f"{SAID['agree']} 7" and first.answer() == said
    assert first.js("document.querySelectorAll('figure img').length") == 6
    assert first.js("document.documentElement.scrollWidth === innerWidth")
    assert second.draw("dot") == [SAID["start"]]


def test_files_get_an_answer_or_a_word(visitors, server, tmp_path):
    def peak() -> int:
        return int(
            re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{server[0].pid}/status").read_text())[1]
        )

    visitor = visitors[0]
    Image.new("L", (600, 1200), 255).save(tmp_path / "tall.png")
    visitor.choose(tmp_path / "tall.png")
    assert visitor.js("answer.getBoundingClientRect().top") < 900 - 40  # no need to scroll
    assert visitor.choose(ROOT / "docs/digit.png")[0] == f"{SAID['agree']} 3"
    assert visitor.js("answer.getBoundingClientRect().top") < 450
    Image.new("L", (9, 400), 255).save(tmp_path / "blank.png")
    assert visitor.choose(tmp_path / "blank.png") == [f"{SAY('blank')}.".capitalize()]
    Image.new("RGB", (10_000, 5_000)).save(tmp_path / "huge.png")
    before = peak()
    assert visitor.choose(tmp_path / "huge.png") == [f"{SAY('huge', megapixels=25)}.".capitalize()]
    assert peak() - before < 50_000  # kB: it was never decoded, which takes 200 MB


def test_nothing_is_asked_of_another_host(visitors, server):
    assert visitors[0].js("fetch('http://192.0.2.1/').catch(() => 'refused')") == "refused"
    events = [(one["method"], one["params"]) for visitor in visitors for one in visitor.events]
    asked = [one["request"]["url"] for name, one in events if name == "Network.requestWillBeSent"]
    assert {one for one in asked if not one.startswith(("data:", "blob:"))} == {server[1]}
    errors = [one["entry"]["text"] for name, one in events if name == "Log.entryAdded"]
    assert errors and all("Content Security Policy" in one for one in errors)
