"""Fine-tune a pretrained network on the folds of the other networks, and once on all images.

Reads the training images, their folds and a pretrained network for each repeat. The layers in front
of the first trainable one are frozen: they run once per image, and only the rest is trained. Writes
the network fitted on all images, and the same history, scores and facts as `kfold_train`. A section
of params.yaml, finetune.NAME, is a network that takes part.
"""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field

from taller.common import files, params, seeds, stage
from taller.common.errors import UserError
from taller.common.params import Contestant, Device, NetworkName, Seed, Threads
from taller.datasets import dataset
from taller.evaluation import votes
from taller.training import checkpoint, cost, engine, freezing, store
from taller.training.augmentation import Views
from taller.training.batches import identity
from taller.training.cross_validation import Training, cross_validate, join
from taller.training.engine import Epochs, ImageSize, TrainingConfig, WeightDecay, integer_or

TRAIN = Path("data/train")
# ImageNet's networks see next to nothing in the 28 pixels of MNIST, and were not made for more
# than 224.
IMAGENET_PIXELS, MOST_PIXELS = 112, 224


class Config(TrainingConfig):
    network: NetworkName
    start: str = Field(min_length=1)
    trainable: Any  # `read_options` holds it against the network
    stem: Literal["sum_rgb", "random"]
    image_size: ImageSize
    body_lr_factor: float = Field(gt=0, le=10)
    folds: integer_or("all", 2, 50)


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Section(Config):
    """As params.yaml has it: of some settings several values, of which each fit chooses."""

    weight_decay: Annotated[list[WeightDecay], BeforeValidator(_listed)] = Field(min_length=1)
    epochs: Annotated[list[Epochs], BeforeValidator(_listed)] = Field(min_length=1)


def read_options(name: str) -> list[Config]:
    """The section of params.yaml, for each combination of its values: most weight decay first.

    Its layers are those of its network, in order.
    """
    key = f"finetune.{name}"
    section = params.read(key, Section)
    module = store.network_module(section.network)
    if not hasattr(module, "LAYERS"):
        raise UserError(
            f"params.yaml: {key}.network: expected one with LAYERS to freeze (cnn, resnet18, "
            f"efficientnet_lite0), found {section.network}"
        )
    trainable = freezing.trained_layers(section.trainable, module, f"{key}.trainable")
    if section.augment != "none" and trainable[0] != module.LAYERS[0]:
        raise UserError(
            f"params.yaml: {key}.augment: expected none where the first layers are frozen and "
            f"see each image once, found {section.augment}"
        )
    values = section.model_dump() | {"trainable": trainable}
    return [
        Config(**values | {"weight_decay": decay, "epochs": epochs})
        for decay in sorted(section.weight_decay, reverse=True)
        for epochs in sorted(section.epochs)
    ]


def read_config(name: str) -> Config:
    """The one in the middle, which is taken where images are too few to choose."""
    return middle(read_options(name))


def middle(options: list[Config]) -> Config:
    return options[len(options) // 2]


def finetune(name: str) -> None:
    me, options = Contestant("finetuned", name), read_options(name)
    config = options[0]
    seed, device = params.read("seed", Seed), engine.choose_device(params.read("device", Device))
    threads = params.read("threads", Threads)
    data, folds = dataset.load(TRAIN), dataset.load_array(TRAIN / "folds.npy")
    module, start = store.network_module(config.network), Path(config.start)
    starts = store.load_start(start, config.network, len(folds), f"{me.section}.start")
    source, size = starts[0].source, config.image_size
    if size == "auto":
        least = IMAGENET_PIXELS if source == "imagenet" else 1
        size = min(max(*data.shape[1:], least), MOST_PIXELS)
    scaling = starts[0].scaling.suited(data.shape, size)
    if getattr(module, "FIXED_SIZE", False) and scaling.size != starts[0].scaling.size:
        raise UserError(
            f"params.yaml: {me.section}.image_size: expected {max(starts[0].scaling.size)}, as "
            f"{start} learnt, found {size}"
        )
    epochs = {one.epochs: one for one in options}
    epochs = {key: one.with_min_steps(len(data), name).epochs for key, one in epochs.items()}
    options = [
        one.model_copy(update={"epochs": epochs[one.epochs], "image_size": size}) for one in options
    ]
    config = middle(options)
    checkpoints = checkpoint.of_stage(
        me.section, [TRAIN, start], config=options, seed=seed, threads=threads, device=device
    )
    image, model_params = (data.shape[0], *scaling.size), starts[0].model_params
    build = partial(module.build, data.classes, image, **model_params)
    new = [module.HEAD] if config.stem == "sum_rgb" else [module.STEM, module.HEAD]
    groups = partial(
        freezing.parameter_groups, head=module.HEAD,
        learning_rate=config.learning_rate, body_lr_factor=config.body_lr_factor,
    )  # fmt: skip
    # A layer that is trained in front of the head would change its inputs' scale.
    standardize = module.HEAD if config.trainable == [module.HEAD] else ""
    views = Views.of(data.images, scaling) if config.augment == "photographs" else None
    limit, repeats = None if config.folds == "all" else config.folds, []
    for repeat, pretrained in enumerate(starts):
        torch.manual_seed(seeds.of_weights(seeds.of_fit(seed, repeat)))
        network = build()
        state = pretrained.network.state_dict()
        freezing.load(network, freezing.with_channels(state, module.STEM, data.shape[0]), new)
        frozen, trained = freezing.cut(network, config.trainable)
        rebuild = partial(freezing.rebuild, build, config.trainable, trained.state_dict(), new)
        prepare = identity if len(frozen) else scaling
        training = Training(
            config, rebuild, seed, device, groups, prepare, standardize,
            views, options if len(options) > 1 else (), data.groups,
        )  # fmt: skip
        with engine.threads(threads):
            inputs = freezing.activations(frozen, data.images, scaling, device)
        outcome = cross_validate(
            training, inputs, data.labels, folds[repeat],
            repeat=repeat, limit=limit, label=name, checkpoints=checkpoints,
        )  # fmt: skip
        if standardize and source == "imagenet":
            head = pretrained.network[-1:]  # of ImageNet's classes
            logits = freezing.activations(head, inputs, identity, device)
            outcome.scores.extend(votes.scores(logits, data.labels, folds[repeat], limit, repeat))
        repeats.append(outcome)
        if repeat == 0:
            fitted = frozen.cpu().state_dict() | outcome.state
    outcome = join(repeats)

    outcome.save(me.cv)
    arguments = {"classes": data.classes, "shape": data.shape, **model_params}
    store.save(me.model, config.network, arguments, scaling, data.names, fitted, source)
    if outcome.chosen:  # the first one is of the fit on all images
        values = {key: outcome.chosen[0][key] for key in ("weight_decay", "epochs")}
        config = config.model_copy(update=values)
    once, each = cost.count(frozen, image), cost.count(trained, cost.output_shape(frozen, image))
    began = {"path": config.start, "source": source, **store.describe_start(start)}
    facts = cost.describe_fit(
        me, module, config, network, trained_parameters=outcome.trained_parameters,
        inference=cost.count(network, image).inference,
        training=len(data) * (once.inference + config.epochs * each.step),
        trained=config.trainable, start=began,
    )  # fmt: skip
    facts |= {"chosen": outcome.chosen} if outcome.chosen else {}
    files.write_json(me.cv / "fit.json", facts)
    checkpoints.remove()
    print(f"{name}: {outcome}")


if __name__ == "__main__":
    stage.run(finetune)
