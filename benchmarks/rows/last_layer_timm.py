"""timm's ResNet-18 for features, once per image, then scikit-learn's logistic regression.

Its optimizer is another, L-BFGS, which ends where it has converged; it validates at the end.
"""

from collections.abc import Callable, Sequence

import numpy as np
import timm
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.base import body, pretrained, scaling
from benchmarks.work import Work

BATCH = 250


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    base = pretrained()
    scale = scaling(base)
    network = timm.create_model("resnet18", in_chans=1, num_classes=0)
    network.load_state_dict(body(base))
    # The layout that convolutions are fastest in.
    network = network.eval().to(memory_format=torch.channels_last)

    def train() -> Sequence[float]:
        with torch.inference_mode():
            parts = torch.from_numpy(work.data.images).split(BATCH)
            features = np.concatenate([network(scale(part)).numpy() for part in parts])
        # Features of one scale, with which L-BFGS converges.
        scores = cross_validate(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
            features, work.data.labels, cv=PredefinedSplit(work.assigned), n_jobs=2,
        )  # fmt: skip
        return scores["test_score"].tolist()

    return train
