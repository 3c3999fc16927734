"""Which settings a network from scratch has, and how it is trained on a data set."""

from functools import partial

import torch
from pydantic import create_model

from taller.common import params
from taller.common.params import NetworkName
from taller.datasets.dataset import Dataset
from taller.training import store
from taller.training.augmentation import Views
from taller.training.batches import Scaling
from taller.training.cross_validation import Training
from taller.training.engine import ImageSize, TrainingConfig


class Config(TrainingConfig):
    network: NetworkName
    image_size: ImageSize


def read(key: str) -> Config:
    """The section of params.yaml at `key`, with the params of its network."""
    network = params.read(f"{key}.network", NetworkName)
    bases = Config, store.network_module(network).ModelParams
    return params.read(key, create_model("Config", __base__=bases))


def training(
    config: Config, data: Dataset, images: int, label: str, seed: int, device: torch.device
) -> Training:
    """How the network is trained on `images` of the data; its `prepare` is the workshop's scaling.

    Its config has the pixels and epochs that this comes to; its `build` has the arguments as
    keywords.
    """
    size = max(data.shape[1:]) if config.image_size == "auto" else config.image_size
    config = config.with_min_steps(images, label).model_copy(update={"image_size": size})
    scaling = Scaling((0.5,), (0.5,), data.shape[1:]).suited(data.shape, size)
    module = store.network_module(config.network)
    build = partial(
        module.build, classes=data.classes, shape=(data.shape[0], *scaling.size),
        **config.model_dump(include={*module.ModelParams.model_fields}),
    )  # fmt: skip
    views = Views.of(data.images, scaling) if config.augment == "photographs" else None
    return Training(config, build, seed, device, prepare=scaling, views=views)
