"""The report's closing thought, chosen by what came out."""

from enum import StrEnum

from taller.report.spanish import listed
from taller.scores.comparison import Comparison


class Outcome(StrEnum):
    """What the corrected t-test over the folds says of the winner and the runner-up."""

    TUNED = "gana el fine-tuning"
    SIMPLE = "gana la red simple"
    TIE = "no se distinguen"


# The workshop's closing thought, held against what came out: two models, on MNIST.
REFLECTION = {
    ("glyphs", Outcome.TUNED): (
        "El fine-tuning ganó sin que su preentrenamiento viera un solo dígito: lo aprendido con "
        "letras sirve para leer cifras. Concuerda con la idea con que cierra el taller, que la "
        "transferencia depende de la similitud entre los dominios: letras y cifras son trazos "
        "sobre un fondo liso. En el taller original, con pesos de ImageNet, ganó la red simple."
    ),
    ("glyphs", Outcome.SIMPLE): (
        "Como en el taller original, ganó la red simple, y eso que las letras, trazos sobre un "
        "fondo liso, se parecen a las cifras más que las fotografías de ImageNet. La similitud "
        "entre los dominios no basta."
    ),
    ("glyphs", Outcome.TIE): (
        "El preentrenamiento con letras ni dio una ventaja clara ni la quitó. En el taller "
        "original, con pesos de ImageNet, ganó la red simple: que aquí no se distingan es "
        "compatible con que un dominio más parecido ayude, pero no lo demuestra."
    ),
    ("imagenet", Outcome.TUNED): (
        "El fine-tuning ganó, al contrario que en el taller original, aunque las fotografías en "
        "color de ImageNet se parecen poco a MNIST: la distancia entre los dominios no impidió "
        "que lo aprendido se transfiriera."
    ),
    ("imagenet", Outcome.SIMPLE): (
        "Como en el taller original, ganó la red simple, probablemente porque MNIST se parece "
        "poco a ImageNet, de fotografías en color y mayor resolución: la transferencia depende "
        "de la similitud entre los dominios."
    ),
    ("imagenet", Outcome.TIE): (
        "En el taller original, también con ImageNet, ganó la red simple; aquí los dos modelos no "
        "se distinguen. Las fotografías en color de ImageNet, tan distintas de MNIST, no "
        "bastaron para una ventaja clara."
    ),
    ("none", Outcome.TUNED): (
        "La ResNet18 ganó sin ningún preentrenamiento: su ventaja no viene de la transferencia, "
        "sino de la arquitectura y de cómo se entrena. Es el control con el que hay que comparar "
        "cualquier otra fuente."
    ),
    ("none", Outcome.SIMPLE): (
        "Sin preentrenamiento no hay nada que transferir, y ganó la red simple. Es el control: lo "
        "que otra fuente mejore sobre esta ResNet18 se debe a su preentrenamiento."
    ),
    ("none", Outcome.TIE): (
        "Sin preentrenamiento no hay nada que transferir, y los dos modelos no se distinguen. Es "
        "el control: lo que otra fuente mejore sobre esta ResNet18 se debe a su preentrenamiento."
    ),
}


def outcome(found: Comparison) -> Outcome:
    """What may be said about the winner and the runner-up."""
    if not found.decisive.significant:
        return Outcome.TIE
    return Outcome.TUNED if found.winner.entry.pretrained else Outcome.SIMPLE


def reflection(found: Comparison) -> str:
    """The workshop's thought where its question was asked, and else what stays true."""
    asked = [result.entry.pretrained for result in found.models] == [False, True]
    if found.data["dataset"] == "MNIST" and asked:
        return REFLECTION[found.pretraining["source"], outcome(found)]
    first, second = found.winner.entry.short, found.runner_up.entry.short
    if outcome(found) is Outcome.TIE:
        told = f"{listed([first, second])} no se distinguen en accuracy"
    else:
        told = f"{first} queda por delante de {second} en accuracy"
    return (
        f"Con las imágenes de {found.data['dataset']} y estos modelos, {told}. El taller original "
        "comparó dos redes con MNIST; con otras imágenes, o con otras redes, el orden puede ser "
        "otro."
    )
