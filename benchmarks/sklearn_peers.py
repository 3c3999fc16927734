"""scikit-learn under its own `cross_validate`, in two processes, validated after the last epoch."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.work import HIDDEN, RATE, SEED, Work, load_pretrained

BATCH = 250  # images that run through timm's network at a time


def mlp(work: Work) -> Callable[[], Sequence[float]]:
    """`MLPClassifier`, which has no dropout, in single precision, as the images are."""
    # Never satisfied, so that it trains for as many epochs as the others.
    model = MLPClassifier(
        HIDDEN, alpha=0, batch_size=work.batch, learning_rate_init=RATE, max_iter=work.epochs,
        tol=0, n_iter_no_change=work.epochs + 1, random_state=SEED,
    )  # fmt: skip

    def train() -> Sequence[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return validate(model, work.scaled_images(), work)

    return train


def timm_features(work: Work) -> Callable[[], Sequence[float]]:
    """timm's ResNet-18, once per image, then logistic regression by L-BFGS, to its end."""
    import timm

    _, body, scaling = load_pretrained()
    network = timm.create_model("resnet18", in_chans=1, num_classes=0)
    network.load_state_dict(body)
    # The layout that convolutions are fastest in.
    network = network.eval().to(memory_format=torch.channels_last)

    def train() -> Sequence[float]:
        with torch.inference_mode():
            parts = torch.from_numpy(work.data.images).split(BATCH)
            features = np.concatenate([network(scaling(part)).numpy() for part in parts])
        # Features of one scale, with which L-BFGS converges.
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return validate(model, features, work)

    return train


def validate(model: object, inputs: np.ndarray, work: Work) -> Sequence[float]:
    folds = PredefinedSplit(work.fold_of)
    scores = cross_validate(model, inputs, work.data.labels, cv=folds, n_jobs=2)
    return scores["test_score"].tolist()
