"""The pages of `dvc plots show` and `dvc plots diff`, opened in a real browser without network."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results
from dvc_render.base import Renderer
from results import CNN, SIMPLE, TUNED

from stages.compare import Params, compare
from taller.common import params
from tools.prepare import write_plots_page

ROOT = Path(__file__).parents[2]
OFFLINE_PAGE = "page.offline.html"
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
        counts: [...div.querySelectorAll(".role-mark.mark-text text")]
          .map((text) => text.textContent),
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
# A Spanish reader reads names of models and files, and the field's words where they are glossed.
ENGLISH = re.compile(
    r"\b(workspace|folds?|epochs?|loss|train(ing)?|validation|images?|precision|true|test|"
    r"predict(ed|ion)|counts?|mean|models?|letters|none|revision|figures?|save|click)\b"
    r"|(?<!\()\b(accuracy|recall)\b",
    re.IGNORECASE,
)
REVISIONS = ["main", "dos-capas", "todas-las-capas"]
MODELS = dict.fromkeys(REVISIONS, (SIMPLE, CNN, TUNED)) | {"dos-capas": (SIMPLE, TUNED)}
COMMANDS = [["show"], ["diff", *REVISIONS]]
# The accuracies on each branch; on the last one the folds are repeated.
SCORES = [np.linspace(0.95, 0.96, 5), np.linspace(0.955, 0.97, 5), np.linspace(0.94, 0.98, 15)]


@pytest.fixture(scope="module")
def repo(tmp_path_factory) -> Path:
    """What `compare` wrote on three branches, and the plots of dvc.yaml."""
    copy = tmp_path_factory.mktemp("repo")
    plots = (ROOT / "dvc.yaml").read_text(encoding="utf-8").partition("\nplots:\n")[2]
    metrics = "metrics:\n- resultados/metrics.json\n"
    (copy / "dvc.yaml").write_text(f"{metrics}plots:\n{plots}", encoding="utf-8")
    pairs = params.read("compare", Params, ROOT / "params.yaml").pairs
    run(copy, "git", "init", "--quiet", "--initial-branch", REVISIONS[0])
    dvc(copy, "init", "--quiet")
    shutil.copy(ROOT / ".dvc/config", copy / ".dvc")
    shutil.copy(ROOT / ".dvcignore", copy)
    for name in ("plots", "metrics"):  # empty, as where nothing trains
        (copy / "dvclive" / name).mkdir(parents=True)
        (copy / "dvclive" / name / ".gitkeep").touch()
    shutil.copytree(ROOT / ".dvc/plots", copy / ".dvc/plots", ignore=lambda *_: [OFFLINE_PAGE])
    for revision, scores in zip(REVISIONS, SCORES, strict=True):
        if revision != REVISIONS[0]:
            run(copy, "git", "switch", "--quiet", "--create", revision)
        with chdir(copy):
            models = [one.but(scores=scores + 0.001 * len(one.name)) for one in MODELS[revision]]
            results.write(*models, repeats=len(scores) // 5, pairs=pairs)
            compare()
        for language in ("es", "en"):
            study = copy / f"resultados/estudio/mapa.{language}.png"
            shutil.copy(copy / "resultados/coste.png", study)
        run(copy, "git", "add", "--all")
        author = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        run(copy, "git", *author, "commit", "--quiet", "-m", revision)
    with chdir(copy):
        write_plots_page()
    return copy


def run(cwd: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=cwd, check=True, encoding="utf-8", stdout=subprocess.PIPE)
    return done.stdout


def dvc(cwd: Path, *arguments: str) -> str:
    return run(cwd, sys.executable, "-m", "dvc", *arguments)


def look(browser: str, page: Path, profile: Path) -> tuple[dict, list[str]]:
    """Open `page` with the network off: what it shows, and all that it wrote to the console."""
    probe = page.with_name("probe.html")
    text = page.read_text(encoding="utf-8")
    # The drawing library has "</body>" among its strings: only the last one is the page's.
    head, body_end, tail = text.replace("<head>", "<head>" + OFFLINE, 1).rpartition("</body>")
    probe.write_text(head + PROBE + body_end + tail, encoding="utf-8")
    command = [
        browser, "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-sync", "--disable-background-networking", "--disable-component-update",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND",
        "--window-size=1280,1024", "--virtual-time-budget=10000", "--enable-logging=stderr",
        "--dump-dom", probe.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=180, check=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    _, shown, report = done.stdout.rpartition("<pre>")
    assert shown, f"the page ran no script at all: {console}"
    return json.loads(html.unescape(report.partition("</pre>")[0])), console


def spanish(revision: str) -> str:
    return "carpeta actual" if revision == "workspace" else revision


def english(texts: list[str], plot: dict) -> list[str]:
    """Of what a plot says, all that is English or has a decimal point."""
    names = {row.get("fold") for row in plot["content"]["data"]["values"]} | {*plot["revisions"]}
    return [
        text
        for text in texts
        if text not in names and (ENGLISH.search(text) or re.search(r"\d\.\d", text))
    ]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_the_page_draws_everything_offline_in_spanish(repo, browser, command, tmp_path):
    content = json.loads(dvc(repo, "plots", *command, "--json"))
    assert "errors" not in content
    plots = content["data"]
    vega = {name: plot[0] for name, plot in plots.items() if plot[0]["type"] == "vega"}
    pictures = [picture for plot in plots.values() for picture in plot if "url" in picture]
    dvc(repo, "plots", *command, "--out", str(tmp_path / "out"))

    seen, console = look(browser, tmp_path / "out/index.html", tmp_path / "profile")

    assert console == []
    assert seen["plots"].keys() == {Renderer.remove_special_chars(name) for name in vega}
    assert vega.keys() == {"tabla", "perdida", "confusion", "folds"}
    for name, plot in vega.items():
        drawn, values = seen["plots"][name], plot["content"]["data"]["values"]
        assert drawn["marks"] >= len(values) > 0, name
        if name == "confusion":
            assert drawn["cells"] == len(values), "counts drawn over each other"
            assert_panels(drawn, pd.DataFrame(values), several=len(plot["revisions"]) > 1)
        if name == "folds":
            lines = sorted(drawn["heights"])
            assert len(lines) == len({(row["fold"], row["rev"]) for row in values})
            assert min(np.diff(lines)) >= 10, "folds over each other"
        if name in ("perdida", "folds"):
            alone = name == "perdida" and len(plot["revisions"]) == 1
            kinds = {row["modelo"] for row in values} if alone else plot["revisions"]
            assert len(drawn["colours"]) == len(kinds), f"{name}: shared colours"
        assert "NaN" not in drawn["svg"], name
        assert not drawn["overflows"], f"{name} is wider than the page"
        assert not [t for t in drawn["texts"] if t in ("undefined", "null") or t.endswith("…")]
        if len(plot["revisions"]) > 1:
            text = " ".join(drawn["texts"])
            assert all(spanish(revision) in text for revision in plot["revisions"]), name
        assert english(drawn["texts"], plot) == [], name
    titles = {"Métricas", "Pérdida durante el entrenamiento", "Matriz de confusión", "época",
              "Exactitud (accuracy) de validación por pliegue", "exactitud (accuracy)",
              "clase real", "clase predicha", "pérdida (escala logarítmica)"}  # fmt: skip
    assert titles <= {text for plot in seen["plots"].values() for text in plot["texts"]}
    assert not ENGLISH.search(re.sub(r"\S+/\S+", "", seen["words"])), seen["words"]
    assert len(seen["pictures"]) == len(pictures) > 0
    assert all(seen["pictures"].values()), "a picture did not load"
    if command == ["show"]:
        assert_table(repo, seen["plots"]["tabla"]["texts"])


def test_the_page_is_english_where_the_report_is(repo, browser, tmp_path):
    copy = shutil.copytree(repo, tmp_path / "repo")
    with chdir(copy):
        results.write(SIMPLE, CNN, TUNED, language="en")
        compare()
    dvc(copy, "plots", "show", "--out", str(tmp_path / "out"))

    seen, console = look(browser, tmp_path / "out/index.html", tmp_path / "profile")

    texts = {text for plot in seen["plots"].values() for text in plot["texts"]}
    titles = {"Metrics", "Loss during training", "Confusion matrix", "epoch", "training",
              "Validation accuracy by fold", "true class", "predicted class"}  # fmt: skip
    assert console == []
    assert titles <= texts
    assert not [text for text in texts if re.search(r"[áéíóúñ]|\d,\d\d?$|modelo|clase", text)]
    assert "Comparison of models" in seen["words"]
    assert [one for one in seen["pictures"] if "mapa" in one and "en.png" in one]
    assert not re.search(r"[áéíóúñ]", seen["words"])


def assert_panels(drawn: dict, values: pd.DataFrame, several: bool) -> None:
    """Each panel has the counts of the model, and the revision, that its title names."""
    titles = values["modelo"] + (" · " + values["rev"].map(spanish) if several else "")
    assert [text for text in drawn["texts"] if text in {*titles}] == [*titles.unique()]
    shown = values[values["imagenes"] > 0].groupby(titles, sort=False)["imagenes"]
    assert drawn["counts"] == [str(count) for _, counts in shown for count in counts]


def assert_table(repo: Path, texts: list[str]) -> None:
    """The table has the numbers of the file, as a Spanish reader writes them."""
    for row in pd.read_csv(repo / "resultados/comparacion_metrics.csv").to_dict("records"):
        for column in ("Accuracy", "Precision", "Recall", "F1", "Accuracy (prueba)"):
            assert f"{100 * row[column]:.2f}\u00a0%".replace(".", ",") in texts, column
        assert f"{100 * row['ECE (prueba)']:.2f}".replace(".", ",") in texts
    assert {"Exhaustividad", "(recall)", "ninguno", "letras", "10\u00a0000", "5000"} <= {*texts}
