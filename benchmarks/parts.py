"""The parts of the benchmark, and how much each of their cases does.

Who is fast is measured on what takes seconds, or the start of its processes would be all that is
seen; of who is slow, one fold is enough, as every fold takes as long.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from benchmarks.protocol import Case
from benchmarks.work import Work

SIMPLE_NN = Work(images=20_000, epochs=2)
LAST_LAYER = Work(images=1000, epochs=10)
LAST_LAYER_MANY = Work(images=10_000, epochs=10)
ONE_FOLD = "measured on 1 of 5 folds"
OURS = "ours, portable"  # what others are compared with
SAME = f"ours, of {LAST_LAYER.images:,} images"  # as many as the others are given


@dataclass(frozen=True)
class Part:
    """Cases that are compared with each other.

    Attributes
    ----------
    told : str
        For the help.
    cases : callable
        From the number of rounds to the cases.
    ours : str or None
        The row that the others are compared with.
    """

    told: str
    cases: Callable[[int], list[Case]]
    ours: str | None = None


def row(
    name: str, module: str, work: Work, numerics: str = "native", note: str = "", **options
) -> Case:
    """One of `benchmarks.rows`."""
    arguments = {"module": module, "work": asdict(work), "options": options, "judged": 1}
    return Case(
        name, "benchmarks.case:trained", arguments, numerics, note=note,
        imports=(f"benchmarks.rows.{module}",),
    )  # fmt: skip


def simple_nn(rounds: int) -> list[Case]:
    work = SIMPLE_NN
    return [
        row(OURS, "ours", work, "portable"),
        row("ours, native", "ours", work),
        row("workshop's loop", "workshop", work, note=ONE_FOLD, only=1),
        row("workshop's loop, 2 workers", "workshop", work, note=ONE_FOLD, only=1, workers=2),
        row("scikit-learn", "sklearn_mlp", work, note="no dropout"),
        row("Lightning", "lightning_loop", work, note=ONE_FOLD, only=1),
        row("Keras on JAX", "keras_fit", work, note=ONE_FOLD, only=1),
        row("skorch", "skorch_net", work),
        row("JAX, vmap over folds", "jax_vmap", work),
    ]


def last_layer(rounds: int) -> list[Case]:
    work, many = LAST_LAYER, LAST_LAYER_MANY
    return [
        row(SAME, "last_layer_ours", work, "portable"),
        row(OURS, "last_layer_ours", many, "portable", f"of {many.images:,} images"),
        row("workshop's loop", "last_layer_workshop", work, note=ONE_FOLD, only=1),
        row("timm, scikit-learn", "last_layer_timm", work, note="L-BFGS until it has converged"),
        row("fastai", "last_layer_fastai", work, note=ONE_FOLD, only=1),
    ]


def pretraining(rounds: int) -> list[Case]:
    each = {"images": 2000}
    return [
        Case(OURS, "benchmarks.pretraining:pretrained", each, "portable"),
        Case("ours, native", "benchmarks.pretraining:pretrained", each),
    ]


def limit(rounds: int) -> list[Case]:
    simple, frozen = Work(images=6400, epochs=4, folds=2), Work(images=1000, epochs=1)
    parts = {
        "SimpleNN": ("simple_net", {"work": asdict(simple)}),
        "ResNet-18, pretraining": ("pretraining", {"images": 512}),
        "ResNet-18, frozen": ("frozen", {"work": asdict(frozen)}),
    }
    return [
        Case(
            f"{name}, {numerics}",
            f"benchmarks.limit:{function}",
            arguments | {"rounds": rounds},
            numerics,
            rounds=False,
        )
        for name, (function, arguments) in parts.items()
        for numerics in ("portable", "native")
    ]


def whole(rounds: int) -> list[Case]:
    return [Case("dvc repro", "benchmarks.whole:repeated", {"rounds": rounds}, rounds=False)]


def cold(rounds: int) -> list[Case]:
    return [Case("cold dvc repro", "benchmarks.whole:cold", rounds=False)]


def growth(rounds: int) -> list[Case]:
    axes = {
        "folds": [2, 5, 10, 20],
        "images": [6000, 12_000, 24_000, 60_000],
        "jobs": [1, 2, 3, 4],
        "batch": [64, 256, 1024, 4096],
    }
    work = {"work": asdict(Work(images=12_000, epochs=1)), "axes": axes}
    return [Case("by", "benchmarks.growth:grown", work, "portable")]


def pictures(rounds: int) -> list[Case]:
    counts = {"counts": [1000, 2000, 5000, 20_000]}
    return [Case("own pictures", "benchmarks.growth:pictures", counts, "portable", rounds=False)]


PARTS = {
    "simple_nn": Part("SimpleNN on 5 folds, ours and others: 7", simple_nn, OURS),
    "last_layer": Part("ResNet-18's last layer on 5 folds, ours and others: 5", last_layer, SAME),
    "pretraining": Part("ResNet-18 on letters, portable and native: 2", pretraining, OURS),
    "limit": Part("our share of what bare matrix products take: 2", limit),
    "whole": Part("dvc repro, against stages that do nothing: 3", whole),
    "growth": Part("time by folds, images, processes and batch: 4", growth),
    "cold": Part("dvc repro from nothing, by stage: as long as that takes", cold),
    "pictures": Part("1,000 to 20,000 own pictures: 5", pictures),
}
DEFAULT = [name for name in PARTS if name not in ("cold", "pictures")]
