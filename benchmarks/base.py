"""The network that all rows of `last_layer` start from: ours, which knows letters of 28 pixels."""

from pathlib import Path

from torch import Tensor

from taller.models import backbones, store
from taller.models.scaling import Scaling
from taller.models.store import Classifier

FILE = Path("modelos/resnet18_base.pth")


def pretrained() -> Classifier:
    """What `dvc repro pretrain` made."""
    return store.load(FILE, backbones.ARCHITECTURES)


def body(base: Classifier) -> dict[str, Tensor]:
    """The weights in front of the last layer; torchvision's and timm's have the same names."""
    state = base.network.state_dict()
    return {name: one for name, one in state.items() if not name.startswith("fc.")}


def scaling(base: Classifier) -> Scaling:
    """From MNIST's images to its inputs."""
    return base.scaling.suited((1, 28, 28), 28)
