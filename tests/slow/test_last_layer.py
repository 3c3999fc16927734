"""The last layer on frozen features, against scikit-learn's logistic regression."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import interpolate

from stages.finetune import finetune
from taller.common import files
from taller.datasets import dataset, splits
from taller.datasets.dataset import Dataset
from taller.training import store

ROOT = Path(__file__).parents[2]


def unequal(data: Dataset) -> Dataset:
    """100 threes and 20 fives: too few to choose a setting with."""
    rows = [np.flatnonzero(data.labels == digit)[:count] for digit, count in ((3, 100), (5, 20))]
    few = data.take(np.concatenate(rows))
    return replace(few, labels=(few.labels == 5).astype(np.int64), names=("3", "5"))


@pytest.mark.parametrize("unequal_classes", [False, True])
def test_it_is_as_right_as_scikit_learns(
    workdir, mnist, digits, lite0_weights, monkeypatch, unequal_classes
):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    digits = unequal(mnist[0]) if unequal_classes else digits
    dataset.save(Path("data/train"), digits)
    folds = splits.stratified_folds(digits, 5, seed=1)
    dataset.save_array(Path("data/train/folds.npy"), folds[np.newaxis])
    params = yaml.safe_load((ROOT / "presets/photographs.yaml").read_text("utf-8"))
    section = params["finetune"]["lite0"] | {"start": str(lite0_weights.parent), "image_size": 112}
    params["finetune"] = {"mine": section}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    finetune("mine")
    facts = files.read_json(Path("resultados/cv/finetuned/mine/fit.json"))
    assert [row["fixed"] for row in facts["chosen"]] == [unequal_classes] * 6
    scores = pd.read_csv("resultados/cv/finetuned/mine/scores.csv").groupby("metric")["value"]
    network = store.load(Path("modelos/finetuned/mine.pth")).network.eval()
    scaled = interpolate(
        torch.from_numpy(digits.images) / 127.5 - 1, size=(112, 112), mode="bilinear"
    )
    with torch.no_grad():
        features = torch.cat([network[:-1](part) for part in scaled.split(100)]).numpy()
    theirs = make_pipeline(
        StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-4, 0, 3), cv=3, max_iter=200)
    )
    cv, scorers = PredefinedSplit(folds), {"accuracy": "accuracy", "log_loss": "neg_log_loss"}
    other = cross_validate(theirs, features, digits.labels, cv=cv, scoring=scorers)
    assert scores.mean()["accuracy"] > other["test_accuracy"].mean() - 0.01
    assert scores.mean()["log_loss"] < -other["test_log_loss"].mean() + 0.01
