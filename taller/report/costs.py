"""What each model costs, counted and not timed: parameters, and operations."""

from taller.report import rows, steps
from taller.report.spanish import count, listed, scientific, times
from taller.scores.comparison import Comparison
from taller.scores.results import Result


def table(found: Comparison) -> str:
    """Parameters and operations, a column per model."""
    cells = {
        "Parámetros entrenados": lambda one: count(one.trained_parameters),
        "Parámetros que se ejecutan": lambda one: count(one.parameters),
        "Operaciones por respuesta": lambda one: scientific(one.answer_flops),
        "Operaciones de entrenamiento": lambda one: scientific(one.training_flops),
    }
    if any(map(lambda one: _before(found, one), found.models)):
        cells["Lo mismo, con el preentrenamiento"] = lambda one: scientific(
            found.training_flops(one)
        )
    return rows.table("Coste", found, cells)


def told(found: Comparison) -> list[str]:
    """Sentences on what the fine-tuned network costs beside those from scratch, if any."""
    tuned = steps.tuned(found)
    if tuned is None or not found.scratch:
        return []
    base = found.scratch[0]
    return [
        f"{tuned.entry.short} entrena {count(tuned.trained_parameters)} parámetros, "
        f"{times(tuned.trained_parameters / base.trained_parameters)} los de {base.entry.short}"
        f"{_rest(found, tuned)}.",
        _ratios(found, tuned),
    ]


def _rest(found: Comparison, tuned: Result) -> str:
    """What the few trained parameters leave out."""
    rest = tuned.parameters - tuned.trained_parameters
    source = found.pretraining["source"]
    if source == "none":
        return f"; los otros {count(rest)} se quedan al azar, y todos se ejecutan" if rest else ""
    learnt = {"glyphs": "con letras", "imagenet": "con ImageNet, fuera de este proyecto"}[source]
    if not rest:
        return f", que partieron de lo aprendido antes {learnt}"
    return (
        f", pero eso no es todo lo que hace falta: los otros {count(rest)} se entrenaron antes "
        f"{learnt}, y para cada respuesta se ejecutan todos"
    )


def _ratios(found: Comparison, tuned: Result) -> str:
    answers, fits = [], []
    for other in found.scratch:
        name = other.entry.short
        answers.append(f"{times(tuned.answer_flops / other.answer_flops)} lo que la de {name}")
        ratio = found.training_flops(tuned) / found.training_flops(other)
        fits.append(f"{times(ratio)} lo que {name}")
    before = _before(found, tuned)
    with_it = ", preentrenamiento incluido," if before else ""
    if found.pretraining["source"] == "imagenet":
        with_it = ", sin contar el preentrenamiento, que nadie midió aquí,"
    return (
        f"Cada respuesta suya cuesta {listed(answers)}; entrenarla{with_it} cuesta {listed(fits)}."
    )


def _before(found: Comparison, result: Result) -> int:
    return found.training_flops(result) - result.training_flops
