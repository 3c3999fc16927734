"""What takes part, from scratch or fine-tuned: which settings it has, and how it is trained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BeforeValidator, Field, create_model
from torch import nn

from taller.common import params
from taller.common.params import NETWORKS, NetworkName
from taller.common.terminal import UserError
from taller.datasets.dataset import Dataset
from taller.training import freezing, store
from taller.training.batches import Scaling, Views, identity
from taller.training.cross_validation import Training
from taller.training.engine import Epochs, ImageSize, TrainingConfig, WeightDecay, integer_or
from taller.training.store import Classifier

# ImageNet's networks see next to nothing in the 28 pixels of MNIST, and were not made for more
# than 224.
IMAGENET_PIXELS, MOST_PIXELS = 112, 224


class ScratchConfig(TrainingConfig):
    network: NetworkName
    image_size: ImageSize


def read_scratch(key: str) -> ScratchConfig:
    """The section of params.yaml at `key`, with the params of its network."""
    network = params.read(f"{key}.network", NetworkName)
    bases = ScratchConfig, store.network_module(network).ModelParams
    return params.read(key, create_model("Config", __base__=bases))


def scratch_training(
    config: ScratchConfig, data: Dataset, images: int, label: str, seed: int, device: torch.device
) -> Training:
    """How the network is trained on `images` of the data; its `prepare` is the workshop's scaling.

    Its config has the pixels and epochs that this comes to; its `build` has the arguments as
    keywords.
    """
    size = max(data.shape[1:]) if config.image_size == "auto" else config.image_size
    config = config.with_min_steps(images, label).model_copy(update={"image_size": size})
    scaling = Scaling((0.5,), (0.5,), data.shape[1:]).adapt(data.shape, size)
    module = store.network_module(config.network)
    build = partial(
        module.build, classes=data.classes, shape=(data.shape[0], *scaling.size),
        **config.model_dump(include={*module.ModelParams.model_fields}),
    )  # fmt: skip
    views = Views.of(data.images, scaling) if config.augment == "photographs" else None
    return Training(config, build, seed, device, prepare=scaling, views=views)


class FinetuningConfig(TrainingConfig):
    network: NetworkName
    start: str = Field(min_length=1)
    trainable: Any  # `expand` holds it against the network
    stem: Literal["sum_rgb", "random"]
    image_size: ImageSize
    body_lr_factor: float = Field(gt=0, le=10)
    folds: integer_or("all", 2, 50)


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class FinetuningSection(FinetuningConfig):
    """As params.yaml has it: of some settings several values, of which each fit chooses."""

    weight_decay: Annotated[list[WeightDecay], BeforeValidator(_as_list)] = Field(min_length=1)
    epochs: Annotated[list[Epochs], BeforeValidator(_as_list)] = Field(min_length=1)


def read_finetuning(key: str) -> list[FinetuningConfig]:
    """The section of params.yaml at `key`, for each combination of its values.

    Most weight decay comes first. The layers of each are those of its network, in order. A
    `UserError` names the param that the network cannot have.
    """
    section = params.read(key, FinetuningSection)
    module = store.network_module(section.network)
    if not hasattr(module, "LAYERS"):
        names = sorted(path.stem for path in NETWORKS.glob("[a-z]*.py"))
        known = [name for name in names if hasattr(store.network_module(name), "LAYERS")]
        raise UserError(
            f"params.yaml: {key}.network: expected one with LAYERS to freeze ({', '.join(known)}), "
            f"found {section.network}"
        )
    trainable = freezing.trained_layers(section.trainable, module, f"{key}.trainable")
    if section.augment != "none" and trainable[0] != module.LAYERS[0]:
        raise UserError(
            f"params.yaml: {key}.augment: expected none where the first layers are frozen and "
            f"see each image once, found {section.augment}"
        )
    values = section.model_dump() | {"trainable": trainable}
    return [
        FinetuningConfig(**values | {"weight_decay": decay, "epochs": epochs})
        for decay in sorted(section.weight_decay, reverse=True)
        for epochs in sorted(section.epochs)
    ]


def middle(options: list[FinetuningConfig]) -> FinetuningConfig:
    """The one that is taken where images are too few to choose."""
    return options[len(options) // 2]


def suit(
    options: list[FinetuningConfig], start: Classifier, data: Dataset, key: str
) -> tuple[list[FinetuningConfig], Scaling]:
    """The configs with the pixels that they come to, and the scaling of inputs.

    A `UserError` where the network can only see images of the size that it learnt.
    """
    size = options[0].image_size
    fixed = getattr(store.network_module(options[0].network), "FIXED_SIZE", False)
    if size == "auto" and fixed:
        size = max(start.scaling.size)
    elif size == "auto":
        least = IMAGENET_PIXELS if start.source == "imagenet" else 1
        size = min(max(*data.shape[1:], least), MOST_PIXELS)
    scaling = start.scaling.adapt(data.shape, size)
    if fixed and scaling.size != start.scaling.size:
        raise UserError(
            f"params.yaml: {key}.image_size: expected {max(start.scaling.size)}, as "
            f"{options[0].start} learnt, found {size}"
        )
    return [one.model_copy(update={"image_size": size}) for one in options], scaling


def with_min_steps(
    options: list[FinetuningConfig], images: int, label: str
) -> list[FinetuningConfig]:
    """The configs with the epochs that `images` come to; each number of epochs is said once."""
    distinct = {one.epochs: one for one in options}
    epochs = {count: one.with_min_steps(images, label).epochs for count, one in distinct.items()}
    return [one.model_copy(update={"epochs": epochs[one.epochs]}) for one in options]


@dataclass(frozen=True)
class Halves:
    """A network whose weights are pretrained but for new layers, cut at the first trained one."""

    network: nn.Sequential
    frozen: nn.Sequential  # runs once per image; may be empty
    trained: nn.Sequential
    rebuild: Callable[[], nn.Sequential]  # a fresh `trained`, with the pretrained weights

    @classmethod
    def of(
        cls,
        pretrained: Classifier,
        config: FinetuningConfig,
        data: Dataset,
        size: Sequence[int],
        seed: int,
    ) -> Self:
        """Those for inputs of `size` pixels, height and width; `seed` decides the new layers."""
        module = store.network_module(config.network)
        image = (data.shape[0], *size)
        build = partial(module.build, data.classes, image, **pretrained.model_params)
        new = [module.HEAD] if config.stem == "sum_rgb" else [module.STEM, module.HEAD]
        torch.manual_seed(seed)
        network = build()
        state = pretrained.network.state_dict()
        freezing.load(network, freezing.with_channels(state, module.STEM, data.shape[0]), new)
        frozen, trained = freezing.cut(network, config.trainable)
        rebuild = partial(freezing.rebuild, build, config.trainable, trained.state_dict(), new)
        return cls(network, frozen, trained, rebuild)

    def training(
        self, options: list[FinetuningConfig], scaling: Scaling, views: Views | None, data: Dataset,
        seed: int, device: torch.device,
    ) -> Training:  # fmt: skip
        """How the second half is trained, with one of `options`."""
        config = middle(options)
        head = store.network_module(config.network).HEAD
        rates = {"head": head, "learning_rate": config.learning_rate}
        if config.trainable == [head]:
            groups, standardize = partial(freezing.head_groups, **rates), head
        else:  # what is trained in front of the head changes its inputs' scale
            factor = config.body_lr_factor
            groups = partial(freezing.parameter_groups, **rates, body_lr_factor=factor)
            standardize = ""
        prepare = identity if len(self.frozen) else scaling
        return Training(
            config, self.rebuild, seed, device, groups, prepare, standardize,
            views, options if len(options) > 1 else (), data.groups,
        )  # fmt: skip
