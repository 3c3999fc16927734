"""The pipeline as its users run it: DVC as a subprocess, all stages, a small real subset."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from small_project import ALL, KEYS, ROOT, Project

from taller.models import architectures, store
from taller.models.catalogue import MODELS

pytestmark = pytest.mark.usefixtures("restored")
# One of each kind; that lists of code are the imports, test_contracts.py proves without DVC.
RERUN_AFTER_EDIT = {
    "params.yaml: threads=3": {"pretrain", "finetune", "evaluate"},
    "params.yaml: pretrain.source=glyphs": {"download", "pretrain"},
    "params.yaml: pretrain.network=efficientnet_lite0": {
        "download", "pretrain", "finetune", "evaluate", "compare",
    },
    "params.yaml: kfold_train.cnn.epochs=2": {"kfold_train@cnn"},
    "params.yaml: compare.rope=0.01": {"compare"},
    "params.yaml: numerics=native": {*ALL},
    "environment.yaml: torch=2.99": {
        "kfold_train@simple_nn", "kfold_train@cnn", "pretrain", "finetune", "evaluate",
    },
    "environment.yaml: matplotlib=3.99": {"pretrain", "compare"},
    "environment.yaml: scikit-learn=1.99": {"preprocess"},
    "taller/models/simple_nn.py": {"kfold_train@simple_nn", "evaluate"},
}  # fmt: skip


def test_every_declared_file_is_there(project):
    for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values():
        for out in [*stage["outs"], *stage.get("metrics", [])]:
            name = out if isinstance(out, str) else next(iter(out))
            for item in stage.get("matrix", {"network": [""]})["network"]:
                name = name.replace("${pretrain.network}", "resnet18").replace(
                    "${dataset}", "MNIST"
                )
                file = project.folder / name.replace("${item.network}", item)
                assert file.exists(), file


def test_nothing_to_do_is_nothing_done(project):
    assert project.repro() == {}


def test_the_same_inputs_give_the_same_bytes_and_are_not_computed_twice(
    project,
):
    project.set("preprocess.folds=3")
    changed = ["preprocess", "kfold_train@simple_nn", "kfold_train@cnn", "finetune"]
    assert project.repro() == dict.fromkeys([*changed, "compare"], "ran")
    # Computed anew, by two processes, after three folds, of which nothing is left ...
    project.set("preprocess.folds=2")
    anew = project.repro("--force", "--no-run-cache", LOKY_MAX_CPU_COUNT="2")
    assert anew == dict.fromkeys(ALL, "ran")
    assert project.run("git", "status", "--porcelain") == ""
    for key in KEYS:
        records = pd.read_csv(project.folder / f"resultados/{key}/scores.csv")
        assert set(records["fold"]) == {1, 2}
    # ... and from then on remembered, in both directions.
    for folds in (3, 2):
        project.set(f"preprocess.folds={folds}")
        again = project.repro()
        assert again.pop("compare") == "ran"
        assert set(changed) <= set(again) and set(again.values()) == {"cached"}
    assert project.run("git", "status", "--porcelain") == ""


def test_the_table_has_the_workshops_columns_and_the_means_of_the_folds(project):
    table = pd.read_csv(project.folder / "resultados/comparacion_metrics.csv")
    assert list(table)[:4] == ["Modelo", "Accuracy", "Precision", "Recall"]
    assert list(table["Modelo"]) == [entry.name for entry in MODELS]
    for row, key in enumerate(KEYS):
        for column in ("Accuracy", "Precision", "Recall"):
            mean = scores(project, key, column.lower()).mean()
            assert table[column][row] == pytest.approx(mean, abs=5.1e-5)


def test_metrics_follow_from_the_stages_files(project):
    metrics = project.json("resultados/metrics.json")
    for key in KEYS:
        accuracy = scores(project, key, "accuracy")
        found = metrics[key]["cv"]["accuracy"]
        assert found["mean"] == pytest.approx(accuracy.mean(), abs=5.1e-5)
        assert found["std"] == pytest.approx(np.std(accuracy, ddof=1), abs=5.1e-5)
        predictions = np.load(project.folder / f"resultados/{key}/test_predictions.npz")
        hits = predictions["log_probabilities"].argmax(1) == predictions["labels"]
        assert metrics[key]["test"]["accuracy"] == pytest.approx(hits.mean(), abs=5.1e-5)
        np.testing.assert_allclose(np.exp(predictions["log_probabilities"]).sum(1), 1, rtol=1e-5)


def scores(project: Project, key: str, metric: str) -> np.ndarray:
    """A metric of each fold."""
    records = pd.read_csv(project.folder / f"resultados/{key}/scores.csv")
    return records.query("metric == @metric")["value"].to_numpy()


def test_metrics_are_few(project):
    numbers = pd.json_normalize(project.json("resultados/metrics.json"))
    assert numbers.shape[1] <= 15


def test_the_winner_by_cross_validation_is_the_final_model(project):
    metrics = project.json("resultados/metrics.json")
    means = {key: metrics[key]["cv"]["accuracy"]["mean"] for key in KEYS}
    winner = max(means, key=means.get)
    assert metrics["comparison"]["winner"] == winner
    models = project.folder / "modelos"
    assert (models / "modelo_final.pth").read_bytes() == (models / f"{winner}.pth").read_bytes()


@pytest.mark.parametrize("name", [*KEYS, "resnet18_base", "modelo_final"])
def test_models_load_as_weights_only(project, name):
    saved = torch.load(project.folder / f"modelos/{name}.pth", weights_only=True)
    assert {"architecture", "arguments", "names", "state_dict", "scaling"} == saved.keys()
    if name in KEYS:
        store.load(project.folder / f"modelos/{name}.pth", architectures.ALL)


@pytest.mark.parametrize("edit", RERUN_AFTER_EDIT)
def test_an_edit_changes_just_these_stages(project, edit):
    name, _, override = edit.partition(": ")
    expected = RERUN_AFTER_EDIT[edit]
    if override:
        project.set(override, file=name)
    else:
        append(project.folder / name, "# edited")
    assert project.changed() == expected


def append(file: Path, line: str) -> None:
    with open(file, "a", encoding="utf-8") as opened:
        opened.write(f"\n{line}\n")


def test_a_new_section_of_params_changes_no_stage_and_each_still_runs(project):
    append(project.folder / "params.yaml", "nueva:\n  clave: 1")
    assert project.changed() == set()
    assert project.repro("--single-item", "--force", "preprocess") == {"preprocess": "ran"}


def test_an_edit_without_effect_stops_where_the_bytes_are_the_same(project):
    append(project.folder / "taller/data/idx.py", "# edited")
    assert project.repro() == dict.fromkeys(["download", "preprocess"], "ran")


def test_the_final_model_is_an_artifact(project):
    artifact = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["artifacts"][
        "modelo_final"
    ]
    assert (project.folder / artifact["path"]).exists()
    assert artifact["type"] == "model"
