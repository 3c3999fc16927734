"""Fill the square, one step at a time: images, an arm's setting, an arm on so many images.

datos NAME cuts a domain's training images into those that judge, of other writers where they are
known, and draws of the others. eleccion NAME/ARM/CHOICE chooses an arm's setting inside its
training images. celda NAME/ARM/SIZE trains it on each draw, and has the judge's images answered.
The test set is read by none. What they write is left in estudio/cells.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from stages import preprocess  # first: it pins what NumPy reads

# isort: split
import numpy as np
import pandas as pd
from pydantic import create_model

from estudio import outlook
from taller.common import files, numerics, params, stage
from taller.common.params import Device, NetworkName, Seed, Threads
from taller.common.terminal import UserError, bar
from taller.datasets import dataset, folder, splits
from taller.datasets.dataset import Dataset
from taller.evaluation import metrics
from taller.training import contestants, engine, freezing, store, workers
from taller.training.batches import prepare_batches
from taller.training.contestants import FinetuningConfig, Halves, ScratchConfig
from taller.training.cross_validation import OUT, Training, fit_fold
from taller.training.engine import TrainingConfig

HERE, SETTINGS = Path("estudio"), Path("estudio/params.yaml")
CELLS, SCRATCH = HERE / "cells", "scratch.txt"  # where an arm starts that has no weights
GRID = ("learning_rate", "min_steps")  # which setting of an arm's grid it is
INNER_PARTS = 5  # one of them validates where a setting is chosen


def square(step: str, place: str) -> None:
    {"datos": cut, "eleccion": choose, "celda": measure}[step](*place.split("/"))


def cut(domain: str) -> None:
    """Write a domain's training images, the rows of those that judge, and the draws."""
    settings, seed = params.load(SETTINGS)["mapa"], params.read("seed", Seed)
    data = training_images(domain, HERE / settings["domains"][domain], seed)
    parts = max(INNER_PARTS, len(data) // settings["judge"])
    judges = splits.stratified_folds(data, parts, numerics.split_seed(seed)) == 0
    draws = draw(data, np.flatnonzero(~judges), settings["draws"], seed)
    dataset.save(CELLS / "datos" / domain, data)
    dataset.save_array(CELLS / "datos" / domain / "judge.npy", np.flatnonzero(judges))
    dataset.save_array(CELLS / "datos" / domain / "draws.npy", draws)
    print(f"{domain}: {judges.sum()} images judge, draws of {draws.shape[1]} others")


def training_images(domain: str, raw: Path, seed: int) -> Dataset:
    """A domain of the catalogue has its training files opened alone."""
    if domain in dataset.CLASSES:
        return dataset.read_idx_part(domain, raw, "train")
    settings = params.read("preprocess", preprocess.Params)
    return folder.read(raw, settings, numerics.test_seed(seed))[0]


def draw(data: Dataset, rows: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Put `rows` into an order for each draw, int64, shape (draws, rows): its first n are drawn.

    They have the classes in their shares, and of a class as many writers as there can be. Every
    order is the same circle, entered elsewhere: draws share images only where they must.
    """
    rows = np.random.default_rng(numerics.draw_seed(numerics.fit_seed(seed))).permutation(rows)
    groups = rows if data.groups is None else data.groups[rows]
    table = pd.DataFrame({"label": data.labels[rows], "group": groups})
    table["turn"] = table.groupby(["label", "group"]).cumcount()  # a writer's second image waits
    table = table.sort_values(["label", "turn"], kind="stable")
    of_class = table.groupby("label")["turn"]
    table["place"] = (of_class.cumcount() + 0.5) / of_class.transform("size")
    circle = rows[table.sort_values("place", kind="stable").index]
    return np.stack([np.roll(circle, -(one * len(rows) // draws)) for one in range(draws)])


def load(domain: str, draws: int | None, size: int) -> tuple[Dataset, np.ndarray, np.ndarray]:
    """The images of the first draws, where nobody judges, or of all and of the judge; their rows.

    The draws' are int64, shape (draws, size): fewer columns where there are fewer images.
    """
    place = CELLS / "datos" / domain
    data, judge = dataset.load(place), dataset.load_array(place / "judge.npy")
    judge = judge if draws is None else judge[:0]
    rows = dataset.load_array(place / "draws.npy")[:draws, :size]
    used = np.unique(np.concatenate([judge, rows.ravel()]))
    return data.take(used), np.searchsorted(used, judge), np.searchsorted(used, rows)


class Arm(NamedTuple):
    """How an arm is trained on some images."""

    facts: dict[str, Any]  # its network, its source, the layers that are trained, its stem
    options: Sequence[TrainingConfig]  # its grid
    inputs: Callable[[], np.ndarray]  # what its trained part gets of all the images
    training: Callable[[TrainingConfig, int], Training]  # with a setting, on so many images
    # From that to operations of what is done to an image once, of its answer, of a step.
    cost: Callable[[Training], tuple[int, int, int]]


def read_options(name: str) -> list[TrainingConfig]:
    """The settings of an arm's grid; those of an arm from scratch have no ``start``."""
    key = f"mapa.arms.{name}"
    module = store.network_module(params.read(f"{key}.network", NetworkName, SETTINGS))
    tuned = params.read(f"{key}.start", str, SETTINGS) != SCRATCH
    bases = (FinetuningConfig,) if tuned else (ScratchConfig, module.ModelParams)
    config = create_model("Config", __base__=bases)
    lists = {"learning_rate": (list[float], ...)}
    lists |= dict.fromkeys(("min_steps", "epochs"), (list[int], ...))
    schema = create_model("Arm", __base__=config, start=(str, ...), **lists)
    values = params.read(key, schema, SETTINGS).model_dump(exclude=None if tuned else {"start"})
    if tuned:
        values["trainable"] = freezing.trained_layers(values["trainable"], module, key)
    steps, epochs = values["min_steps"], values["epochs"]
    if len(steps) != len(epochs):
        raise UserError(f"{key}: min_steps {steps} and epochs {epochs}: expected as many of both")
    grid = product(values["learning_rate"], zip(steps, epochs, strict=True))
    return [
        config(**values | {"learning_rate": rate, "min_steps": least, "epochs": epochs})
        for rate, (least, epochs) in grid
    ]


def read_arm(name: str, data: Dataset) -> Arm:
    options, seed = read_options(name), params.read("seed", Seed)
    device = engine.choose_device(params.read("device", Device))
    module = store.network_module(options[0].network)
    facts = {"network": module.NAME, "source": "scratch", "trained": "all", "stem": ""}
    if not isinstance(options[0], FinetuningConfig):

        def of_scratch(training: Training) -> tuple[int, int, int]:
            each = store.count_operations(training.build(), training.build.keywords["shape"])
            return 0, each.inference, each.step

        training = partial(contestants.scratch_training, label=name, seed=seed, device=device)
        return Arm(
            facts, options, lambda: data.images,
            lambda option, images: training(option, data, images), of_scratch,
        )  # fmt: skip
    start = store.load_start(CELLS / "brazos" / name, options[0].network, 1, name)[0]
    options, scaling = contestants.suit(options, start, data, name)
    new_layers = numerics.weights_seed(numerics.fit_seed(seed))
    halves = Halves.of(start, options[0], data, scaling.size, new_layers)
    layers, image = options[0].trainable, (data.shape[0], *scaling.size)
    facts |= {"source": start.source, "stem": options[0].stem}
    facts |= {} if len(layers) == len(module.LAYERS) else {"trained": layers}

    def inputs() -> np.ndarray:
        with engine.threads(params.read("threads", Threads)):
            return freezing.activations(halves.frozen, data.images, scaling, device)

    def finetuning(option: TrainingConfig, images: int) -> Training:
        suited = contestants.with_min_steps([option], images, name)
        return halves.training(suited, scaling, None, data, seed, device)

    def cost(_: Training) -> tuple[int, int, int]:
        once = store.count_operations(halves.frozen, image).inference
        each = store.count_operations(halves.trained, store.output_shape(halves.frozen, image))
        return once, once + each.inference, each.step

    return Arm(facts, options, inputs, finetuning, cost)


def run(call: Callable, fits: list[tuple], shared: tuple, epochs: int, label: str) -> list:
    """Call it for every fit, on all cores, with a bar of the `epochs` that all of them have."""
    processes = workers.count(shared[0][0].device)
    with bar(epochs, label, "epoch") as progress:
        return workers.run(
            call, fits, shared, processes=processes,
            report=lambda fit, rows, line: progress.update(len(rows)),
        )  # fmt: skip


def choose(domain: str, name: str, choice: str) -> None:
    """Choose of an arm's grid what has the least log loss on a fifth of its training images."""
    settings, seed = params.load(SETTINGS)["mapa"], params.read("seed", Seed)
    data, _, rows = load(domain, settings["choosing_draws"], settings["choices"][choice])
    folds = np.full((len(rows), len(data)), OUT)
    for fold, of_draw in zip(folds, rows, strict=True):
        parts = splits.stratified_folds(data.take(of_draw), INNER_PARTS, numerics.tuning_seed(seed))
        fold[of_draw] = np.where(parts == 0, 0, -1)
    arm = read_arm(name, data)
    images = int((folds[0] == -1).sum())
    trainings = [replace(arm.training(one, images), every_epoch=False) for one in arm.options]
    losses = run(
        inner_loss, [*product(range(len(trainings)), range(len(rows)))],
        (trainings, arm.inputs(), data.labels, folds),
        len(rows) * sum(one.config.epochs for one in trainings), f"{domain}, {name}, {choice}",
    )  # fmt: skip
    means = np.reshape(losses, (len(trainings), -1)).mean(axis=1)
    best = arm.options[int(means.argmin())].model_dump(include={*GRID})
    path = CELLS / "eleccion" / domain / name / f"{choice}.json"
    files.write_json(path, best | {"log_loss": means.tolist()})
    print(f"{domain}, {name}, {choice}: {best}, log loss {means.min():.4f} of {means.round(4)}")


def inner_loss(trainings, inputs, labels, folds, option, draw, report) -> float:
    outcome = fit_fold(trainings[option], inputs, labels, folds[draw], draw, 0, None, report)
    return next(row["value"] for row in outcome.scores if row["metric"] == "log_loss")


def measure(domain: str, name: str, size: str) -> None:
    """Train an arm on every draw: fit.json, and which of the judge's images it has right."""
    began, settings, images = time.monotonic(), params.load(SETTINGS)["mapa"], int(size)
    choices, label = settings["choices"], f"{domain}, {name}, {size} images"
    choice = next(
        (one for one, chosen_at in choices.items() if images <= chosen_at), [*choices][-1]
    )
    chosen = files.read_json(CELLS / "eleccion" / domain / name / f"{choice}.json")
    data, judge, rows = load(domain, None, images)
    arm, place = read_arm(name, data), CELLS / "celdas" / domain / name / size
    chosen = {key: chosen[key] for key in GRID}
    option = next(one for one in arm.options if one.model_dump(include={*GRID}) == chosen)
    training = arm.training(option, images)
    once, inference, step = arm.cost(training)
    operations = images * (once + training.config.epochs * step)
    facts = arm.facts | chosen | {"epochs": training.config.epochs, "judge": len(judge)}
    facts |= {"training_operations": operations, "inference_operations": inference, "run": False}
    few = rows.shape[1] < images
    if few or operations > settings["most_operations"]:
        files.write_json(place / "fit.json", facts)
        why = "there are fewer" if few else f"{operations:.2g} operations are too many"
        print(f"{label}: not run, {why}", flush=True)
        return
    inputs, truth = arm.inputs(), data.labels[judge]
    answers = run(
        answer, [(draw,) for draw in range(len(rows))],
        ([training], inputs, data.labels, judge, rows), len(rows) * training.config.epochs, label,
    )  # fmt: skip
    hits = np.stack([one.argmax(axis=1) == truth for one in answers])
    losses = [metrics.log_loss(one, truth) for one in answers]
    facts |= {"run": True, "accuracy": hits.mean(axis=1).tolist(), "log_loss": losses}
    # What is known in seconds, where nothing but a last layer is trained, or of the pixels.
    if inputs.ndim == 2 or option.network == "simple_nn":
        pairs = [(inputs[one].reshape(images, -1), data.labels[one]) for one in rows]
        facts |= {key: [getattr(outlook, key)(*one) for one in pairs] for key in outlook.KINDS}
    dataset.save_array(place / "hits.npy", hits)
    files.write_json(place / "fit.json", facts)
    print(f"{label}: accuracy {hits.mean():.4f}, {time.monotonic() - began:.0f} s", flush=True)


def answer(trainings, inputs, labels, judge, rows, draw, report) -> np.ndarray:
    """Train on one draw: log probabilities of the judge's images, float64, (images, classes)."""
    (training,), folds = trainings, np.full(len(labels), OUT)
    folds[rows[draw]] = -1
    fitted = fit_fold(training, inputs, labels, folds, draw, None, None, report)
    with engine.threads(1):
        network = training.build()
        network.load_state_dict(fitted.state)
        batches = prepare_batches(inputs[judge], training.prepare, training.device)
        logits = engine.predict(network.to(training.device), batches)
    return logits.double().log_softmax(1).numpy()


if __name__ == "__main__":
    stage.run(square)
