"""Your own pictures under `dvc add`: what DVC follows, shares, switches and isolates."""

import json
import shutil


def test_a_change_is_followed_and_a_branch_switch_brings_pictures_and_results_back(project):
    raw = project.folder / "data/digits/raw"
    shutil.copy(raw / "train/3/0.png", raw / "train/3/other.png")
    with (raw / "train/3/other.png").open("ab") as file:
        file.write(b"another picture")
    project.git("checkout", "--quiet", "-b", "more")
    assert "preprocess" in project.dvc("status")
    assert project.repro("preprocess") == {"preprocess": "ran"}
    followers = json.loads(project.dvc("status", "--json"))
    assert {"kfold_train@cnn", "finetune@resnet18", "compare"} <= {*followers}
    assert "pretrain@resnet18" not in followers
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
    assert project.json("resultados/datos.json")["train_images"] == 201
    assert project.repro("preprocess") == {}


def test_an_experiment_elsewhere_sees_them_and_changes_nothing_here(project):
    override = "preprocess.image_size=20"
    project.dvc("exp", "run", "--temp", "--name", "apart", "-S", override, "preprocess")
    assert project.git("status", "--porcelain") == ""
    assert "apart" in project.dvc("exp", "list", "--name-only")
