"""Where randomness comes from: one seed, and a place in a tree that grows from it."""

import numpy as np


def spawn(seed: int, *place: int) -> int:
    """A seed for one place in the tree under `seed`: 0 to 2^63 - 1.

    Neighbours in the tree, and the same place under other seeds, share nothing: unlike
    ``seed + fold``, with which seeds 42 and 43 would have most of their fits in common. After
    M. E. O'Neill, "Developing a seed_seq Alternative" (2015), as NumPy has it.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=place)
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def of_fit(seed: int, repeat: int = 0, fold: int | None = None) -> int:
    """Return the seed of one fit; that of the fit on all images is the same for any folds."""
    return spawn(seed, repeat, 0 if fold is None else fold + 1)


def of_split(seed: int, repeat: int = 0) -> int:
    """Decides which images take part, and the folds of a repeat: 0 to 2^32 - 1."""
    return spawn(seed, repeat, 0, 0) % 2**32


def of_tuning(seed: int) -> int:
    """Decides the split on which hyperparameters are chosen: 0 to 2^32 - 1."""
    return spawn(seed, 0, 0, 1) % 2**32


def of_test(seed: int) -> int:
    """Decides which pictures are for testing: 0 to 2^32 - 1."""
    return spawn(seed, 0, 0, 2) % 2**32


def of_pretraining(seed: int, repeat: int = 0) -> int:
    """Of the fit on other data that a repeat's fine-tuning starts from."""
    return spawn(seed, repeat)


def of_weights(fit_seed: int) -> int:
    """Decides the initial weights of a fit."""
    return spawn(fit_seed, 0)


def of_draw(fit_seed: int) -> int:
    """Decides which images are drawn for a fit on some of them: 0 to 2^32 - 1."""
    return spawn(fit_seed, 0, 0) % 2**32


def of_order(fit_seed: int, epoch: int) -> int:
    """Decides the order of images (or which are drawn) in an epoch, from 1."""
    return spawn(fit_seed, epoch, 0)


def of_noise(fit_seed: int, epoch: int) -> int:
    """Decides what dropout drops in an epoch, from 1."""
    return spawn(fit_seed, epoch, 1)
