"""Queue the experiments that say what fine-tuning owes to which weights, and draw what they found.

Every experiment is the whole pipeline with other params, in DVC's queue. Those that are there
already, for the commit that is checked out, are not run again: interrupt it at will. From
`dvc exp show` it writes `resultados/estudio.csv` and `resultados/estudio.png`.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import pandas as pd

from stages import download
from taller.data import fetch
from taller.program import params
from taller.program.errors import Problem
from taller.report.figures import study as picture
from taller.report.figures import style

# One learning rate for all layers, so that a network without pretraining is not held back.
COMMON = {"finetune.body_lr_factor": 1.0}
TRAINABLE = {"fc": "[fc]", "layer4": "[layer4,fc]", "all": "all"}
# The workshop's code: a fresh first layer, trained with the last one at a constant rate.
WORKSHOP = {
    "pretrain.source": "auto",
    "finetune.stem": "random",
    "finetune.trainable": "[conv1,fc]",
    "finetune.schedule": "constant",
}


def plan(sources: list[str], subset: int, epochs: int) -> dict[str, dict[str, object]]:
    """Params of every experiment, by its name, which tells subsets and epochs apart."""
    common = COMMON | {"preprocess.subset": subset, "finetune.epochs": epochs}
    grid = {
        f"{source}-{short}": {"pretrain.source": source, "finetune.trainable": trainable}
        for source in sources
        for short, trainable in TRAINABLE.items()
    }
    return {
        f"estudio-{subset}-{epochs}-{name}": common | own
        for name, own in (grid | {"taller": WORKSHOP}).items()
    }


def available_sources(pretrained: Path = Path("data/pretrained")) -> list[str]:
    """Of the sources of weights, those that can be had here.

    ImageNet's weights go to torch's own cache, from which the experiments take them: DVC runs
    them in copies of the folder, without files that it does not track.
    """
    settings = params.read("download", download.Params)
    url, cache = settings.weights_url, weights.torch_cache()
    try:
        weights.check_in_place(url, pretrained)
        weights.check_in_place(url, cache)
        name = weights.ADDRESS.fullmatch(url)["file"]
        if (pretrained / name).exists() and not (cache / name).exists():
            fetch.put(cache / name, (pretrained / name).read_bytes())
        weights.get(url, settings.timeout, cache)
    except Problem as problem:
        print(f"study: without ImageNet; {problem}")
        return ["none", "glyphs"]
    return ["none", "glyphs", "imagenet"]


def refuse_edits() -> None:
    """DVC knows experiments by the commit they began with, and takes edits along unseen."""
    command = [
        "git",
        "diff",
        "--name-only",
        "HEAD",
        "--",
        "params.yaml",
        "dvc.yaml",
        "stages",
        "taller",
    ]
    if edited := subprocess.run(
        command, check=True, encoding="utf-8", capture_output=True
    ).stdout.split():
        raise Problem(f"expected {', '.join(edited)} as committed, found edits; commit them first")


def dvc(*arguments: str, capture: bool = False) -> str:
    """Run DVC and, where asked, return what it prints."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(
        command, check=True, encoding="utf-8", stdout=subprocess.PIPE if capture else None
    ).stdout


def states() -> dict[str, str]:
    """What became of each experiment on this commit: success, queued, running or failed."""
    found = {}
    for baseline in json.loads(dvc("exp", "show", "--json", capture=True)):
        for experiment in baseline.get("experiments") or []:
            executor = experiment.get("executor") or {}
            found[experiment["name"]] = executor.get("state", "success").lower()
    return found


def queue(experiments: Collection[str]) -> tuple[dict[str, list[str]], int]:
    """The experiments' tasks in DVC's queue, by state, and how many workers are there.

    Tasks are given by their revision: those of other commits have the same names.
    """
    *lines, workers = dvc("queue", "status", capture=True).splitlines()
    active, idle = re.fullmatch(r"Worker status: (\d+) active, (\d+) idle", workers).groups()
    tasks = defaultdict(list)
    for cells in filter(None, map(str.split, lines)):
        if cells[1] in experiments:
            tasks[cells[-1]].append(cells[0])
    return tasks, int(active) + int(idle)


def stop(experiments: Collection[str]) -> None:
    """Take the experiments out of DVC's queue, and wait until its worker has let go of them.

    In this order: a worker that is told to stop may still begin the next one in the queue.
    """
    killed: set[str] = set()
    tasks, workers = queue(experiments)
    while tasks["Queued"] or (tasks["Running"] and workers):
        # Either fails where a task began or ended since: then the next look finds it elsewhere.
        with suppress(subprocess.CalledProcessError):
            if tasks["Queued"]:
                dvc("queue", "remove", *tasks["Queued"])
            elif alive := set(tasks["Running"]) - killed:
                killed |= alive
                dvc("queue", "kill", *alive)
        time.sleep(1)
        tasks, workers = queue(experiments)


def settle(experiments: Collection[str]) -> None:
    """Wait for a worker that an earlier call left behind, and free what it left as running.

    The worker holds DVC's lock; and for a task whose worker was killed DVC would wait for ever.
    """
    tasks, workers = queue(experiments)
    if tasks["Running"] and workers:
        print("study: waiting for the worker of an earlier call; Ctrl-C stops it", flush=True)
    while workers and (tasks["Running"] or tasks["Queued"]):
        time.sleep(5)
        tasks, workers = queue(experiments)
    if tasks["Running"]:
        print("study: one experiment was left without its worker: it is queued again")
        dvc("queue", "kill", *tasks["Running"])


def run(experiments: dict[str, dict[str, object]]) -> None:
    """Queue what is not done yet, and work off the queue.

    Raises
    ------
    Problem
        Naming the experiments that failed.
    """
    settle(experiments)
    known = states()
    if failed := queue(experiments)[0]["Failed"]:
        dvc("queue", "remove", *failed)
    missing = [name for name in experiments if known.get(name, "failed") == "failed"]
    for name in missing:
        settings = [f"-S{key}={value}" for key, value in experiments[name].items()]
        dvc("exp", "run", "--quiet", "--queue", "--name", name, *settings)
    done = sum(known.get(name) == "success" for name in experiments)
    print(f"study: {done} of {len(experiments)} experiments are there")
    if done < len(experiments):
        dvc("exp", "run", "--run-all")
        known = states()
        # DVC shows for a failed experiment the metrics of the commit that it began with.
        if failed := [name for name in experiments if known.get(name) != "success"]:
            raise Problem(f"expected all experiments to succeed; see dvc queue logs {failed[0]}")


def finished() -> dict[str, dict]:
    """What `dvc exp show` knows of each experiment that succeeded, by its name.

    Returns
    -------
    dict
        ``rev`` (its commit), ``params`` and ``metrics`` (each as its file holds it).
    """
    found = {}
    for baseline in json.loads(dvc("exp", "show", "--json", capture=True)):
        for experiment in baseline.get("experiments") or []:
            executor = experiment.get("executor") or {}
            if executor.get("state", "success").lower() == "success":
                (shown,) = experiment["revs"]
                data = shown["data"]
                found[experiment["name"]] = {
                    "rev": shown["rev"],
                    "params": data["params"]["params.yaml"]["data"],
                    "metrics": data["metrics"]["resultados/metrics.json"]["data"],
                }
    return found


def details(rev: str) -> tuple[str, int]:
    """What no metric tells of the experiment with the commit `rev`.

    Returns
    -------
    source : str
        Of the pretrained weights; what ``auto`` became.
    trained_parameters : int
        Of the fine-tuned network.
    """
    command = ["git", "show", f"{rev}:resultados/detalle.json"]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told["pretraining"]["source"], told["models"]["resnet18"]["trained_parameters"]


def collect(experiments: Collection[str]) -> pd.DataFrame:
    """The study's table, in the reader's words; chosen and shown by validation alone."""
    shown, rows = finished(), []
    for name in experiments:
        settings, metrics = shown[name]["params"], shown[name]["metrics"]
        source, trained = details(shown[name]["rev"])
        layers = settings["finetune"]["trainable"]
        accuracy = metrics["resnet18"]["cv"]["accuracy"]
        rows.append(
            {
                "experimento": name,
                "fuente": source,
                "capas entrenadas": layers if isinstance(layers, str) else ", ".join(layers),
                "primera capa": settings["finetune"]["stem"],
                "imágenes": settings["preprocess"]["subset"],
                "épocas": settings["finetune"]["epochs"],
                "parámetros entrenados": trained,
                "accuracy": accuracy["mean"],
                "desv. accuracy": accuracy["std"],
                "accuracy de SimpleNN": metrics["simple_nn"]["cv"]["accuracy"]["mean"],
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.study", description=__doc__)
    parser.add_argument("--subset", type=int, default=10_000, help="training images (10000)")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of fine-tuning (5)")
    chosen = parser.parse_args()
    experiments = plan(available_sources(), chosen.subset, chosen.epochs)
    try:
        refuse_edits()
        run(experiments)
    except Problem as problem:
        sys.exit(f"study: {problem}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"study: {' '.join(error.cmd[2:5])} failed; what is done is kept, run it again")
    except KeyboardInterrupt:
        print("\nstudy: stopping DVC's worker", file=sys.stderr)
        stop(experiments)
        sys.exit("\nstudy: interrupted; what is done is kept, run it again to go on")
    table = collect(experiments)
    table.to_csv(Path("resultados/estudio.csv"), index=False, float_format="%.4f")
    style.save(picture.draw(table), Path("resultados/estudio.png"))
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
