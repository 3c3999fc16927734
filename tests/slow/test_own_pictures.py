"""Your own pictures under `dvc add`: what DVC follows, shares, switches and isolates."""

import shutil

UP_TO_DATE = "Data and pipelines are up to date."


def test_a_change_is_followed_and_a_branch_switch_brings_pictures_and_results_back(project):
    raw = project.folder / "data/digits/raw"
    shutil.copy(raw / "train/3/0.png", raw / "train/3/other.png")
    with (raw / "train/3/other.png").open("ab") as file:
        file.write(b"another picture")
    project.git("checkout", "--quiet", "-b", "more")
    assert "preprocess" in project.dvc("status")
    assert {"preprocess", "kfold_train@cnn", "evaluate"} <= {*project.repro("evaluate")}
    assert "pretrain@resnet18" not in project.repro()
    assert project.json("resultados/datos.json")["train_images"] == 201
    # DVC has put raw.dvc into git's index, as `exp run --temp` asks for.
    assert "M  data/digits/raw.dvc" in project.git("status", "--short")
    project.commit("more")

    project.git("checkout", "--quiet", "main")
    project.dvc("checkout")
    assert not (raw / "train/3/other.png").exists()
    assert project.repro() == {}
    project.git("checkout", "--quiet", "more")
    project.dvc("checkout")
    assert (raw / "train/3/other.png").exists()
    assert project.repro() == {}


def test_an_experiment_elsewhere_sees_them_and_changes_nothing_here(project):
    project.dvc("exp", "run", "--temp", "--name", "apart", "-S", "preprocess.image_size=20")
    assert project.git("status", "--porcelain") == ""
    assert "apart" in project.dvc("exp", "list", "--name-only")


def test_a_bad_picture_is_one_line(project):
    raw = project.folder / "data/digits/raw"
    (raw / "train/3/cut.png").write_bytes((raw / "train/3/0.png").read_bytes()[:-200])
    text = project.dvc("repro", code=255)
    assert "train/3/cut.png" in text and "Traceback" not in text
