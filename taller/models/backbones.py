"""The networks that fine-tuning can start from, by the name that params.yaml has for them.

Each is a module of a chain of parts, as `surgery` wants it, that can read ImageNet's weights:
``from_imagenet(path)`` gives the network, and ``IMAGENET`` the scaling that they want.
"""

from types import ModuleType

from taller.models import efficientnet_lite0, resnet18

ALL: dict[str, ModuleType] = {"resnet18": resnet18, "efficientnet_lite0": efficientnet_lite0}
# By the name that model files know them under.
ARCHITECTURES = {module.NAME: module for module in ALL.values()}
