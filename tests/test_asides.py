"""What the report tells of the grids and of the study: the tables' own numbers."""

from dataclasses import replace
from pathlib import Path

import contest
import pandas as pd
import pytest

from taller.report import asides
from taller.report.report import report

ROOT = Path(__file__).parents[1]
SPACE = "\u00a0"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return contest.read(tmp_path_factory.mktemp("digits"))


def percent(value: float, decimals: int) -> str:
    return f"{100 * value:.{decimals}f}".replace(".", ",") + f"{SPACE}%"


def test_every_accuracy_of_the_study_is_told(digits):
    aside = asides.read(ROOT / "resultados", digits)
    table = pd.read_csv(ROOT / "resultados/estudio.csv")
    (text,) = report(digits, aside).split("## ¿Y con menos imágenes?")[1:]
    text = text.partition("## ")[0]
    for value in [
        *table["accuracy"],
        table["accuracy de CNN"][0],
        table["accuracy de SimpleNN"][0],
    ]:
        assert percent(value, 1) in text
    assert f"{table['imágenes'][0]} imágenes" in text and "(estudio.png)" in text


def test_the_grids_their_winners_and_the_workshops_training_are_told(digits):
    aside = asides.read(ROOT / "resultados", digits)
    text, table = report(digits, aside), pd.read_csv(ROOT / "resultados/ajuste.csv")
    for value in table[table["elegida"] == "sí"]["accuracy"]:
        assert percent(value, 2) in text
    (workshop,) = table[table["calendario"] == "constant"]["accuracy"]
    assert f"con una tasa constante de 0,001, da un {percent(workshop, 2)}" in text
    # Where fewer epochs win, nothing is said to limit them.
    best = table["elegida"] == "sí"
    fewer = replace(aside, tuning=table.assign(épocas=table["épocas"].mask(best, 1)))
    assert "ganó el mayor número de épocas" in text
    assert "ganó el mayor número de épocas" not in report(digits, fewer)


def test_other_data_have_no_asides(digits):
    others = replace(digits, data=digits.data | {"dataset": "Frutas"})
    assert asides.read(ROOT / "resultados", others) == asides.Asides()
    assert "¿Y con menos imágenes?" not in report(digits)
