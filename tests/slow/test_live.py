"""A run in the middle, as DVC shows it, and the same folder before and after."""

import csv
import json
import os
import shutil
import signal
import time

from project import Project

FIT = "dvclive/plots/metrics/cnn/fold 1/val_loss.tsv"


def shown(project: Project) -> tuple[dict, dict | None]:
    """The plots of DVCLive's folder, and the metrics in the first row of `dvc exp show`."""
    plots = json.loads(project.dvc("plots", "show", "--json"))
    assert "errors" not in plots
    metrics = json.loads(project.dvc("exp", "show", "--json"))[0]["data"]["metrics"]
    assert not [one for one in metrics.values() if "error" in one]
    live = {name: plot[0] for name, plot in plots["data"].items() if name.startswith("dvclive")}
    return live, metrics.get("dvclive/metrics/live.json", {}).get("data")


def test_dvc_shows_the_epochs_of_a_run_and_has_the_same_outputs_without(project):
    assert shown(project) == ({}, None)
    project.set("kfold_train.cnn.epochs=30")
    process = project.start("dvc", "repro", "kfold_train@cnn", start_new_session=True)
    while not (project.folder / FIT.replace("fold 1", "fold 2")).exists():
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    plots, live = shown(project)
    assert plots.keys() > {FIT, "dvclive/plots/metrics/cnn/all images/train_loss.tsv"}
    values = plots[FIT]["content"]["data"]["values"]
    assert [row["step"] for row in values] == [str(epoch) for epoch in range(1, 31)]
    assert live["live"]["fit"].startswith("cnn/fold ")
    assert live["live"].keys() > {"epoch", "val_accuracy"}
    assert project.git("status", "--porcelain").split() == ["M", "params.yaml"]

    project.repro("kfold_train@cnn")
    assert shown(project) == ({}, None)
    with (project.folder / "resultados/cv/scratch/cnn/history.csv").open() as file:
        history = [row["val_loss"] for row in csv.DictReader(file) if row["fold"] == "1"]
    assert [f"{float(row['val_loss']):.6f}" for row in values] == history

    lock = project.lock()
    shutil.rmtree(project.folder / "dvclive")  # nowhere to show them
    assert project.repro("--force", "--no-run-cache", "-s", "kfold_train@cnn")
    assert project.lock() == lock and not (project.folder / "dvclive").exists()
