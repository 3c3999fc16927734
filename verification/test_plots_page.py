"""The pages of `dvc plots show` and `dvc plots diff`, opened in a real browser without network."""

import csv
import html
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from dvc_render.base import Renderer
from dvc_render.vega_templates import Template

from taller.models.catalogue import MODELS

REPO = Path(__file__).parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# The browser itself refuses and reports whatever is not on this disk, of any kind.
OFFLINE = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src file: data: 'unsafe-inline' 'unsafe-eval'\">"
)
# What the page has become once everything had time to draw, left where --dump-dom finds it.
PROBE = """
<script>
  addEventListener("load", () => setTimeout(() => {
    const seen = { plots: {}, pictures: {}, words: document.body.innerText };
    for (const div of document.querySelectorAll("main > div[id]")) {
      const svg = div.querySelector("svg");
      if (!div.querySelector("img")) seen.plots[div.id] = {
        marks: div.querySelectorAll(".role-mark path, .role-mark text").length,
        texts: [...div.querySelectorAll("svg text, svg tspan")].map((text) => text.textContent),
        cells: new Set([...div.querySelectorAll(".role-mark.mark-rect path")].map((cell) => {
          const box = cell.getBoundingClientRect();
          return `${Math.round(box.x)} ${Math.round(box.y)}`;
        })).size,
        colours: [...new Set([...div.querySelectorAll(".role-mark.mark-line path")]
          .map((line) => line.getAttribute("stroke")))],
        heights: [...new Set([...div.querySelectorAll(".role-mark.mark-line path")]
          .map((line) => line.getBoundingClientRect())
          .map((box) => Math.round(box.y + box.height / 2)))],
        overflows: div.scrollWidth > div.clientWidth,
        svg: svg ? svg.outerHTML : "",
      };
    }
    for (const image of document.images)
      seen.pictures[image.getAttribute("src")] = image.naturalWidth;
    document.body.innerHTML = "<pre></pre>";
    document.body.firstChild.textContent = JSON.stringify(seen);
  }, 2000));
</script>
"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        message = f"NO BROWSER ({', '.join(BROWSERS)}): the plots page was NOT seen drawn"
        warnings.warn(message, stacklevel=1)  # pytest prints it even where it hides skips
        pytest.skip(message)
    return found


# A Spanish reader reads names of models and files, and the field's words where they are glossed.
ENGLISH = re.compile(
    r"\b(workspace|folds?|epochs?|loss|train(ing)?|validation|images?|precision|true|test|"
    r"predict(ed|ion)|counts?|mean|models?|glyphs|none|revision|figures?|save|click)\b"
    r"|(?<!\()\b(accuracy|recall)\b",
    re.IGNORECASE,
)
FOLDS, REPEATS = 5, 3  # in one of the revisions
REVISIONS = ["main", "dos-capas", "sin-preentrenar", "todas-las-capas"]
COMMANDS = [["show"], ["diff", *REVISIONS]]


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A copy of this working tree, with other numbers on each of four branches."""
    copy = tmp_path_factory.mktemp("repo")
    files = git(REPO, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, files.split("\0")):
        if (REPO / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, copy / name)
    git(copy, "init", "--quiet", "--initial-branch", REVISIONS[0])
    for revision in REVISIONS:
        if revision != REVISIONS[0]:
            git(copy, "switch", "--quiet", "--create", revision)
            for path in copy.glob("resultados/plots/*.json"):
                rows = json.loads(path.read_text(encoding="utf-8"))
                rows = [other(row) for row in rows]
                if path.stem == "folds" and revision == REVISIONS[-1]:
                    rows = repeated(rows)
                path.write_text(json.dumps(rows), encoding="utf-8")
        git(copy, "add", "--all")
        author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        git(copy, *author, "commit", "--quiet", "-m", revision)
    run(copy, sys.executable, "-m", "tools.plots_page")
    return copy


def other(row):
    return {key: value * 0.99 if isinstance(value, float) else value for key, value in row.items()}


def repeated(rows):
    """The folds of several repeats, as `plot_rows.folds` names them."""
    return [
        {"modelo": model, "fold": f"{repeat}.{fold}", "accuracy": 0.97 + 0.001 * fold}
        for model in dict.fromkeys(row["modelo"] for row in rows)
        for repeat in range(1, REPEATS + 1)
        for fold in range(1, FOLDS + 1)
    ]


def run(cwd, *command):
    return subprocess.run(
        command, cwd=cwd, check=True, encoding="utf-8", stdout=subprocess.PIPE
    ).stdout


def git(cwd, *arguments):
    return run(cwd, "git", *arguments)


def dvc(cwd, *arguments):
    return run(cwd, sys.executable, "-m", "dvc", *arguments)


def look(browser, page, profile):
    """Open `page` with the network off: what it shows, and all that it wrote to the console."""
    probe = page.with_name("probe.html")
    text = page.read_text(encoding="utf-8")
    # The drawing library has "</body>" among its strings: only the last one is the page's.
    head, body_end, tail = text.replace("<head>", "<head>" + OFFLINE, 1).rpartition("</body>")
    probe.write_text(head + PROBE + body_end + tail, encoding="utf-8")
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--window-size=1280,1024",
        "--virtual-time-budget=10000",
        "--enable-logging=stderr",
        "--dump-dom",
        probe.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    _, found, report = done.stdout.rpartition("<pre>")
    assert found, f"the page ran no script at all: {console}"
    return json.loads(html.unescape(report.partition("</pre>")[0])), console


def spanish(revision):
    return "carpeta actual" if revision == "workspace" else revision


def speaks(texts, plot):
    """Of what a plot says, all that is English or has a decimal point."""
    names = {row.get("fold") for row in plot["content"]["data"]["values"]} | {*plot["revisions"]}
    return [
        text
        for text in texts
        if text not in names and (ENGLISH.search(text) or re.search(r"\d\.\d", text))
    ]


def test_the_table_has_the_numbers_of_the_file_in_spanish(repo, browser, tmp_path):
    dvc(repo, "plots", "show", "--out", str(tmp_path / "out"))
    seen, _ = look(browser, tmp_path / "out/index.html", tmp_path / "profile")
    texts = seen["plots"]["tabla"]["texts"]
    with (repo / "resultados/comparacion_metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for column in ("Accuracy", "Precision", "Recall", "F1", "Accuracy (prueba)"):
            assert f"{100 * float(row[column]):.2f}\u00a0%".replace(".", ",") in texts, column
        assert f"{100 * float(row['ECE (prueba)']):.2f}".replace(".", ",") in texts
        assert row["Log loss"].replace(".", ",") in texts
        trained = int(row["Parámetros entrenados"])
        wanted = f"{trained:,}".replace(",", "\u00a0") if trained >= 10_000 else str(trained)
        assert wanted in texts
    assert {"Exhaustividad", "(recall)", "Exactitud", "(accuracy)", "ninguno"} <= {*texts}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_plots_load(repo, command):
    plots = json.loads(dvc(repo, "plots", *command, "--json"))
    assert "errors" not in plots
    assert all(plots["data"].values()), "a plot without data"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_page_draws_offline(repo, browser, command, tmp_path):
    plots = json.loads(dvc(repo, "plots", *command, "--json"))["data"]
    vega = {name: plot[0] for name, plot in plots.items() if plot[0]["type"] == "vega"}
    pictures = [picture for plot in plots.values() for picture in plot if "url" in picture]
    dvc(repo, "plots", *command, "--out", str(tmp_path / "out"))

    seen, console = look(browser, tmp_path / "out/index.html", tmp_path / "profile")

    assert console == []
    assert seen["plots"].keys() == {Renderer.remove_special_chars(name) for name in vega}
    for name, plot in vega.items():
        drawn = seen["plots"][Renderer.remove_special_chars(name)]
        assert drawn["marks"] >= len(plot["content"]["data"]["values"]) > 0, name
        if name == "confusion":
            rows = len(plot["content"]["data"]["values"])
            assert drawn["cells"] == rows, "counts drawn over each other"
        if name == "folds":
            lines = sorted(drawn["heights"])
            values = plot["content"]["data"]["values"]
            assert len(lines) == len({(row["fold"], row["rev"]) for row in values})
            assert min(np.diff(lines)) >= 10, "folds over each other"
        if name in ("perdida", "folds"):
            assert len(drawn["colours"]) == len(plot["revisions"]), f"{name}: shared colours"
        assert "NaN" not in drawn["svg"], name
        assert not drawn["overflows"], f"{name} is wider than the page"
        unreadable = [t for t in drawn["texts"] if t in ("undefined", "null") or t.endswith("…")]
        assert unreadable == [], name
        if len(plot["revisions"]) > 1:
            text = " ".join(drawn["texts"])
            assert all(spanish(revision) in text for revision in plot["revisions"]), name
        assert speaks(drawn["texts"], plot) == [], name
    assert not ENGLISH.search(re.sub(r"\S+/\S+", "", seen["words"])), seen["words"]
    assert len(seen["pictures"]) == len(pictures) > 0
    assert {"estudio", "coste"} < {
        Path(picture).stem.split("_")[-1] for picture in seen["pictures"]
    }
    assert not {"curva_loss", "folds", "confusion_matrix"} & {
        Path(picture["filename"]).stem for picture in pictures if "filename" in picture
    }, "a picture of what is drawn above already"
    assert all(seen["pictures"].values()), "a picture did not load"


@pytest.mark.parametrize("template", sorted(REPO.glob(".dvc/plots/*.json")), ids=lambda p: p.stem)
def test_templates_name_no_model(template):
    text = template.read_text(encoding="utf-8")
    assert not [entry.name for entry in MODELS if entry.name in text or entry.color in text]
    json.loads(text)


def test_the_page_names_no_model():
    text = (REPO / ".dvc/plots/page.html").read_text(encoding="utf-8")
    assert not [entry.short for entry in MODELS if entry.short in text]


@pytest.mark.parametrize(
    ("template", "anchors"),
    [
        ("loss", {"COLOR", "PLOT_WIDTH", "PLOT_HEIGHT"}),
        ("fold_scores", {"COLOR", "PLOT_WIDTH", "PLOT_HEIGHT"}),
        ("confusion_counts", {"PLOT_WIDTH", "PLOT_HEIGHT"}),
    ],
)
def test_templates_have_the_anchors_that_dvc_and_editors_fill(template, anchors):
    content = json.loads((REPO / f".dvc/plots/{template}.json").read_text(encoding="utf-8"))
    assert all(Template(content, template).has_anchor(anchor.lower()) for anchor in anchors)
