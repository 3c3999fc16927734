"""The grid's and the study's own DVC: what reruns a cell, and what does not."""

from project import Project

CELL = "ajuste_simple_nn@0.01-5-0.0"


def test_a_cell_reruns_after_the_code_that_decides_its_numbers_alone(project):
    estudio = Project(project.folder / "estudio")
    assert estudio.repro(CELL) == {"code": "ran", CELL: "ran"}
    assert project.git("status", "--porcelain").split() == ["M", "estudio/dvc.lock"]
    append(project, "taller/report/tables.py")
    append(project, "taller/training/__pycache__/new.pyc")
    assert estudio.repro(CELL) == {"code": "ran"}
    append(project, "taller/training/engine.py")
    assert estudio.repro("code") == {"code": "ran"}
    assert CELL in estudio.dvc("status", CELL)


def append(project: Project, name: str) -> None:
    (path := project.folder / name).parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("# edited\n")
