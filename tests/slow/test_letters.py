"""What the fewest letters that params.yaml admits are good for."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from taller.networks import resnet18
from taller.pretraining import letters
from taller.pretraining.letters import LettersConfig
from taller.training import engine


def read_digits(network, digits) -> float:
    """Cross-validated accuracy of scikit-learn's last layer on a network's features."""
    inputs = letters.SCALING(torch.from_numpy(digits.images)).split(100)
    features = engine.predict(network[:-1], inputs).numpy()
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return float(np.mean(cross_val_score(classifier, features, digits.labels, cv=5)))


def test_letters_are_learnt_and_help_to_read_digits(digits):
    config = LettersConfig(
        images=8000, batch_size=128, learning_rate=0.2, weight_decay=0.0005, label_smoothing=0.1
    )

    def build():
        return resnet18.build(len(letters.names()), letters.SHAPE)

    with engine.threads(2):
        network, accuracy = letters.pretrain(build, config, 1, torch.device("cpu"))
        assert accuracy > 0.03  # of 372 classes, chance is 0.003
        torch.manual_seed(1)
        learnt, random = read_digits(network, digits), read_digits(build(), digits)
    assert learnt > 0.85
    assert learnt > random + 0.05
