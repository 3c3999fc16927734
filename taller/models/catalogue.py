"""The models that are compared, in the order of tables, and how each of them looks.

Light on purpose: what only draws and writes does not import PyTorch for a name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One compared model.

    Attributes
    ----------
    key : str
        In file names and metrics.
    name, short, kind : str
        In tables and pictures, in running text, and what the report says that it is.
    color, marker : str
        Matplotlib's. Colours are of Okabe and Ito's palette, distinct to colour-blind readers.
    pretrained : bool
        Whether it starts from the network that `pretrain` makes.
    """

    key: str
    name: str
    short: str
    kind: str
    color: str
    marker: str
    pretrained: bool = False


SIMPLE_NN = Entry(
    "simple_nn", "SimpleNN", "SimpleNN", "una red pequeña de capas densas", "#0072B2", "o"
)
CNN = Entry("cnn", "CNN", "CNN", "una red convolucional pequeña", "#009E73", "D")
RESNET18 = Entry(
    "resnet18",
    "ResNet18 (fine-tuning)",
    "ResNet18",
    "una red residual",
    "#D55E00",
    "s",
    pretrained=True,
)

# The first one is the baseline.
MODELS = (SIMPLE_NN, CNN, RESNET18)
