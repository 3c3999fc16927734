"""Keras on JAX, compiled; several steps in one call (`steps_per_execution`) made it no faster."""

import os
from collections.abc import Callable, Sequence

os.environ["KERAS_BACKEND"] = "jax"  # read at the import

import keras

from benchmarks.work import DROPOUT, HIDDEN, RATE, SEED, VALIDATION_BATCH, Work


def prepare(work: Work, only: int) -> Callable[[], Sequence[float]]:
    """Of all folds train without the first `only`: each takes as long."""

    def train() -> Sequence[float]:
        keras.utils.set_random_seed(SEED)
        images, labels, reached = work.scaled(), work.data.labels, []
        for training, validation in work.splits[:only]:
            model = keras.Sequential(
                [
                    keras.layers.Dense(HIDDEN[0], activation="relu"),
                    keras.layers.Dropout(DROPOUT),
                    keras.layers.Dense(HIDDEN[1], activation="relu"),
                    keras.layers.Dense(10),
                ]
            )
            model.compile(
                keras.optimizers.Adam(RATE),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["accuracy"],
            )  # fmt: skip
            history = model.fit(
                images[training], labels[training], batch_size=work.batch, epochs=work.epochs,
                validation_data=(images[validation], labels[validation]),
                validation_batch_size=VALIDATION_BATCH, verbose=0,
            )  # fmt: skip
            reached.append(history.history["val_accuracy"][-1])
        return reached

    return train
