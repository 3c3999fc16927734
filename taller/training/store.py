"""Models: their files, what they cost in floating-point operations, and what is said of their fit.

A file is what `torch.load(..., weights_only=True)` gives. Operations are counted, and so the same
on every machine.
"""

import copy
import importlib
import pickle
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from taller.common import files
from taller.common.params import NETWORKS, Contestant
from taller.common.terminal import UserError, printable
from taller.training.batches import Scaling
from taller.training.checkpoint import UNREADABLE
from taller.training.engine import TrainingConfig


@dataclass(frozen=True)
class Classifier:
    """All that a prediction needs: a trained network and what goes in and comes out of it."""

    network_name: str  # a file of taller/networks
    network: nn.Module  # from (n, channels, height, width) to logits, (n, classes)
    scaling: Scaling  # from stored images to the network's inputs
    names: tuple[str, ...]  # of the classes, as the logits stand; empty where nobody knows them
    shape: tuple[int, int, int]  # channels, height and width of the stored images
    # scratch, or pretrained on letters or imagenet, or with none in place of pretraining.
    source: str
    # What ``build`` was called with, beside classes and shape.
    model_params: dict[str, object] = field(default_factory=dict)


def network_module(name: str) -> ModuleType:
    """The module of a network, by the name of its file; a LookupError where there is none.

    It has ``NAME``, which the report shows; ``ModelParams``, the params of its layers; and
    ``build(classes, shape, …)``, with a default for each of those, for images of any shape,
    (channels, height, width), or ``FIXED_SIZE = True`` where weights fit one size alone. To be
    fine-tuned it is an ``nn.Sequential`` of the ``LAYERS``, the first of them ``STEM`` and the last
    ``HEAD``. To start from ImageNet it has ``from_imagenet(state)``, and ``PIXELS``, ``MEAN`` and
    ``STD``, the size and the scale of the images that it learnt from.
    """
    if name not in {path.stem for path in NETWORKS.glob("[a-z]*.py")}:
        raise LookupError(f"network {name}")
    return importlib.import_module(f"taller.networks.{name}")


def save(
    path: Path,
    network_name: str,
    arguments: Mapping[str, object],
    scaling: Scaling,
    names: Sequence[str],
    state: Mapping[str, Tensor],
    source: str = "scratch",
) -> None:
    """Write a model: the same bytes for the same weights.

    Parameters
    ----------
    arguments : mapping
        What ``build`` of the network is called with, but ``shape`` is that of stored images: the
        network is built for what `scaling` makes of them.
    state : mapping of Tensor
        The network's state dict.
    """
    content = {
        "network": network_name,
        "arguments": _plain(arguments),
        "names": list(names),
        "scaling": _plain(asdict(scaling)),
        "source": source,
        "state_dict": dict(state),
    }
    with files.atomic_write(path) as file:
        torch.save(content, file)


def load(path: Path) -> Classifier:
    """Rebuild the network that `save` wrote. Nothing in the file is run.

    Raises
    ------
    UserError
        Naming the file, where it is missing or holds something else: another network, weights of
        other shapes or that are no numbers, code.
    """
    try:
        saved = _read(path)
        module, arguments = network_module(saved["network"]), saved["arguments"]
        state, names, shape = saved["state_dict"], saved["names"], arguments["shape"]
        if len(shape) != 3 or len(names) not in (0, arguments["classes"]):
            raise ValueError("sizes that do not fit together")
        scaling = Scaling(**{name: tuple(part) for name, part in saved["scaling"].items()})
        arguments = arguments | {"shape": (shape[0], *scaling.size)}
        # Sizes cost nothing on this device: before a network is built, the weights have to fit it.
        with torch.device("meta"):
            expected = module.build(**arguments).state_dict()
        if _forms(state) != _forms(expected):
            raise ValueError("weights of other shapes")
        if sum(weights.nbytes for weights in state.values()) > path.stat().st_size:
            raise ValueError("more weights than bytes")
        network = module.build(**arguments)
        network.load_state_dict(state)
        names, shape, source = tuple(names), tuple(shape), saved["source"]
        model_params = {key: arguments[key] for key in arguments if key not in ("classes", "shape")}
        return Classifier(saved["network"], network, scaling, names, shape, source, model_params)
    except FileNotFoundError:
        raise UserError(f"{path}: missing; run dvc pull, or dvc repro") from None
    except UNREADABLE as error:
        reason = printable(str(error)) or type(error).__name__
        raise UserError(f"{path}: expected a model of this project, found: {reason}") from None


def load_start(folder: Path, network_name: str, repeats: int, key: str) -> list[Classifier]:
    """The network that each repeat starts from.

    Parameters
    ----------
    folder : Path
        That params.yaml has under `key`: with ``1.pth`` to ``R.pth``, as `pretrain` makes them, or
        with one file of ImageNet's weights as its makers saved it.

    Raises
    ------
    UserError
        Where there are neither as many as repeats nor one for all, of another network; as `load`.
    """
    paths, place = sorted(folder.glob("*.pth")), f"params.yaml: {key}: {folder}"
    if len(paths) not in (1, repeats):
        raise UserError(f"{place}: expected networks for {repeats} repeats, found {len(paths)}")
    if paths[0].name != "1.pth":
        return [_from_imagenet(paths[0], network_name)] * repeats
    networks = [load(folder / f"{number}.pth") for number in range(1, len(paths) + 1)]
    if (other := networks[0].network_name) != network_name:
        raise UserError(f"{place}: expected the network {network_name}, found {other}")
    return networks if len(networks) == repeats else networks * repeats


def describe_start(folder: Path) -> dict[str, object]:
    """How many networks there are to start from, and the SHA-256 of the first one's file."""
    paths = sorted(folder.glob("*.pth"))
    return {"networks": len(paths), "sha256": files.sha256(paths[0])}


def _from_imagenet(path: Path, network_name: str) -> Classifier:
    module = network_module(network_name)
    try:
        network = module.from_imagenet(_read(path))
    except UNREADABLE:
        raise UserError(
            f"{path}: expected the state dict of an RGB {module.NAME}, found another file"
        ) from None
    shape = 3, module.PIXELS, module.PIXELS
    scaling = Scaling(module.MEAN, module.STD, shape[1:])
    return Classifier(network_name, network, scaling, (), shape, "imagenet")


def _read(path: Path) -> dict:
    with warnings.catch_warnings(action="ignore"):  # of pickles that are not PyTorch's
        try:
            content = torch.load(path, weights_only=True, map_location="cpu")
        except pickle.UnpicklingError:  # whose message advises to run what is in it
            raise ValueError("something else than weights") from None
    for name, weights in content.get("state_dict", content).items():
        if weights.is_floating_point() and not weights.isfinite().all():
            raise ValueError(f"{name}: NaN or infinity")
    return content


def _plain(values: Mapping[str, object]) -> dict[str, object]:
    return {name: list(one) if isinstance(one, tuple) else one for name, one in values.items()}


def _forms(state: Mapping[str, Tensor]) -> dict[str, tuple]:
    return {name: (part.shape, part.dtype, part.layout) for name, part in state.items()}


@dataclass(frozen=True)
class Cost:
    """Operations for one image: inference (forward), and a training step (with the gradients).

    Matrix products and convolutions, a multiplication and an addition being two; what goes
    over a tensor once (ReLU, normalisation, the optimizer) is not counted.
    """

    inference: int
    step: int


def count_operations(network: nn.Module, shape: Sequence[int]) -> Cost:
    """Count with PyTorch's flop counter, for an input of `shape`, on tensors without content.

    Layers that take no gradients are counted forward alone. The network stays as it is.
    """
    from torch.utils.flop_counter import FlopCounterMode  # slow, and no prediction needs it

    images = 2  # batch normalisation cannot be trained on a single one
    network, inputs = _weightless(network), torch.empty(images, *shape, device="meta")
    with FlopCounterMode(display=False) as counter:
        outputs = network(inputs)
    inference = counter.get_total_flops()
    if outputs.requires_grad:
        with counter:
            outputs.sum().backward()
        return Cost(inference // images, (inference + counter.get_total_flops()) // images)
    return Cost(inference // images, inference // images)


def output_shape(network: nn.Module, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of what the network makes of one input of `shape`."""
    return tuple(_weightless(network)(torch.empty(2, *shape, device="meta")).shape[1:])


def _weightless(network: nn.Module) -> nn.Module:
    return copy.deepcopy(network).to("meta").train()


def describe_fit(
    contestant: Contestant,
    module: ModuleType,
    config: TrainingConfig,
    network: nn.Module,
    *,
    trained_parameters: int,
    inference: int,
    training: int,
    trained: Sequence[str] = (),
    start: dict[str, object] | None = None,
) -> dict[str, object]:
    """The content of ``fit.json``: what was trained, how, from where, and at what cost.

    Parameters
    ----------
    inference, training : int
        Operations for one image, and for the fit on all images.
    trained : sequence of str
        Layers, where only some are trained.
    start : dict, optional
        Of a pretrained network: ``path``, ``source``, ``networks``, and ``sha256`` of the first.
    """
    # cnn and cnn_letters are CNN; mine is mine.
    of_network = f"{contestant.name}_".startswith(f"{config.network}_")
    short = module.NAME if of_network else contestant.name
    frozen = [layer for layer in module.LAYERS if layer not in trained] if trained else []
    common = config.model_dump(include={*TrainingConfig.model_fields} - {"min_steps"})
    others = {*TrainingConfig.model_fields, "network", "start", "trainable"}
    return {
        "kind": contestant.kind,
        "network": config.network,
        "model": short if start is None else f"{short} (fine-tuning)",
        "short": short,
        "trained_parameters": trained_parameters,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "flops": {"inference": inference, "training": training},
        "training": {
            # With no weight decay AdamW is Adam, the workshop's optimizer.
            "optimizer": "AdamW" if config.weight_decay else "Adam",
            **common,
            "trained": list(trained),
            "frozen": frozen,
            "model_params": config.model_dump(exclude=others),
        },
        "start": start,
    }
