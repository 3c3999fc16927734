"""To the same verdict on photographs: ours, fastai's `fine_tune`, timm's features and scikit-learn.

All see the pipeline's images of 224 pixels, on its folds, and start from the same weights of
EfficientNet-Lite0. After `make use` of photographs: params.yaml must have finetune.lite0.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.ours import CPU, THREADS
from benchmarks.work import SEED
from stages import curve
from taller.common import params
from taller.common.terminal import UserError
from taller.datasets import dataset
from taller.datasets.dataset import Dataset
from taller.training import cross_validation, store

START, SECTION, BATCH = Path("data/efficientnet_lite0/raw"), "lite0", 64
EPOCHS = 4  # of all layers, after one of the last, at fastai's default rate


def compare(peer: str) -> Iterator[dict]:
    """Train without each fold: seconds of all, and the mean accuracy."""
    if SECTION not in params.load()["finetune"]:
        raise UserError(f"params.yaml: expected finetune.{SECTION}; run make use on photographs")
    data = dataset.load(curve.TRAIN)
    folds, start = dataset.load_array(curve.TRAIN / "folds.npy")[0], time.perf_counter()
    accuracies = [*PEERS[peer](data, folds.astype(int))]
    seconds = time.perf_counter() - start
    yield {"images": len(data), "seconds": seconds, "accuracy": float(np.mean(accuracies))}


def ours(data: Dataset, folds: np.ndarray) -> Sequence[float]:
    """The frozen layers once, then the last one, whose settings each fit may choose."""
    _, inputs, training_on = curve.prepare_finetuning(
        f"finetune.{SECTION}", data, 1, SEED, CPU, THREADS
    )
    training = training_on(len(data))
    # A repeat after the first, which would also fit on all images: nobody else does.
    outcome = cross_validation.cross_validate(training, inputs, data.labels, folds, repeat=1)
    return [row["value"] for row in outcome.scores if row["metric"] == "accuracy"]


def body() -> nn.Module:
    """timm's network without its last layer, with the weights that ours starts from."""
    import timm

    network = timm.create_model("tf_efficientnet_lite0")
    start = store.load_start(START, "efficientnet_lite0", 1, "start")[0].network.state_dict()
    network.load_state_dict(dict(zip(network.state_dict(), start.values(), strict=True)))
    network.reset_classifier(0)
    return network.to(memory_format=torch.channels_last)


def timm_features(data: Dataset, folds: np.ndarray) -> Sequence[float]:
    """Once per image; then logistic regression, its strength by scikit-learn's own inner folds."""
    network = body().eval()
    with torch.inference_mode():
        parts = torch.from_numpy(np.asarray(data.images)).split(BATCH)
        features = np.concatenate([network(part / 127.5 - 1).numpy() for part in parts])
    regression = LogisticRegressionCV(Cs=[0.001, 0.01, 0.1], cv=5, max_iter=1000)
    model, splits = make_pipeline(StandardScaler(), regression), PredefinedSplit(folds)
    return cross_validate(model, features, data.labels, cv=splits, n_jobs=2)["test_score"]


def fastai(data: Dataset, folds: np.ndarray) -> Iterator[float]:
    """Its `fine_tune` on a `DataBlock`, augmented by its transforms."""
    from fastai.vision import all as vision

    half = [0.5] * 3
    for fold in range(folds.max() + 1):
        torch.manual_seed(SEED)
        block = vision.DataBlock(
            (vision.ImageBlock, vision.CategoryBlock(vocab=[*range(data.classes)])),
            get_items=lambda images: range(len(images)),
            get_x=lambda row: vision.PILImage.create(data.images[row].transpose(1, 2, 0)),
            get_y=lambda row: int(data.labels[row]),
            splitter=vision.IndexSplitter(np.flatnonzero(folds == fold).tolist()),
            batch_tfms=[*vision.aug_transforms(), vision.Normalize.from_stats(half, half)],
        )
        loaders, network = block.dataloaders(data.images, bs=BATCH, num_workers=0), body()
        network = nn.Sequential(network, nn.Linear(network.num_features, data.classes))
        learner = vision.Learner(
            loaders, network, metrics=vision.accuracy, splitter=vision.default_split
        )
        with learner.no_bar(), learner.no_logging():
            learner.fine_tune(EPOCHS)
        yield float(learner.recorder.values[-1][-1])


PEERS = {"ours": ours, "fastai": fastai, "timm": timm_features}
