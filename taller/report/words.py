"""Words that hang on the data set: whole phrases, since Spanish makes their parts agree."""

from dataclasses import dataclass, replace

from taller.report.spanish import count, listed, literal
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


MOST_NAMED = 12  # classes in a sentence
OTHERS = Words(
    images="imágenes",
    beside="imágenes",
    hardest="Clase más difícil",
    origin="origen",
    origins="orígenes",
    elsewhere="otros orígenes",
    source="",
    tuned="con MNIST, no con estas imágenes",
)
FASHION = replace(
    OTHERS,
    images="prendas de ropa y calzado (Xiao et al., 2017)",
    beside="prendas",
    hardest="Prenda más difícil",
)
KMNIST = replace(
    OTHERS,
    images="caracteres japoneses en escritura cursiva (Clanuwat et al., 2018)",
    beside="caracteres",
    hardest="Carácter más difícil",
)
CATALOGUE = {"MNIST": MNIST, "FashionMNIST": FASHION, "KMNIST": KMNIST}


def words(found: Comparison) -> Words:
    """The data set's own words."""
    if found.data["dataset"] in CATALOGUE:
        return CATALOGUE[found.data["dataset"]]
    named = classes(found)
    if len(named) > MOST_NAMED:
        named = [*named[:MOST_NAMED], f"otras {count(len(named) - MOST_NAMED)}"]
    shown = f"imágenes de {count(len(found.names))} clases ({listed(named)})"
    return replace(OTHERS, images=shown)


def classes(found: Comparison) -> list[str]:
    """The names of the classes, as they are written in Markdown."""
    return [literal(name) for name in found.names]


def every_model(found: Comparison) -> str:
    """All models, where a sentence speaks of them together."""
    return "ambos modelos" if len(found.models) == 2 else f"los {len(found.models)} modelos"
