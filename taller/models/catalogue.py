"""The compared models: what each is called, and how it looks in pictures."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One compared model.

    Attributes
    ----------
    key : str
        In file names and metrics.
    name, short : str
        In tables and pictures, and in running text.
    color, marker : str
        In pictures, as Matplotlib names them.
    pretrained : bool
        Whether it starts from the pretrained network.
    """

    key: str
    name: str
    short: str
    color: str
    marker: str
    pretrained: bool


# In the order of tables; the first is the baseline. The colours are Okabe and Ito's: distinct
# to colour-blind readers, and in grey.
MODELS = (
    Entry("simple_nn", "SimpleNN", "SimpleNN", "#0072B2", "o", pretrained=False),
    Entry("resnet18", "ResNet18 (fine-tuning)", "ResNet18", "#D55E00", "s", pretrained=True),
)
