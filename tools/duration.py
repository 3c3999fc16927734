"""How long `make repro` takes on this machine: counted from params.yaml, and one core's speed."""

from time import perf_counter

import torch

from taller.networks import efficientnet_lite0
from taller.report.language import Language
from taller.training import engine, workers

# Millions of pixels that one core passes through a network in a second, where EfficientNet-Lite0
# takes 28 images of 224 pixels. To train takes 2.7 times as long; 60,000 letters take 320 s, and
# all that computes nothing (imports, reading, the report) 60.
MEGAPIXELS = {"simple_nn": 55, "cnn": 8, "resnet18": 0.65, "efficientnet_lite0": 1.4}
LITE0_IMAGES, TRAINING, STARTS = 28, 2.7, 60
LETTERS = {"resnet18": 320, "cnn": 80}  # seconds, of a network that learns them


def line(chosen: dict, train: int, test: int, stored: int, say: Language) -> str:
    """How long `make repro` takes here, in a line."""
    cores, folds = workers.count(torch.device("cpu")), chosen["preprocess"]["folds"]
    estimate = seconds(chosen, train, test, stored, min(cores, folds + 1)) / speed()
    minutes = max(1, round(estimate / 60))
    return say("use_time", minutes=minutes, cores=cores)


def seconds(chosen: dict, train: int, test: int, stored: int, processes: int) -> float:
    """What the networks of a params.yaml take on cores of the speed of `MEGAPIXELS`.

    Parameters
    ----------
    train, test : int
        Pictures.
    stored : int
        Pixels of a side of the data set's images.
    processes : int
        How many fits run at a time.
    """
    folds, threads = chosen["preprocess"]["folds"], min(chosen["threads"], processes)
    total = STARTS + sum(
        LETTERS[one["network"]] / threads
        for one in chosen["pretrain"].values()
        if one["source"] == "letters"
    )

    def each(section: dict) -> float:
        side = section.get("image_size", "auto")
        return (stored if side == "auto" else side) ** 2 / MEGAPIXELS[section["network"]] / 1e6

    for section in [*chosen["kfold_train"].values(), *chosen["finetune"].values()]:
        if section.get("trainable") == ["fc"]:
            total += (train + test) * each(section) / threads
            continue
        part = folds if section.get("folds", "all") == "all" else section["folds"]
        fits = part * (1 - 1 / folds) + 1  # in images: those of a fold have so many, the last all
        least = section["min_steps"] * section["batch_size"] / train  # epochs
        passes = max(section["epochs"], least) * fits
        total += passes * train * each(section) * TRAINING / processes
    for name in chosen["curve"]["sections"]:
        kind, _, name = name.partition(".")
        section, sizes = chosen[kind][name], chosen["curve"]["sizes"]
        least = section["min_steps"] * section["batch_size"]  # images
        images = sum(max(section["epochs"] * size, least) for size in sizes if size < train)
        total += chosen["curve"]["folds"] * images * each(section) * TRAINING / processes
    return total


def speed() -> float:
    """How many times as fast as that of `MEGAPIXELS` a core of this machine is."""
    network, images = efficientnet_lite0.build(2, (3, 224, 224)).eval(), torch.rand(4, 3, 224, 224)
    with engine.threads(1), torch.inference_mode():
        network(images)  # the first time takes longer
        start = perf_counter()
        network(images)
    return len(images) / (perf_counter() - start) / LITE0_IMAGES
