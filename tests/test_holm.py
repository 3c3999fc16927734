"""Where several models are compared, every number that is read is Holm's."""

import made_up
import pytest

from stages import compare as stage
from taller.report import tables
from taller.report.figures import style
from taller.report.report import report
from taller.report.spanish import p_value
from taller.scores import comparison

# Winner and runner-up differ little and steadily, the third one is all over the place: alone the
# pair would be significant, among three pairs it is not.
ACCURACIES = ([0.95] * 4, [0.952, 0.9545, 0.9525, 0.954], [0.90, 0.99, 0.93, 0.91])


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("holm")
    made_up.write(place, made_up.THREE)
    return place


@pytest.fixture(scope="module")
def found(place):
    read = comparison.read(place / "resultados", made_up.THREE, rope=0.005)
    return made_up.with_accuracies(read, *ACCURACIES)


def test_alone_the_pair_would_be_significant(found):
    pair = found.decisive
    assert {pair.first.entry.key, pair.second.entry.key} == {"simple_nn", "resnet18"}
    assert (
        pair.difference.p_value < 0.05 <= pair.p_value == pytest.approx(3 * pair.difference.p_value)
    )
    assert not pair.significant


def test_the_metrics_and_the_details_have_holms(found):
    expected = float(f"{found.decisive.p_value:.1e}")
    assert tables.metrics(found)["comparison"]["p_value"] == expected
    assert expected in [pair["p_value"] for pair in tables.details(found)["pairs"]]


def told(value: float) -> str:
    """As a cell of the report has it."""
    return p_value(value).removeprefix("p = ")


def test_the_report_says_so_and_does_not_contradict_itself(found):
    written, pair = report(found), found.decisive
    (line,) = (line for line in written.splitlines() if line.startswith("| ResNet18 frente a Sim"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert told(pair.p_value) in cells and told(pair.difference.p_value) not in cells
    assert cells[-1] == "no se puede decir"
    assert "por ser 3 las comparaciones, con el método de Holm" in written


def test_the_stage_writes_holms(place, found, monkeypatch):
    monkeypatch.setattr(comparison, "read", lambda *_: found)
    monkeypatch.setitem(style.mpl.rcParams, "savefig.dpi", 30)
    folder = place / "resultados"
    stage.compare(
        stage.Params(rope=found.rope), "resnet18", folder, place / "modelos", made_up.THREE
    )
    short = f'"p_value": {float(f"{found.decisive.p_value:.1e}")}'
    for name, expected in {
        "metrics.json": short, "detalle.json": short,
        "informe.md": f"| {told(found.decisive.p_value)} |",
    }.items():  # fmt: skip
        assert expected in (folder / name).read_text(encoding="utf-8"), name
