"""ResNet-18 as a chain of named layers, for images of any number of channels.

He et al. (2016), Deep residual learning for image recognition, CVPR, table 1 and figure 5.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from taller.common.layers import Conv2d, make_portable
from taller.common.params import Section

NAME = "ResNet18"
# The children with weights, in the order in which an image passes them.
LAYERS = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc")
STEM, HEAD = "conv1", "fc"
# The statistics of the images that ImageNet's weights were trained on.
MEAN, STD, PIXELS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224


class ModelParams(Section):
    """What params.yaml decides of the network: nothing."""


def build(classes: int, shape: Sequence[int]) -> nn.Sequential:
    """A ResNet-18 with fresh weights.

    Parameters
    ----------
    classes : int
    shape : sequence of int
        Channels, height and width of the images; the network depends on the channels alone.

    Returns
    -------
    Sequential
        torchvision's children in order, under its names, so that any of them can be frozen or cut
        off. Takes (n, channels, h, w), gives (n, classes).
    """
    # Here, as it takes seconds, and who builds another network does not need it.
    from torchvision.models import resnet18

    network = make_portable(resnet18(num_classes=classes))
    # Drawn last, so that no other weight depends on the number of channels.
    network.conv1 = Conv2d(shape[0], 64, kernel_size=7, stride=2, padding=3, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    model = nn.Sequential()
    for name, child in network.named_children():
        if name == HEAD:  # torchvision flattens outside of its layers
            model.add_module("flatten", nn.Flatten())
        model.add_module(name, child)
    return model


def from_imagenet(state: dict[str, Tensor]) -> nn.Sequential:
    """The network for RGB images with the state dict that torchvision saved."""
    network = build(classes=len(state["fc.bias"]), shape=(3, PIXELS, PIXELS))
    network.load_state_dict(state)
    return network
