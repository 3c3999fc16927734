"""JAX: all folds in one compiled program, by vmap, and each epoch in one call of it, by scan."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.work import DROPOUT, HIDDEN, RATE, SEED, Work

# Cheaper random numbers than its default's, for the dropout.
jax.config.update("jax_default_prng_impl", "rbg")
SIZES = (784, *HIDDEN, 10)


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    def train() -> Sequence[float]:
        images, labels = jnp.asarray(work.scaled()), jnp.asarray(work.data.labels)
        training, validation = (padded(rows) for rows in zip(*work.splits, strict=True))
        steps = -(-training.shape[1] // work.batch)
        pen = np.random.default_rng(SEED)
        keys = jax.random.split(jax.random.key(SEED), work.folds)
        state = initial(work.folds, pen)
        one_fold = jax.vmap(partial(epoch, images, labels), in_axes=(0, 0, 0, None))
        run, check = jax.jit(one_fold), jax.jit(jax.vmap(partial(correct, images, labels)))
        for number in range(work.epochs):
            order = np.full((work.folds, steps * work.batch), -1)
            order[:, : training.shape[1]] = pen.permuted(training, axis=1)
            state = run(state, order.reshape(work.folds, steps, work.batch), keys, number * steps)
            hits = check(state[0], validation)
        return (np.asarray(hits) / (validation >= 0).sum(1)).tolist()

    return train


def padded(rows: tuple[np.ndarray, ...]) -> np.ndarray:
    """Rows of each fold, made equally many by -1, which stands for no image."""
    most = max(map(len, rows))
    return np.stack([np.pad(one, (0, most - len(one)), constant_values=-1) for one in rows])


def initial(folds: int, pen: np.random.Generator):
    """Weights of each fold, drawn as PyTorch does, and Adam's two moments."""
    weights = [
        [
            pen.uniform(-(before**-0.5), before**-0.5, (folds, *shape)).astype(np.float32)
            for shape in ((before, after), (after,))
        ]
        for before, after in pairwise(SIZES)
    ]
    zeros = jax.tree.map(np.zeros_like, weights)
    return weights, zeros, zeros


def logits(weights, inputs, kept=None):
    (first, bias), *others = weights
    inputs = jax.nn.relu(inputs @ first + bias)
    if kept is not None:
        inputs = jnp.where(kept, inputs / (1 - DROPOUT), 0)
    for weight, bias in others[:-1]:
        inputs = jax.nn.relu(inputs @ weight + bias)
    weight, bias = others[-1]
    return inputs @ weight + bias


def epoch(images, labels, state, order, key, done):
    """Steps of Adam over the batches `order`, shape (steps, batch), of one fold."""

    def loss(weights, rows, key):
        kept = jax.random.bernoulli(key, 1 - DROPOUT, (len(rows), HIDDEN[0]))
        chances = jax.nn.log_softmax(logits(weights, images[rows], kept))
        losses = -jnp.take_along_axis(chances, labels[rows][:, None], 1)[:, 0]
        return (losses * (rows >= 0)).sum() / (rows >= 0).sum()

    def step(state, batch):
        rows, number = batch  # numbers of steps, over all epochs, so that no dropout repeats
        weights, first, second = state
        slopes = jax.grad(loss)(weights, rows, jax.random.fold_in(key, number.astype(int)))
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, slopes)
        rate = RATE * jnp.sqrt(1 - 0.999**number) / (1 - 0.9**number)
        root = jnp.sqrt(1 - 0.999**number)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-8 * root), weights, first, second
        )
        return (weights, first, second), None

    numbers = done + 1.0 + jnp.arange(len(order))
    return jax.lax.scan(step, state, (order, numbers))[0]


def correct(images, labels, weights, rows):
    hits = logits(weights, images[rows]).argmax(1) == labels[rows]
    return (hits & (rows >= 0)).sum()
