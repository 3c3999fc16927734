"""The final model, as the pipeline leaves it, and as whoever knows the repository gets it."""

import shlex

import numpy as np
import onnxruntime
import pytest
from project import ROOT, Project

from stages import evaluate
from taller.common import files
from taller.training import engine, store

ONNX = "modelos/modelo_final.onnx"


def test_onnx_runtime_gives_the_models_probabilities_on_all_test_images(mnist):
    facts = files.read_json(ROOT / "resultados/datos.json")
    if facts["dataset"] != "MNIST" or not (ROOT / ONNX).exists():
        pytest.skip("no final model of MNIST is here (dvc pull, or dvc repro): NOT TESTED")
    test, classifier = mnist[1], store.load(ROOT / "modelos/modelo_final.pth")
    log = evaluate.predict(classifier, test, engine.choose_device("cpu"), "final")
    session = onnxruntime.InferenceSession(ROOT / ONNX)
    (given,) = session.run(None, {"images": test.images})
    assert given.shape == (10_000, 10)
    np.testing.assert_allclose(given, np.exp(log), rtol=0, atol=1e-5)


def commands(heading: str) -> list[str]:
    """The indented lines of docs/model.md under a heading, without what only explains."""
    text = (ROOT / "docs/model.md").read_text(encoding="utf-8")
    part = text.split(f"## {heading}\n")[1].partition("\n## ")[0]
    return [line.partition("  #")[0].strip() for line in part.splitlines() if line[:4] == " " * 4]


def test_whoever_knows_the_repository_gets_the_model(project, tmp_path):
    project.git("checkout", "--quiet", "-b", "shared", "main")
    project.git(
        "init", "--quiet", "--bare", "--initial-branch", "shared", hub := str(tmp_path / "hub")
    )
    project.git("remote", "add", "origin", hub)
    for command in commands("Publish it"):
        project.run("bash", "-c", command.replace("/mnt/store", str(tmp_path / "store")))
    other = Project(tmp_path / "other")
    other.folder.mkdir()
    other.git("init", "--quiet")
    other.dvc("init", "--quiet")
    expected = (project.folder / ONNX).read_bytes()
    for command in commands("Download it"):
        other.run(*shlex.split(command.replace("URL", hub)))
        (file,) = other.folder.glob("*.onnx")
        assert file.read_bytes() == expected
        file.unlink()
    other.dvc("artifacts", "get", hub, "modelo_final")
    final = (project.folder / "modelos/modelo_final.pth").read_bytes()
    assert (other.folder / "modelo_final.pth").read_bytes() == final
