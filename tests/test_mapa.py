"""The study's square: its draws and judges, its cells, and what is said of them."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy import optimize, stats
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from estudio import map as mapa
from estudio import outlook, square
from taller.common import files, params
from taller.datasets import dataset

CELL = square.CELLS / "celdas/MNIST"


@pytest.fixture
def settings(workdir, mnist_raw):
    """The study's params with few images, and MNIST's training files alone."""
    values = params.load(ROOT / square.SETTINGS)
    (raw := workdir / "raw").mkdir()
    for file in mnist_raw.glob("train*"):
        (raw / file.name).symlink_to(file)
    values["mapa"] |= {"domains": {"MNIST": str(raw)}, "draws": 3, "sizes": [100, 200]}
    values["mapa"] |= {"judge": 5000, "choices": {"few": 100}, "choosing_draws": 2, "forecast": 200}
    values["mapa"]["arms"]["simple_nn"]["min_steps"] = [20, 40]
    files.write_json(square.SETTINGS, values)
    return values["mapa"]


def test_other_writers_judge_and_draws_are_nested_by_class_and_writer(settings, mnist):
    square.cut("MNIST")
    place = square.CELLS / "datos/MNIST"
    data, judge = dataset.load(place), np.load(place / "judge.npy")
    draws = np.load(place / "draws.npy")
    np.testing.assert_array_equal(data.images, mnist[0].images)  # as no test file was there
    assert len(judge) == pytest.approx(settings["judge"], rel=0.02)
    assert not {*data.groups[judge]} & {*data.groups[draws.ravel()]}
    assert sorted(draws[0]) == sorted({*range(60_000)} - {*judge})
    assert len({*draws[:, :10_000].ravel()}) == 30_000  # the three share none
    shares = np.bincount(data.labels[draws[0]]) / draws.shape[1]
    for size in (100, 300, 1000, 10_000):
        for rows in draws[:, :size]:
            np.testing.assert_allclose(np.bincount(data.labels[rows]), size * shares, atol=2)
    # 100 images are of nearly as many writers: 10 of each class, never two of one writer.
    pairs = [*zip(data.labels[draws[0, :100]], data.groups[draws[0, :100]], strict=True)]
    assert len({*pairs}) == 100


def test_a_cell_learns_with_what_was_chosen_and_gives_the_same_bytes_again(settings):
    square.cut("MNIST")
    square.choose("MNIST", "simple_nn", "few")
    chosen = files.read_json(square.CELLS / "eleccion/MNIST/simple_nn/few.json")
    assert {len(square.read_options(arm)) for arm in settings["arms"]} == {4}
    best = square.read_options("simple_nn")[int(np.argmin(chosen["log_loss"]))]
    assert (chosen["learning_rate"], chosen["min_steps"]) == (best.learning_rate, best.min_steps)
    square.measure("MNIST", "simple_nn", "200")
    facts, hits = files.read_json(CELL / "simple_nn/200/fit.json"), CELL / "simple_nn/200/hits.npy"
    np.testing.assert_allclose(np.load(hits).mean(axis=1), facts["accuracy"], atol=1e-5)
    assert facts["min_steps"] == best.min_steps and min(facts["accuracy"]) > 0.5
    before = hits.read_bytes()
    square.measure("MNIST", "simple_nn", "200")
    assert hits.read_bytes() == before
    files.write_json(square.SETTINGS, {"mapa": settings | {"most_operations": 1e6}})
    square.measure("MNIST", "simple_nn", "100")
    assert files.read_json(CELL / "simple_nn/100/fit.json")["run"] is False
    assert not (CELL / "simple_nn/100/hits.npy").exists()


def test_the_bootstrap_knows_the_spread_of_draws_of_images_and_of_writers():
    random = np.random.default_rng(0)
    right = random.random(400) < 0.8
    alike = mapa.Bootstrap(5, np.arange(400), 4000, 1).means(np.tile(right, (5, 1)))
    assert alike.std() == pytest.approx(right.std() / 20, rel=0.05)  # images alone
    writers = np.repeat(np.arange(40), 10)
    whole = mapa.Bootstrap(5, writers, 4000, 1).means(np.tile(right[writers], (5, 1)))
    assert whole.std() == pytest.approx(right[:40].std() / np.sqrt(40), rel=0.05)
    draws = np.repeat([[True], [False], [True], [True], [True]], 400, axis=1)
    spread = mapa.Bootstrap(5, np.arange(400), 4000, 1).means(draws).std()
    assert spread == pytest.approx(np.std([1, 0, 1, 1, 1], ddof=1) / np.sqrt(5), rel=0.05)


def test_a_power_law_is_forecast_and_equal_accuracy_is_found_between_sizes():
    sizes = [100, 300, 1000]
    assert mapa.power_law(sizes, 2 * np.array(sizes) ** -0.5) == pytest.approx((2, 0.5))
    sizes, curve = [100, 1000, 10_000], np.array([0.8, 0.9, 0.95])
    assert mapa.worth(sizes, curve, 0.9) == pytest.approx(1000)
    assert mapa.worth(sizes, curve, 0.85) == pytest.approx(1000 / np.sqrt(10))
    assert mapa.worth(sizes, curve, 0.96) == np.inf and mapa.worth(sizes, curve, 0.7) == 100


def test_logme_is_the_largest_evidence_and_neighbours_are_those_of_scikit_learn(digits):
    features = digits.images[:60].reshape(60, -1)[:, 200:500:20].astype(np.float64) / 255
    labels = digits.labels[:60] // 3

    def evidence(logs, target):
        alpha, beta = np.exp(logs)
        covariance = features @ features.T / alpha + np.eye(60) / beta
        return -stats.multivariate_normal(np.zeros(60), covariance).logpdf(target) / 60

    best = [
        -optimize.minimize(evidence, [0, 0], (labels == one).astype(float), "Nelder-Mead").fun
        for one in np.unique(labels)
    ]
    assert outlook.logme(features, labels) == pytest.approx(np.mean(best), abs=1e-4)
    few = digits.take(slice(200))
    pixels, judge = few.images.reshape(200, -1), KNeighborsClassifier(5, metric="cosine")
    said = cross_val_predict(judge, pixels, few.labels, cv=LeaveOneOut())
    assert outlook.neighbours(pixels, few.labels) == np.mean(said == few.labels)


def test_students_interval_is_that_of_the_part_that_varies():
    random = np.random.default_rng(0)
    draws, normal = random.normal(0.9, 0.01, 5), random.normal(size=2000)
    normal = (normal - normal.mean()) / normal.std(ddof=1)
    alone = draws.mean() + draws.std(ddof=1) / 5**0.5 * normal  # judges that make no difference
    expected = stats.t.interval(0.95, 4, draws.mean(), stats.sem(draws))
    assert mapa.student(draws, alone, 45)[1:] == pytest.approx(expected)
    same = np.full(5, 0.9)  # all of it is the judges'
    expected = stats.t.interval(0.95, 44, 0.9, 0.02)
    assert mapa.student(same, 0.9 + 0.02 * normal, 45)[1:] == pytest.approx(expected)


def test_both_reports_say_the_same_numbers_and_no_number_of_what_was_not_run(settings, digits):
    data, random = square.CELLS / "datos/MNIST", np.random.default_rng(0)
    dataset.save(data, digits)
    dataset.save_array(data / "judge.npy", np.arange(300))
    shutil.copytree(ROOT / "estudio/templates", "estudio/templates")
    for name in ("cnn", "resnet18"):
        files.write_json(Path(f"resultados/pretrain/{name}/facts.json"), {"flops": 10**9})
    settings["sizes"] = [100, 200, 1000]
    for place, (arm, section) in enumerate(settings["arms"].items()):
        for size in settings["sizes"]:
            source = "scratch" if section["start"] == square.SCRATCH else "letters"
            facts = {
                "network": section["network"], "source": source, "trained": ["fc"],
                "stem": section.get("stem", ""), "learning_rate": 0.01, "min_steps": 40,
                "epochs": 9, "training_operations": size * 10**7, "inference_operations": 10**6,
                "judge": 300, "run": (arm, size) != ("resnet18", 1000),
            }  # fmt: skip
            if facts["run"]:
                hits = random.random((3, 300)) < 1 - 5 / (place + 2) * size**-0.5
                dataset.save_array(CELL / arm / str(size) / "hits.npy", hits)
                facts |= {"accuracy": hits.mean(axis=1).tolist(), "log_loss": [0.1] * 3}
                facts |= {"neighbours": [0.8, 0.9, 1 - 1 / size], "logme": [0.1, 0.2, size / 9999]}
            files.write_json(CELL / arm / str(size) / "fit.json", facts)
    settings["arms"]["lite0"]["start"] = settings["arms"]["cnn_letters"]["start"]
    files.write_json(square.SETTINGS, {"mapa": settings})
    mapa.mapa()
    numbers = []
    for language, point, thousands in ("es", ",", "\u00a0"), ("en", ".", ","):
        text = Path(f"resultados/estudio/informe.{language}.md").read_text(encoding="utf-8")
        text = re.sub(rf"(?<=\d){thousands}(?=\d{{3}})", "", text)
        numbers.append(re.findall(r"\d+(?:\.\d+)?", text.replace(point, ".")))
    assert numbers[0] == numbers[1] and len(numbers[0]) > 200
    table = pd.read_csv("resultados/estudio/mapa.csv").set_index(["brazo", "imágenes"])
    assert [*table.index[table["estado"] == "no ejecutada"]] == [("resnet18", 1000)]
    assert np.isnan(table.loc[("resnet18", 1000), "accuracy"])
    for size, rows in table.groupby("imágenes"):
        winner = rows["gana"].isin(["sí", "iguales", "sin decidir"])
        assert rows["accuracy"].idxmax() == rows.index[winner].item(), size
        first = rows[winner].iloc[0]
        within = first["ventaja, inferior"] > -0.005 and first["ventaja, superior"] < 0.005
        assert (first["gana"] == "iguales") == within
        assert within or (first["gana"] == "sí") == (first["ventaja, inferior"] > 0)
    assert len(pd.read_csv("resultados/estudio/equivalencia.csv")) == 6
