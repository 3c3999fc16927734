"""The report: a page in Spanish, in the order of a reader's questions.

No number is typed here, and every sentence that depends on the data, on who wins, how surely, or
from which pretraining is chosen by the results. Where a premise fails, nothing is concluded.
"""

from taller.report import asides, compared, costs, differences, fitting, mistakes, rows
from taller.report.answer import answer, question
from taller.report.asides import Asides
from taller.report.pictures import EXAMPLE
from taller.report.references import cited
from taller.report.reflections import limits, reflection
from taller.report.spanish import listed
from taller.report.words import every_model, words
from taller.scores.comparison import Comparison

NONE = Asides()


def report(found: Comparison, aside: Asides = NONE) -> str:
    """Write the report, in Markdown; pictures are beside it, and `aside` is told in it."""
    parts = [
        _answer(found),
        _compared(found),
        _trained(found, aside),
        _sure(found),
        _wrong(found),
        _cost(found),
        *_workshop(found, aside),
        f"## Límites\n\n{limits(found)}\n",
    ]
    text = "\n".join(parts)
    return f"{text}\n## Referencias\n\n{cited(text)}\n"


def _workshop(found: Comparison, aside: Asides) -> list[str]:
    """What was found beside the pipeline, and the workshop's own thought: both of its images."""
    told = reflection(found)
    return [f"{asides.study(aside.study)}## ¿Y el taller?\n\n{told}\n"] if told else []


def _answer(found: Comparison) -> str:
    return f"""# Entrenamiento desde cero y fine-tuning en {found.data["dataset"]}

*{question(found)}*

{answer(found)}

![Exactitud de {every_model(found)} en cada pliegue](folds.png)
"""


def _compared(found: Comparison) -> str:
    letters = compared.pretraining(found)
    if letters:
        shown = listed(["Letras dibujadas", words(found).beside])
        picture = f"![{shown} de {found.data['dataset']}](glifos.png)"
        letters = f"\n{letters}\n\n{picture}\n"
    return f"""## ¿Qué se comparó?

{compared.data(found)}

![Ejemplo de {found.data["dataset"]}]({EXAMPLE}.png)

{compared.models(found)}
{letters}"""


def _trained(found: Comparison, aside: Asides) -> str:
    return f"""## ¿Cómo se entrenó cada modelo?

{fitting.table(found)}

{fitting.chosen(found)}{asides.tuning(aside.tuning)}

![Curvas de pérdida de {every_model(found)}](curva_loss.png)

{fitting.losses(found)}
"""


def _sure(found: Comparison) -> str:
    unsettled = differences.unsettled(found)
    return f"""## ¿Con qué certeza?

{differences.folds(found)}

{differences.all_pairs(found)}

{differences.explained(found)}{f" {unsettled}" if unsettled else ""}

{differences.covered(found)}

{rows.validation(found)}

Media ± desviación típica entre pliegues, y el intervalo del 95 % de la media, con la misma corrección. Precisión: de las imágenes que se dan por una clase, las que lo son; exhaustividad (*recall*): de las que lo son, las que se reconocen; ambas y F1, medias de las clases. Pérdida logarítmica (*log loss*): cuanto menor, más probabilidad para la clase verdadera. {differences.spread(found)}
"""  # noqa: E501


def _wrong(found: Comparison) -> str:
    return f"""## ¿En qué se equivocan?

Para la prueba, cada modelo se entrenó una vez más, con todas las imágenes de entrenamiento. El de mayor exactitud en validación cruzada, {found.winner.entry.short}, queda en `modelos/modelo_final.pth`.

{rows.test(found)}

Entre corchetes, el intervalo de Wilson del 95 %. Top-2: la clase verdadera está entre las dos más probables. ECE (Guo et al., 2017): la distancia entre confianza y exactitud, media ponderada por tramos de confianza; debajo, lo que mostraría de media (y hasta el percentil 95) una red perfectamente calibrada. {mistakes.calibration(found)}

{mistakes.disagreements(found)}

Entre corchetes, el intervalo del 95 % (Bonett y Price, 2012); entre paréntesis, la prueba exacta de McNemar. Ambos hablan de estas redes ya entrenadas, no de lo que daría otro entrenamiento (Dietterich, 1998).

![Matriz de confusión de {every_model(found)}](confusion_matrix.png)

![Calibración de {every_model(found)}](calibracion.png)

![Errores cometidos con más confianza](errores.png)
"""  # noqa: E501


def _cost(found: Comparison) -> str:
    counted = (
        "Operaciones en coma flotante, contadas y no cronometradas; las de entrenamiento, de un "
        "ajuste con todas las imágenes."
    )
    return f"""## ¿Cuánto cuestan?

{costs.table(found)}

{" ".join([counted, *costs.told(found)])}

![Exactitud frente a coste de {every_model(found)}](coste.png)
"""
