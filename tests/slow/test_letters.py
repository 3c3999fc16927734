"""The fewest letters that params.yaml admits are enough to learn from."""

import torch

from taller.networks import cnn
from taller.pretraining import letters
from taller.pretraining.letters import LettersConfig
from taller.training import engine


def test_letters_are_learnt():
    config = LettersConfig(
        images=8000, batch_size=128, learning_rate=0.2, weight_decay=0.0005, label_smoothing=0.1
    )

    def build():
        return cnn.build(
            len(letters.names()), letters.SHAPE, channels=[16, 32], units=64, dropout=0.0
        )

    with engine.threads(2):
        _, accuracy = letters.pretrain(build, config, 1, torch.device("cpu"))
    assert accuracy > 0.02  # of 372 classes, in fonts that it has not seen: chance is 0.003
