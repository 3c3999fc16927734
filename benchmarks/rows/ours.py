"""This project's cross-validation of SimpleNN, with the recipe of `stages.kfold_train`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import joblib
import torch

from benchmarks.work import DROPOUT, HIDDEN, RATE, SEED, Work
from taller.models import simple_nn
from taller.models.scaling import Scaling
from taller.training import cluster, forked
from taller.training.adamw import AdamW
from taller.training.cross_validation import CrossValidation, cross_validate
from taller.training.engine import Recipe

CPU = torch.device("cpu")


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    # The first repeat would also fit on all images, which nobody else here does.
    return lambda: accuracies(validated(work, at_once(), repeat=1))


def at_once(jobs: int | None = None) -> AbstractContextManager:
    """So many processes, or as many as the stages take."""
    if jobs is None:
        return cluster.fits_at_once(CPU)
    return joblib.parallel_config(forked.backend(jobs), n_jobs=jobs)


def validated(work: Work, processes: AbstractContextManager, **options) -> CrossValidation:
    """What the project makes of this work in `at_once`'s processes."""
    data = work.data
    recipe = Recipe(
        make_model=lambda: simple_nn.build(data.classes, data.shape, HIDDEN, DROPOUT),
        make_optimizer=lambda model: AdamW(model.parameters(), RATE, weight_decay=0.0),
        epochs=work.epochs,
    )
    scaling = Scaling(mean=(0.5,), std=(0.5,), size=data.shape[1:])
    with processes:
        return cross_validate(
            recipe, data.images, data.labels, work.assigned, batch_size=work.batch,
            prepare=scaling, seed=SEED, device=CPU, **options,
        )  # fmt: skip


def accuracies(outcome: CrossValidation) -> Sequence[float]:
    """Of each fold, after the last epoch."""
    return outcome.scores.query("metric == 'accuracy'")["value"].tolist()
