"""The grid's and the study's own DVC: what reruns a cell, and what does not."""

from project import Project

CELL = "ajuste_simple_nn@0.01-5-0.0"


def test_a_cell_reruns_after_the_code_that_decides_its_numbers_alone(project):
    estudio = Project(project.folder / "estudio")
    assert estudio.repro(CELL) == {"code": "ran", CELL: "ran"}
    assert (estudio.folder / "cells/ajuste/simple_nn/0.01-5-0.0/scores.csv").exists()
    assert project.git("status", "--porcelain").split() == ["A", "estudio/dvc.lock"]
    assert project.repro() == {}
    for name in ("taller/report/tables.py", "taller/training/__pycache__/new.pyc"):
        append(project, name)
    assert estudio.repro(CELL) == {"code": "ran"}
    append(project, "taller/training/engine.py")
    assert estudio.repro(CELL) == {"code": "ran", CELL: "ran"}


def append(project: Project, name: str) -> None:
    (project.folder / name).parent.mkdir(exist_ok=True)
    with (project.folder / name).open("a", encoding="utf-8") as file:
        file.write("\n# edited\n")
