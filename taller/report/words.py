"""Words that hang on the data set: whole phrases, since Spanish makes their parts agree."""

from dataclasses import dataclass

from taller.report.spanish import count, listed
from taller.scores.comparison import Comparison


@dataclass(frozen=True)
class Words:
    """How the report speaks of a data set.

    Attributes
    ----------
    images : str
        What its pictures show.
    beside : str
        Short for them, as what stands beside the letters in their picture.
    hardest : str
        Heads the row of the class with the lowest recall.
    origin, origins, elsewhere : str
        Where an image comes from, images do, and others would.
    source : str
        Who found out the origins, to follow them; or nothing.
    tuned : str
        On what the committed params were chosen, to follow "se eligieron".
    """

    images: str
    beside: str
    hardest: str
    origin: str
    origins: str
    elsewhere: str
    source: str
    tuned: str


MNIST = Words(
    images="dígitos manuscritos (LeCun et al., 1998)",
    beside="dígitos",
    hardest="Dígito más difícil",
    origin="escritor",
    origins="escritores",
    elsewhere="otros escritores",
    source=" que identifica QMNIST (Yadav y Bottou, 2019)",
    tuned="en una partición por escritores de estas imágenes de entrenamiento",
)


def words(found: Comparison) -> Words:
    """The data set's own words."""
    if found.data["dataset"] == "MNIST":
        return MNIST
    return Words(
        images=f"imágenes de {count(len(found.names))} clases ({listed(found.names)})",
        beside="imágenes",
        hardest="Clase más difícil",
        origin="origen",
        origins="orígenes",
        elsewhere="otros orígenes",
        source="",
        tuned="con las imágenes del taller, no con estas",
    )


def every_model(found: Comparison) -> str:
    """All models, where a sentence speaks of them together."""
    return "ambos modelos" if len(found.models) == 2 else f"los {len(found.models)} modelos"
