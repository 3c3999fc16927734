"""Three hundred edits of the files that `compare` reads: told in one line, or harmless."""

import random
import shutil
from pathlib import Path

import hand_edits
import made_up
import pytest

from stages.compare import Params, compare
from taller.program.errors import Problem
from taller.report import pictures
from taller.report.figures import style

ROOT = Path(__file__).parents[1]
PICTURES = (
    "confusion_matrices", "cost", "example", "folds", "glyph_sheet", "loss_curves", "reliability",
    "surest_errors",
)  # fmt: skip
EDITS, REFUSED = 300, 250  # of which at least so many mean something


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """Three models on digits, and the tables beside them."""
    place = tmp_path_factory.mktemp("good")
    made_up.write(
        place, made_up.THREE, made_up.DIGITS, shape=(1, 28, 28), name="MNIST", folds=3, epochs=2
    )
    for name in ("ajuste", "estudio"):
        shutil.copy(ROOT / f"resultados/{name}.csv", place / "resultados")
    return place


@pytest.fixture
def undrawn(monkeypatch):
    """What is drawn is read and checked, but not laid out, which takes seconds."""
    for name in PICTURES:
        monkeypatch.setattr(getattr(pictures, name), "draw", lambda *_, **__: None)
    monkeypatch.setattr(style, "save", lambda *_: None)


def test_only_problems_come_out(good, tmp_path, undrawn):
    files = sorted(path for path in (good / "resultados").rglob("*") if path.is_file())
    names = [path.relative_to(good) for path in files]
    refused = []
    for number in range(EDITS):
        edited, chance = tmp_path / "edited", random.Random(number)
        shutil.copytree(good, edited)
        # Every file twice, then any.
        name = names[number % len(names)] if number < 2 * len(names) else chance.choice(names)
        told = hand_edits.edit(edited / name, [edited / one for one in names], chance)
        before = {path: path.read_bytes() for path in edited.rglob("*") if path.is_file()}
        try:
            compare(
                Params(rope=0.005),
                "resnet18",
                edited / "resultados",
                edited / "modelos",
                made_up.THREE,
            )
        except Problem as problem:
            assert "expected" in str(problem), (told, problem)
            # An unknown key is what was found.
            assert "found" in str(problem) or "unknown key" in str(problem), (told, problem)
            assert len(str(problem).splitlines()) == 1, (told, problem)
            after = {path: path.read_bytes() for path in edited.rglob("*") if path.is_file()}
            assert after == before, told
            refused.append(told)
        except Exception as error:
            raise AssertionError(f"edit {number}, {told}") from error
        shutil.rmtree(edited)
    assert len(refused) >= REFUSED
