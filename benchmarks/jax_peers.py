"""JAX: Keras on it, and all folds in one compiled program."""

import os
from collections.abc import Callable, Sequence
from functools import partial

os.environ["KERAS_BACKEND"] = "jax"  # read at the import

import jax
import keras
import numpy as np
from jax import numpy as jnp
from jax.example_libraries import optimizers, stax

from benchmarks.work import DROPOUT, HIDDEN, RATE, SEED, VALIDATION_BATCH, Work


def keras_fit(work: Work) -> Callable[[], Sequence[float]]:
    """Without the first fold alone: each takes as long. `steps_per_execution` is no faster."""

    def train() -> Sequence[float]:
        keras.utils.set_random_seed(SEED)
        images, labels = work.scaled_images(), work.data.labels
        training, validation = work.splits[0]
        layers = keras.layers
        model = keras.Sequential(
            [
                layers.Dense(HIDDEN[0], activation="relu"), layers.Dropout(DROPOUT),
                layers.Dense(HIDDEN[1], activation="relu"), layers.Dense(10),
            ]
        )  # fmt: skip
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(RATE), loss, metrics=["accuracy"])
        history = model.fit(
            images[training], labels[training], batch_size=work.batch, epochs=work.epochs,
            validation_data=(images[validation], labels[validation]),
            validation_batch_size=VALIDATION_BATCH, verbose=0,
        )  # fmt: skip
        return history.history["val_accuracy"][-1:]

    return train


def vmap(work: Work) -> Callable[[], Sequence[float]]:
    """SimpleNN's folds by vmap, and each epoch in one call, by scan.

    Folds differ by some images: of each it takes as many as the smallest has.
    """
    jax.config.update("jax_default_prng_impl", "rbg")  # cheaper random numbers, for the dropout
    (initial, apply), (_, answer) = map(simple_nn, ("train", "test"))
    start, update, weights_of = optimizers.adam(RATE)

    def loss(weights, images, labels, key):
        chances = apply(weights, images, rng=key)
        return -jnp.take_along_axis(chances, labels[:, None], 1).mean()

    def epoch(images, labels, state, order, key, done):
        """A step for each batch of `order`, rows of images in the shape (steps, batch)."""

        def step(state, batch):
            rows, number = batch  # of steps, over all epochs, so that no dropout repeats
            own = jax.random.fold_in(key, number)
            slopes = jax.grad(loss)(weights_of(state), images[rows], labels[rows], own)
            return update(number, slopes, state), None

        return jax.lax.scan(step, state, (order, done + jnp.arange(len(order))))[0]

    def accuracy(images, labels, state, rows):
        chances = answer(weights_of(state), images[rows], rng=jax.random.key(0))
        return (chances.argmax(1) == labels[rows]).mean()

    def train() -> Sequence[float]:
        images, labels = jnp.asarray(work.scaled_images()), jnp.asarray(work.data.labels)
        training, validation = (alike(rows) for rows in zip(*work.splits, strict=True))
        steps, random = training.shape[1] // work.batch, np.random.default_rng(SEED)
        keys = jax.random.split(jax.random.key(SEED), work.folds)
        state = jax.vmap(lambda key: start(initial(key, (-1, 784))[1]))(keys)
        run = jax.jit(jax.vmap(partial(epoch, images, labels), in_axes=(0, 0, 0, None)))
        check = jax.jit(jax.vmap(partial(accuracy, images, labels)))
        for number in range(work.epochs):
            order = random.permuted(training, axis=1)[:, : steps * work.batch]
            state = run(state, order.reshape(work.folds, steps, work.batch), keys, number * steps)
            accuracies = check(state, validation)
        return np.asarray(accuracies).tolist()

    return train


def simple_nn(mode: str) -> tuple[Callable, Callable]:
    return stax.serial(
        stax.Dense(HIDDEN[0]), stax.Relu, stax.Dropout(1 - DROPOUT, mode),
        stax.Dense(HIDDEN[1]), stax.Relu, stax.Dense(10), stax.LogSoftmax,
    )  # fmt: skip


def alike(rows: tuple[np.ndarray, ...]) -> np.ndarray:
    """As many rows of each fold."""
    return np.stack([one[: min(map(len, rows))] for one in rows])
