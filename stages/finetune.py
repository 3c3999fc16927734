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
from taller.training import checkpoint, cost, engine, freezing, store
from taller.training.batches import identity
from taller.training.cross_validation import Training, cross_validate, join
from taller.training.engine import TrainingConfig

TRAIN = Path("data/train")
# ImageNet's networks see next to nothing in the 28 pixels of MNIST, and were not made for more
# than 224.
IMAGENET_PIXELS, MOST_PIXELS = 112, 224


def pixels(size: object) -> int | Literal["auto"]:
    if size != "auto" and not (type(size) is int and 16 <= size <= 512):
        raise ValueError("auto, or an integer from 16 to 512")
    return size


class Config(TrainingConfig):
    network: NetworkName
    start: str = Field(min_length=1)
    trainable: Any  # `read_config` holds it against the network
    stem: Literal["sum_rgb", "random"]
    image_size: Annotated[int | Literal["auto"], BeforeValidator(pixels)]
    body_lr_factor: float = Field(gt=0, le=10)


def read_config(name: str) -> Config:
    """The section of params.yaml; its layers are those of its network, in order."""
    key = f"finetune.{name}"
    config = params.read(key, Config)
    module = store.network_module(config.network)
    if not hasattr(module, "LAYERS"):
        raise UserError(
            f"params.yaml: {key}.network: expected one with LAYERS to freeze (resnet18, "
            f"efficientnet_lite0), found {config.network}"
        )
    trainable = freezing.trained_layers(config.trainable, module, f"{key}.trainable")
    return config.model_copy(update={"trainable": trainable})


def finetune(name: str) -> None:
    me, config = Contestant("finetuned", name), read_config(name)
    seed, device = params.read("seed", Seed), engine.choose_device(params.read("device", Device))
    threads = params.read("threads", Threads)
    data, folds = dataset.load(TRAIN), dataset.load_array(TRAIN / "folds.npy")
    module, start = store.network_module(config.network), Path(config.start)
    starts = store.load_start(start, config.network, len(folds), f"{me.section}.start")
    source, size = starts[0].source, config.image_size
    if size == "auto":
        least = IMAGENET_PIXELS if source == "imagenet" else 1
        size = min(max(*data.shape[1:], least), MOST_PIXELS)
    config = config.with_min_steps(len(data), name).model_copy(update={"image_size": size})
    scaling = starts[0].scaling.suited(data.shape, size)
    checkpoints = checkpoint.of_stage(
        me.section, [TRAIN, start], config=config, seed=seed, threads=threads, device=device
    )
    build = partial(module.build, data.classes, data.shape)
    new = [module.HEAD] if config.stem == "sum_rgb" else [module.STEM, module.HEAD]
    groups = partial(
        freezing.parameter_groups, head=module.HEAD,
        learning_rate=config.learning_rate, body_lr_factor=config.body_lr_factor,
    )  # fmt: skip
    # A layer that is trained in front of the head would change its inputs' scale.
    standardize = module.HEAD if config.trainable == [module.HEAD] else ""
    repeats = []
    for repeat, pretrained in enumerate(starts):
        torch.manual_seed(seeds.of_weights(seeds.of_fit(seed, repeat)))
        network = build()
        state = pretrained.network.state_dict()
        freezing.load(network, freezing.with_channels(state, module.STEM, data.shape[0]), new)
        frozen, trained = freezing.cut(network, config.trainable)
        rebuild = partial(freezing.rebuild, build, config.trainable, trained.state_dict(), new)
        prepare = identity if len(frozen) else scaling
        training = Training(config, rebuild, seed, device, groups, prepare, standardize)
        with engine.threads(threads):
            inputs = freezing.activations(frozen, data.images, scaling, device)
        outcome = cross_validate(
            training, inputs, data.labels, folds[repeat],
            repeat=repeat, label=name, checkpoints=checkpoints,
        )  # fmt: skip
        repeats.append(outcome)
        if repeat == 0:
            fitted = frozen.cpu().state_dict() | outcome.state
    outcome = join(repeats)

    outcome.save(me.cv)
    arguments = {"classes": data.classes, "shape": data.shape}
    source = starts[0].source
    store.save(me.model, config.network, arguments, scaling, data.names, fitted, source)
    image = (data.shape[0], *scaling.size)
    once, each = cost.count(frozen, image), cost.count(trained, cost.output_shape(frozen, image))
    began = {"path": config.start, "source": source, **store.describe_start(start)}
    facts = cost.describe_fit(
        me, module, config, network, trained_parameters=outcome.trained_parameters,
        inference=cost.count(network, image).inference,
        training=len(data) * (once.inference + config.epochs * each.step),
        trained=config.trainable, start=began,
    )  # fmt: skip
    files.write_json(me.cv / "fit.json", facts)
    checkpoints.remove()
    print(f"{name}: {outcome}")


if __name__ == "__main__":
    stage.run(finetune)
