"""What the cells say: who wins where, what pretraining is worth, forecasts, and the report.

All variances are of one bootstrap, which resamples draws, and whole writers of the judge (images,
where no writers are known), side by side (A. Owen, "The pigeonhole bootstrap", Annals of Applied
Statistics 1, 2007, 386-411), and the same of both in every cell of a domain: differences are
paired. Of D draws it takes D - 1, or the variance would be too small by that much (J. Rao and C.
Wu, "Resampling inference with complex survey data", JASA 83, 1988, 231-241). Accuracies and
differences have Student's t with Satterthwaite's degrees of freedom, as the percentiles of so few
draws are too near; numbers of images and forecasts, which may be infinite, have percentiles.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from estudio.square import CELLS, HERE, SETTINGS  # first: it pins what NumPy reads

# isort: split
import numpy as np
import pandas as pd
from scipy import stats

from estudio import figures, outlook
from taller.common import files, numerics, params, stage
from taller.common.params import Seed
from taller.datasets import dataset
from taller.report.figures import style
from taller.report.language import WORDS, Language, render
from taller.statistics.intervals import CONFIDENCE, Estimate

RESULTS, TEMPLATES = Path("resultados/estudio"), HERE / "templates"
PRETRAINING = Path("resultados/pretrain")
TABLES = "mapa", "equivalencia", "pronostico", "perspectiva"
# The arms of one sentence: the same weights, fine-tuned in three ways, and SimpleNN.
ALIKE = ("workshop", "resnet18_letters_fc", "resnet18_letters", "simple_nn")


def estimate(value: float, resamples: np.ndarray) -> Estimate:
    """A value, and the percentile interval of its resamples, of which some may be infinite."""
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    return Estimate(value, *map(float, np.quantile(resamples, tails, method="inverted_cdf")))


def student(draws: np.ndarray, resamples: np.ndarray, judges: int) -> Estimate:
    """The mean over draws, and its t interval.

    F. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics
    Bulletin 2, 1946, 110-114: of the variance the draws' part has so many degrees of freedom less
    one, and the rest those of the judges.
    """
    mean, of_draws = float(draws.mean()), draws.var(ddof=1) / len(draws)
    if not (total := max(resamples.var(ddof=1), of_draws)):
        return Estimate(mean, mean, mean)
    parts = of_draws**2 / (len(draws) - 1) + (total - of_draws) ** 2 / (judges - 1)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, total**2 / parts) * np.sqrt(total))
    return Estimate(mean, mean - half, mean + half)


@dataclass(frozen=True, eq=False)
class Cell:
    """An arm on so many images of a domain: `facts` are its fit.json."""

    domain: str
    arm: str
    images: int
    facts: dict[str, Any]
    means: np.ndarray | None  # resamples of the accuracy; None: not run
    pretraining: int  # operations, where that happened here
    judges: int  # writers, or images

    @property
    def scratch(self) -> bool:
        return self.facts["source"] == "scratch"

    @property
    def operations(self) -> int:
        return self.facts["training_operations"] + self.pretraining

    @cached_property
    def accuracy(self) -> Estimate:
        value, low, high = student(np.array(self.facts["accuracy"]), self.means, self.judges)
        return Estimate(value, max(low, 0.0), min(high, 1.0))

    def minus(self, other: "Cell") -> Estimate:
        draws = np.subtract(self.facts["accuracy"], other.facts["accuracy"])
        return student(draws, self.means - other.means, self.judges)

    def label(self, say: Language) -> str:
        name = self.facts["network"]
        if self.scratch:
            return say("map_fresh", name=name)
        source = say.term(f"map_{self.facts['source']}")
        if self.facts["stem"] == "random":
            return say("map_workshop", source=source)
        layers = self.facts["trained"]
        words = {"all": say("map_all"), "fc": say("map_last")}
        layers = layers if layers == "all" else ", ".join(layers)
        return f"{name}, {source}, {words.get(layers, layers)}"


class Bootstrap:
    """The same draws and judges for every cell of a domain; `groups` are the judges'."""

    def __init__(self, draws: int, groups: np.ndarray, resamples: int, seed: int) -> None:
        random, self._places = (
            np.random.default_rng(seed),
            np.unique(groups, return_inverse=True)[1],
        )
        count = int(self._places.max()) + 1
        fewer = random.multinomial(draws - 1, np.full(draws, 1 / draws), resamples)
        self._draws = fewer.T / (draws - 1)
        judges = random.multinomial(count, np.full(count, 1 / count), resamples)
        self._judges = judges.T.astype(np.float64)

    def means(self, hits: np.ndarray) -> np.ndarray:
        """The resamples of the mean of `hits`, bool, shape (draws, images): float64."""
        sums = np.stack([np.bincount(self._places, one) for one in hits]) @ self._judges
        seen = np.bincount(self._places) @ self._judges
        return (self._draws * sums / seen).sum(axis=0)


def read_cells(settings: dict[str, Any], seed: int) -> list[Cell]:
    """All cells: domain by domain, arm by arm, by number of images."""
    cells = []
    for domain in settings["domains"]:
        data = CELLS / "datos" / domain
        judge, groups = dataset.load_array(data / "judge.npy"), dataset.load(data).groups
        groups = judge if groups is None else groups[judge]
        bootstrap = Bootstrap(settings["draws"], groups, settings["resamples"], seed)
        for (arm, section), images in product(settings["arms"].items(), settings["sizes"]):
            place = CELLS / "celdas" / domain / arm / str(images)
            facts, means, spent = files.read_json(place / "fit.json"), None, 0
            if facts["run"]:
                means = bootstrap.means(dataset.load_array(place / "hits.npy"))
            if facts["source"] == "letters":
                base = PRETRAINING / Path(section["start"]).parent.name
                spent = files.read_json(base / "facts.json")["flops"]
            cells.append(Cell(domain, arm, images, facts, means, spent, len(np.unique(groups))))
    return cells


class Square:
    """Who wins on so many images of a domain: the best, and the best of the other kind."""

    def __init__(self, cells: Sequence[Cell], rope: float) -> None:
        kinds = [[one for one in cells if one.scratch is kind] for kind in (True, False)]
        firsts = [max(kind, key=lambda one: one.accuracy.value) for kind in kinds]
        self.rival, self.best = sorted(firsts, key=lambda one: one.accuracy.value)
        self.difference = self.best.minus(self.rival)
        self.equal = -rope < self.difference.low and self.difference.high < rope
        self.decided = self.difference.low > 0 and not self.equal
        self.pretrained = firsts[1].minus(firsts[0])  # what the best of them has more
        others = [one for one in cells if one is not self.best]
        self.tied = [one for one in others if self.best.minus(one).low <= 0]  # of either kind

    @property
    def verdict(self) -> str:
        return "sí" if self.decided else "iguales" if self.equal else "sin decidir"


def worth(sizes: Sequence[int], accuracies: np.ndarray, target: float) -> float:
    """With how many images a curve reaches `target`, joined up in log images.

    The first size where that one is as right already, infinity where none is.
    """
    if not (reached := np.flatnonzero(accuracies >= target)).size:
        return np.inf
    if not (end := reached[0]):
        return float(sizes[0])
    return float(
        np.exp(np.interp(target, accuracies[end - 1 : end + 1], np.log(sizes[end - 1 : end + 1])))
    )


def equivalents(curves: dict[tuple[str, str], list[Cell]], pairs: dict[str, str]) -> list[dict]:
    """What pretraining is worth: with how many images the network from scratch is as right."""
    rows = []
    for (domain, arm), cells in curves.items():
        curve = curves.get((domain, pairs.get(arm)), [])
        for cell in cells if curve else ():
            points = np.array([[one.accuracy.value, *one.means] for one in curve]).T
            aims = zip(points, [cell.accuracy.value, *cell.means], strict=True)
            many = np.array([worth([one.images for one in curve], *one) for one in aims])
            rows.append({"cell": cell, "scratch": curve, "images": estimate(many[0], many[1:])})
    return rows


def power_law(sizes: Sequence[int], errors: np.ndarray) -> tuple[float, float]:
    """The a and b of errors a · images^-b, by least squares of their logarithms.

    C. Cortes and others, "Learning curves: asymptotic values and rate of convergence", NIPS 6
    (1993), without their asymptote, which four points cannot tell.
    """
    slope, height = np.polyfit(np.log(sizes), np.log(errors), 1)
    return np.exp(height), -slope


def forecasts(curves: dict[tuple[str, str], list[Cell]], up_to: int) -> list[dict[str, Any]]:
    """The error on the most images, out of cells with up to so many, beside what was measured."""
    rows = []
    for curve in curves.values():
        past, last = [one for one in curve if one.images <= up_to], curve[-1]
        if len(past) < 2 or last in past:
            continue
        points = [[one.accuracy.value, *one.means] for one in past]
        # An error of none has no logarithm.
        errors = np.maximum(1 - np.array(points), 0.5 / last.facts["judge"])
        a, b = power_law([one.images for one in past], errors)
        error, measured = a * last.images**-b, 1 - last.accuracy.value
        miss = estimate(error[0] - measured, error[1:] - (1 - last.means))
        rows.append({"cell": last, "error": estimate(error[0], error[1:]), "measured": measured})
        rows[-1] |= {"miss": miss, "holds": miss.low <= 0 <= miss.high}
    return rows


def tables(summary: dict[str, Any]) -> dict[str, pd.DataFrame]:
    say, winners = Language("es"), {one.best: one for one in summary["squares"]}
    tables: dict[str, list[dict]] = {key: [] for key in TABLES}

    def add(table: str, cell: Cell, values: dict[str, Any], **estimates: Estimate | None) -> None:
        row = {"dominio": cell.domain, "imágenes": cell.images, "brazo": cell.arm}
        for name, one in estimates.items():
            names = (name.replace("_", " ") + end for end in ("", ", inferior", ", superior"))
            row |= dict(zip(names, one or [None] * 3, strict=True))
        tables[table].append(row | values)

    for cell in summary["cells"]:
        facts, run, square = cell.facts, cell.facts["run"], winners.get(cell)
        values = {
            "modelo": cell.label(say), "estado": "medida" if run else "no ejecutada",
            "gana": square.verdict if square else "no" if run else "",
            "no se distinguen": ", ".join(one.arm for one in square.tied) if square else "",
            "pérdida logarítmica": np.mean(facts["log_loss"]) if run else None,
            "tasa de aprendizaje": facts["learning_rate"], "épocas": facts["epochs"],
            "operaciones de entrenamiento": facts["training_operations"],
            "operaciones de preentrenamiento": (
                None if facts["source"] == "imagenet" else cell.pretraining
            ),
            "operaciones por respuesta": facts["inference_operations"],
        }  # fmt: skip
        ahead = square and square.difference
        add("mapa", cell, values, accuracy=cell.accuracy if run else None, ventaja=ahead)
    for one in summary["worth"]:
        first, last = one["scratch"][0], one["scratch"][-1]
        values = {"desde cero": first.arm, "medido desde": first.images, "hasta": last.images}
        add("equivalencia", one["cell"], values, vale_imágenes=one["images"])
    for one in summary["forecasts"]:
        values = {"medido": one["measured"], "acierta": "sí" if one["holds"] else "no"}
        add("pronostico", one["cell"], values, pronóstico=one["error"], diferencia=one["miss"])
    for cell in summary["outlooks"]:
        values = {key: np.mean(cell.facts[key]) for key in outlook.KINDS}
        values |= {f"rho de {key}, todas": rho for key, rho in summary["correlations"].items()}
        add("perspectiva", cell, values, accuracy=cell.accuracy)
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def share_outlooks(places: dict[Any, dict[str, Cell]], arms: dict[str, dict]) -> None:
    """Give each cell the outlook of another one that starts alike: from pixels, or some weights."""
    for cells in places.values():
        known = {
            arms[arm]["start"]: {key: one.facts[key] for key in outlook.KINDS}
            for arm, one in cells.items()
            if outlook.KINDS[0] in one.facts
        }
        for arm, one in cells.items():
            one.facts.update(known.get(arms[arm]["start"], {}))


def summarize(cells: Sequence[Cell], settings: dict[str, Any]) -> dict[str, Any]:
    """What the tables and the report say, by name."""
    run, curves, places = [one for one in cells if one.facts["run"]], {}, {}
    for one in run:
        curves.setdefault((one.domain, one.arm), []).append(one)
        places.setdefault((one.domain, one.images), {})[one.arm] = one
    both = [
        one.values() for one in places.values() if len({cell.scratch for cell in one.values()}) == 2
    ]
    share_outlooks(places, settings["arms"])
    seen = [one for one in run if outlook.KINDS[0] in one.facts]
    truth = [one.accuracy.value for one in seen]
    looks = {key: [np.mean(one.facts[key]) for one in seen] for key in outlook.KINDS}
    return {
        "cells": cells, "settings": settings, "run": run,
        "squares": [Square(one, settings["rope"]) for one in both],
        "worth": equivalents(curves, settings["worth"]),
        "forecasts": forecasts(curves, settings["forecast"]), "outlooks": seen,
        "imagenet": [
            (one, one.minus(max(fresh, key=lambda each: each.accuracy.value)))
            for one in run
            if one.facts["source"] == "imagenet"
            if one.images in (settings["sizes"][0], settings["sizes"][-1])
            if (fresh := [each for each in places[one.domain, one.images].values() if each.scratch])
        ],
        "correlations": {key: stats.spearmanr(one, truth).statistic for key, one in looks.items()},
        # A row of each domain: that with the most images.
        "alike": [*{key[0]: one for key, one in places.items() if {*ALIKE} <= {*one}}.values()],
    }  # fmt: skip


def mapa() -> None:
    settings, seed = params.load(SETTINGS)["mapa"], params.read("seed", Seed)
    settings["rope"] = params.read("compare.rope", float)
    cells = read_cells(settings, numerics.draw_seed(numerics.fit_seed(seed)))
    summary = summarize(cells, settings)
    for name, table in tables(summary).items():
        with files.atomic_write(RESULTS / f"{name}.csv") as file:
            table.to_csv(file, index=False, float_format="%.6g")
    for language in WORDS:
        say = Language(language)
        for name, figure in figures.draw(cells, summary["squares"], settings["rope"], say).items():
            style.save(figure, RESULTS / f"{name}.{language}.png")
        report = render("informe", say, summary | {"say": say}, TEMPLATES)
        files.write_text(RESULTS / f"informe.{language}.md", report)
    decided = sum(one.decided for one in summary["squares"])
    print(f"{len(summary['run'])} of {len(cells)} cells ran; {decided} squares are decided")


if __name__ == "__main__":
    stage.run(mapa)
