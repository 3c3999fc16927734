"""The curve of a contestant that learns from fewer images: its fits, and what is made of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import results
import yaml
from results import CNN, SIMPLE, TUNED
from scipy import stats

from stages.curve import curve
from taller.common import params
from taller.datasets import dataset
from taller.statistics import learning_curve
from taller.statistics.comparison import read

FOLDS = np.arange(600) % 3
HIGH = [0.98, 0.981, 0.9825]
LETTERS = TUNED.but(name="cnn_letters", network="cnn")


def test_the_stage_validates_every_fold_in_whole_after_so_many_images(digits, workdir, capsys):
    size = 100
    content = params.load() | {"curve": {"sections": [], "folds": 2, "sizes": [size, 5000]}}
    content["kfold_train"]["simple_nn"] |= {"epochs": 40, "min_steps": 0}
    params.PARAMS_FILE.write_text(yaml.safe_dump(content), encoding="utf-8")
    dataset.save(Path("data/train"), digits)
    dataset.save_array(Path("data/train/folds.npy"), FOLDS[np.newaxis])
    curve("kfold_train.simple_nn")
    table = pd.read_csv("resultados/curve/kfold_train.simple_nn.csv")
    scores = table.pivot(index=["images", "fold"], columns="metric", values="value")
    assert [*scores.index] == [(size, fold) for fold in (1, 2)]
    assert scores["train_images"].eq(size).all() and scores["val_images"].eq(200).all()
    assert scores["accuracy"].gt(0.5).all()
    said = "5000 images left out: expected 10, the classes, to 399, as a fold leaves 400"
    assert said in capsys.readouterr().out
    curve("finetune.gone")  # as DVC runs it after `-S '~finetune.gone'`
    assert len(pd.read_csv("resultados/curve/finetune.gone.csv")) == 0


def gains(cnn, letters, curves) -> list[learning_curve.Gain]:
    results.write(SIMPLE, cnn, letters, curves=curves)
    comparison = read(params.contestants(), 0.005, "accuracy")
    sections = ["kfold_train.cnn", "finetune.cnn_letters"]
    curves = learning_curve.read(comparison, sections)
    assert [curve.points[-1] for curve in curves] == [
        (400, one.mean("accuracy")) for one in comparison.models[1:]
    ]
    return learning_curve.gains(comparison, curves)


def test_gains_are_intervals_that_know_how_far_the_draws_overlap(workdir):
    few = {2: [0.85, 0.87, 0.86], 200: [0.9, 0.93, 0.92]}
    curves = {"cnn": few, "cnn_letters": {2: [0.8, 0.95, 0.91], 200: [0.9001, 0.9302, 0.9203]}}
    (gain,) = gains(CNN, LETTERS.but(scores=HIGH), curves)
    assert (gain.pair.first.name, gain.pair.second.name) == ("cnn_letters", "cnn")
    assert [images for images, _, _ in gain.rows] == [2, 200, 400]
    # Of two images hardly any is drawn twice: a plain t-test. Of half of them, half the overlap.
    for (images, difference, _), grown in zip(gain.rows, (1, 1 + 3 * 0.5 / 2), strict=False):
        ahead, behind = (np.array(curves[name][images]) for name in ("cnn_letters", "cnn"))
        plain = stats.ttest_rel(ahead, behind).confidence_interval(0.95)
        mean = (ahead - behind).mean()
        low = mean - (mean - plain.low) * np.sqrt(grown)
        assert difference[:2] == pytest.approx((mean, low), rel=0.01)
    assert gain.rows[-1][1:] == (gain.pair.difference, gain.pair.verdict)
    assert [verdict for _, _, verdict in gain.rows] == ["unknown", "equal", "better"]
    assert (gain.enough, gain.undecided) == (None, [2])
    assert replace(gain, rows=gain.rows[:-1]).enough == 200
