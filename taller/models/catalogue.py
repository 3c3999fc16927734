"""The models that are compared, in the order of tables, and how each of them looks.

Light on purpose: what only draws and writes does not import PyTorch for a name.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Entry:
    """One compared model.

    Attributes
    ----------
    key : str
        In metrics and, unless `borrowed` tells another one, in file names.
    name, short, kind : str
        In tables and pictures, in running text, and what the report says that it is.
    color, marker : str
        Matplotlib's. Colours are of Okabe and Ito's palette, distinct to colour-blind readers.
    pretrained : bool
        Whether it starts from the network that `pretrain` makes.
    borrowed : str
        The key in file names, where that is another network's (`as_used`); else empty.
    """

    key: str
    name: str
    short: str
    kind: str
    color: str
    marker: str
    pretrained: bool = False
    borrowed: str = ""

    @property
    def files(self) -> str:
        """In file names."""
        return self.borrowed or self.key


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
# In the place of the other: there is one fine-tuned model, and it looks the same.
EFFICIENTNET_LITE0 = Entry(
    "efficientnet_lite0",
    "EfficientNet-Lite0 (fine-tuning)",
    "EfficientNet-Lite0",
    "una red convolucional eficiente",
    RESNET18.color,
    RESNET18.marker,
    pretrained=True,
)
FINETUNED = {entry.key: entry for entry in (RESNET18, EFFICIENTNET_LITE0)}


def compared(network: str) -> tuple[Entry, ...]:
    """The models that are compared; the first one is the baseline.

    Parameters
    ----------
    network : str
        Which is fine-tuned, as `pretrain.network` has it.
    """
    return SIMPLE_NN, CNN, FINETUNED[network]


def as_used(entry: Entry, network: str) -> Entry:
    """The entry of the network that is really in the files of `entry`.

    With `pretrain.source: auto` it may be another than the param names, as declared file names
    cannot hang on what can be downloaded.
    """
    if not entry.pretrained or entry.key == network:
        return entry
    return replace(FINETUNED[network], borrowed=entry.files)


MODELS = compared(RESNET18.key)
