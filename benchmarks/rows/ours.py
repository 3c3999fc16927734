"""This project's cross-validation of SimpleNN, with the recipe of `stages.kfold_train`."""

from collections.abc import Callable, Sequence

import torch

from benchmarks.work import DROPOUT, HIDDEN, RATE, SEED, Work
from taller.models import simple_nn
from taller.models.scaling import Scaling
from taller.training.cross_validation import CrossValidation, cross_validate
from taller.training.engine import Recipe


def prepare(work: Work) -> Callable[[], Sequence[float]]:
    # The first repeat would also fit on all images, which nobody else here does.
    return lambda: accuracies(validated(work, repeat=1))


def validated(work: Work, **options) -> CrossValidation:
    """What the project makes of this work, in as many processes as it takes by default."""
    data = work.data
    recipe = Recipe(
        make_model=lambda: simple_nn.build(data.classes, data.shape, HIDDEN, DROPOUT),
        make_optimizer=lambda model: torch.optim.AdamW(
            model.parameters(), RATE, weight_decay=0.0, fused=True
        ),
        epochs=work.epochs,
    )
    return cross_validate(
        recipe, data.images, data.labels, work.assigned, batch_size=work.batch,
        prepare=Scaling(mean=(0.5,), std=(0.5,), size=data.shape[1:]), seed=SEED,
        device=torch.device("cpu"), **options,
    )  # fmt: skip


def accuracies(outcome: CrossValidation) -> Sequence[float]:
    """Of each fold, after the last epoch."""
    return outcome.scores.query("metric == 'accuracy'")["value"].tolist()
