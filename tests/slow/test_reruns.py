"""What reruns after which edit, seen with DVC on the small project."""

import sys

from project import STAGES

CNN, CURVE = "kfold_train.cnn.epochs=2", "curve@kfold_train.cnn"
EDITS = {
    "taller/networks/cnn.py": {"kfold_train@cnn", CURVE, "evaluate", "compare"},
    "taller/networks/resnet18.py": {
        "pretrain@resnet18",
        "finetune@resnet18",
        CURVE,
        "evaluate",
        "compare",
    },
    "taller/report/tables.py": {"compare"},
    "taller/sources/catalogue.py": {"download@MNIST"},
    "taller/common/pins.txt": {*STAGES} - {"download@MNIST"},
    "stages/finetune.py": {"finetune@resnet18"},
}


def test_a_file_reruns_the_stages_whose_folder_it_is_in(project):
    for name, stages in EDITS.items():
        content = (project.folder / name).read_bytes()
        (project.folder / name).write_bytes(content + b"\n# edited\n")
        assert project.edited() == stages, name
        (project.folder / name).write_bytes(content)


def test_a_param_of_a_section_reruns_its_stage_and_what_depends_on_it_and_back_is_a_memory(project):
    project.set(CNN)
    trained = ["kfold_train@cnn", CURVE, "evaluate"]
    assert project.repro() == dict.fromkeys([*trained, "compare"], "ran")
    assert "epoca" in project.json("resultados/plots/perdida.json")[0]
    changed = project.git("diff", "--name-only").split()
    project.git("checkout", "--quiet", "params.yaml")
    cached = dict.fromkeys(trained, "cached") | {"compare": "ran"}
    assert project.repro() == cached
    assert "resultados/metrics.json" in changed and project.git("diff", "main") == ""


def test_an_edit_without_effect_ends_where_the_bytes_are_the_same(project):
    with (project.folder / "taller/sources/fetch.py").open("a", encoding="utf-8") as file:
        file.write("\n# edited\n")
    assert project.repro() == {"download@MNIST": "ran"}


SMALL = (
    "{network: simple_nn, hidden: [32], dropout: 0.0, learning_rate: 0.003, weight_decay: 0.0, "
    "schedule: one_cycle, batch_size: 64, epochs: 1, min_steps: 0, image_size: auto, "
    "augment: none, label_smoothing: 0.0, class_weights: none}"
)


def test_a_section_added_is_a_contestant_and_removed_leaves_nothing_that_counts(project):
    project.dvc("exp", "run", "--set-param", f"+kfold_train.small={SMALL}")
    assert {"kfold_train@small"} == {*project.lock()} - {*STAGES}
    assert "small" in project.json("resultados/metrics.json")
    changed = {*project.git("diff", "--name-only", "main").split()}
    made = {"dvc.lock", "params.yaml", "modelos/ficha.md"}
    assert all(name.startswith("resultados/") for name in changed - made)

    project.set("~kfold_train.small")
    project.repro()
    assert not [
        *project.folder.glob("modelos/**/small*"),
        *project.folder.glob("resultados/**/small*"),
    ]
    # DVC leaves the stage in dvc.lock; `make repro` takes it out.
    project.run(sys.executable, "-m", "tools.prepare")
    assert project.git("diff", "main", "--", "dvc.lock", "modelos", "resultados") == ""
    assert project.repro() == {}


def test_a_group_of_sections_may_be_empty(project):
    project.set("~finetune.resnet18")
    project.repro()
    assert {*project.json("resultados/metrics.json")} == {"simple_nn", "cnn", "cnn-simple_nn"}
